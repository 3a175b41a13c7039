"""Kills writers at random moments, and looks each time at what they have left.

A program of its own, with one thread and little memory, so that it can fork a writer in milliseconds. It
takes a directory, a seed and how often to kill, and prints how many files and left-overs it has found.
"""

import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from temporal_payloads_filesystem._files import Files
from temporal_payloads_filesystem._paths import LAYOUT, Place, place_of
from temporalio.converter import StorageDriverWorkflowInfo

SIZES = (0, 1_000, 200_000)
LONGEST_LIFE = 0.004
"""Seconds after which a writer is killed at the latest: it has written a few payloads by then."""

Items = list[tuple[Place, bytes]]


def payloads(run: int, call: int) -> Items:
    """What one call of a writer stores: three sizes, in a folder that is new for each writer."""
    items = []
    for size in SIZES:
        data = f"{run}-{call}-".encode() + bytes(size)
        target = StorageDriverWorkflowInfo(namespace="default", type="order", id=f"order-{run}", run_id="run")
        items.append((place_of(LAYOUT.write(target, hashlib.sha256(data).hexdigest())), data))
    return items


def write_until_killed(directory: Path, run: int, ready: int) -> None:
    """Be a writer; a byte in the pipe tells when it begins to write."""
    try:
        files = new_files(directory)
        os.write(ready, b".")
        for call in range(1_000_000):
            files.write(payloads(run, call))
    finally:
        os._exit(1)


def new_files(directory: Path) -> Files:
    return Files(directory, create=True, mode=0o600)


def under_final_names(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def kill_one(directory: Path, run: int, chance: random.Random) -> int:
    """Start a writer, kill it, and return how many files it has left under final names, all whole."""
    begun, ready = os.pipe()
    writer = os.fork()
    if not writer:
        write_until_killed(directory, run, ready)
    os.close(ready)
    os.read(begun, 1)
    os.close(begun)
    time.sleep(chance.uniform(0, LONGEST_LIFE))
    os.kill(writer, signal.SIGKILL)
    _, status = os.waitpid(writer, 0)
    assert os.WIFSIGNALED(status), "the writer failed by itself"
    left = 0
    for file in under_final_names(directory / f"v0/ns=default/wt=order/wi=order-{run}"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name, f"{file} is not whole"
        left += 1
    return left


def main(directory: Path, seed: int, times: int) -> None:
    chance = random.Random(seed)
    files = new_files(directory)
    files.check()
    found = 0
    for run in range(times):
        found += kill_one(directory, run, chance)
        # What the writer was about to store, or has stored in part, the next one stores.
        items = payloads(run, found % 2)
        files.write(items)
        assert files.read([place for place, _ in items]) == [data for _, data in items]
    left_over = list((directory / "tmp").iterdir())
    sys.stdout.write(f"{found} {len(left_over)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
