"""Writers that are killed at any moment leave nothing that others could trip over."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

KILLS = 1000
PROGRAM = Path(__file__).with_name("killed_writers.py")


@pytest.fixture
def quick_directory(tmp_path):
    """A directory in memory where there is one: what a killed process has written is there all the same."""
    memory = Path("/dev/shm")  # no file of a fixed name
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield Path(directory) / "payloads"


def test_a_thousand_killed_writers_leave_only_whole_files_and_the_next_store_the_same(quick_directory):
    seed = str(time.time_ns())
    command = [sys.executable, str(PROGRAM), str(quick_directory), seed, str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    files, left_over = map(int, done.stdout.split())
    # They were killed while they wrote, not before and not after.
    assert files > KILLS / 20
    assert left_over > KILLS / 100


async def test_what_killed_writers_have_left_is_removed_after_an_hour(
    directory, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
    old, new = directory / "tmp" / "old", directory / "tmp" / "new"
    for path in (old, new):
        path.write_bytes(b"half of a pay")
    os.utime(old, (time.time() - 3700,) * 2)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(2))
    assert list((directory / "tmp").iterdir()) == [new]
