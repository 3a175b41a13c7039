import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from temporal_payloads._storage.cache import disk
from temporal_payloads._storage.cache.disk import ABANDONED_SECONDS, FORMAT, DiskCache
from temporal_payloads._storage.cache.memory import CacheKey

KEY: CacheKey = ("store", "ns", "a" * 64)
MEBIBYTE = 1024 * 1024

Wait = Callable[[DiskCache], None]


def key(n: int) -> CacheKey:
    return ("store", "ns", f"{n:064}")


def entry(cache: DiskCache, name: CacheKey = KEY) -> Path:
    return cache._path / disk._name(name)


async def test_a_payload_is_there_for_another_process(tmp_path: Path, written: Wait) -> None:
    first = DiskCache(tmp_path, MEBIBYTE)
    first.put(KEY, b"payload")
    written(first)
    assert await DiskCache(tmp_path, MEBIBYTE).get([KEY, key(1)]) == {KEY: b"payload"}


async def test_one_store_or_namespace_never_sees_another_s_payload(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    assert (
        await cache.get([("other", "ns", KEY[2]), ("store", "other", KEY[2]), ("store", None, KEY[2])]) == {}
    )


def test_only_this_user_can_read_what_is_kept(tmp_path: Path, written: Wait) -> None:
    before = os.umask(0)
    try:
        cache = DiskCache(tmp_path / "made", MEBIBYTE)
        cache.put(KEY, b"payload")
        written(cache)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "made" / FORMAT).stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(cache).stat().st_mode) == 0o600


async def test_a_directory_that_others_may_write_to_is_not_used(
    tmp_path: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FORMAT).mkdir()
    (tmp_path / FORMAT).chmod(0o777)
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    assert await cache.get([KEY]) == {}
    assert list((tmp_path / FORMAT).iterdir()) == []
    assert "mode 0700 is needed" in caplog.text


async def test_a_damaged_entry_is_deleted_and_not_returned(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    entry(cache).write_bytes(entry(cache).read_bytes()[:-1] + b"X")
    assert await cache.get([KEY]) == {}
    assert not entry(cache).exists()


async def test_an_entry_that_was_moved_under_another_s_name_is_not_returned(
    tmp_path: Path, written: Wait
) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    entry(cache).rename(entry(cache, key(1)))
    assert await cache.get([key(1)]) == {}


async def test_an_entry_of_which_a_power_failure_left_nothing_is_not_returned(
    tmp_path: Path, written: Wait
) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(KEY, b"")
    written(cache)
    assert await cache.get([KEY]) == {KEY: b""}
    entry(cache).write_bytes(b"")
    assert await cache.get([KEY]) == {}


async def test_the_least_recently_used_payload_goes_first(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    for n in range(14):
        cache.put(key(n), b"x" * 60_000)
        written(cache)
        os.utime(entry(cache, key(n)), (n, n))
    assert key(0) in await cache.get([key(0)])  # used now
    cache.put(key(14), b"x" * 60_000)
    written(cache)
    kept = [n for n in range(15) if entry(cache, key(n)).exists()]
    assert kept[0] == 0
    assert kept[1] > 1
    assert kept[-1] == 14
    assert cache.statistics.evictions == 15 - len(kept)


def test_a_payload_over_half_of_the_bound_is_not_kept(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    assert not cache.accepts(MEBIBYTE // 2)
    cache.put(KEY, b"x" * (MEBIBYTE // 2))
    written(cache)
    assert not entry(cache).exists()


def test_files_of_others_in_the_directory_are_left_alone(tmp_path: Path, written: Wait) -> None:
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    cache = DiskCache(tmp_path, MEBIBYTE)
    for n in range(40):
        cache.put(key(n), b"x" * 60_000)
    written(cache)
    assert mine.read_text() == "mine"


def test_what_a_killed_process_left_unfinished_is_cleared_away_later(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path, MEBIBYTE)
    cache.put(key(0), b"payload")
    written(cache)
    old, fresh = (tmp_path / FORMAT / f"{digit * 32}.unfinished" for digit in "01")
    for file in (old, fresh):
        file.write_bytes(b"half")
    past = old.stat().st_mtime - ABANDONED_SECONDS - 1
    os.utime(old, (past, past))
    DiskCacheWrites(tmp_path).put_and_wait(written)
    assert not old.exists()
    assert fresh.exists()


class DiskCacheWrites:
    """Another process's cache of the same directory, whose first write looks after it."""

    def __init__(self, directory: Path) -> None:
        self._cache = DiskCache(directory, MEBIBYTE)

    def put_and_wait(self, written: Wait) -> None:
        self._cache.put(key(1), b"payload")
        written(self._cache)


WRITER = """
import sys
from pathlib import Path
from temporal_payloads._storage.cache.disk import DiskCache

directory, max_size, size, first, count = sys.argv[1], *map(int, sys.argv[2:])
cache = DiskCache(Path(directory), max_size)
print("ready", flush=True)
for n in range(first, first + count):
    data = b"%020d" % n * (size // 20)
    cache._write(("store", "ns", f"{n:064}"), data)
"""


def writer(directory: Path, max_size: int, size: int, first: int, count: int) -> subprocess.Popen[bytes]:
    arguments = [str(directory), *map(str, (max_size, size, first, count))]
    process = subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    process.stdout.close()
    return process.wait()


def test_a_process_that_is_killed_while_it_writes_leaves_only_whole_payloads(tmp_path: Path) -> None:
    size = 4_000_000
    process = writer(tmp_path, 1024 * MEBIBYTE, size, 0, 1_000)
    while len(list((tmp_path / FORMAT).glob("*.payload"))) < 3:
        pass
    while not list((tmp_path / FORMAT).glob("*.unfinished")):
        pass
    process.send_signal(signal.SIGKILL)
    assert end(process) == -signal.SIGKILL

    cache = DiskCache(tmp_path, 1024 * MEBIBYTE)
    names = {entry(cache, key(n)).name: n for n in range(1_000)}
    there = [names[path.name] for path in (tmp_path / FORMAT).glob("*.payload")]
    found = asyncio.run(cache.get([key(n) for n in there]))
    assert found == {key(n): b"%020d" % n * (size // 20) for n in there}
    assert len(there) >= 3


async def test_processes_that_share_the_directory_keep_within_the_bound(tmp_path: Path) -> None:
    bound = 4 * MEBIBYTE
    processes = [writer(tmp_path, bound, 20_000, n * 1_000, 600) for n in range(3)]
    largest = 0
    while any(process.poll() is None for process in processes):
        largest = max(largest, _size_on_disk(tmp_path / FORMAT))
        await asyncio.sleep(0.001)
    assert [end(process) for process in processes] == [0, 0, 0]
    assert largest <= bound
    assert _size_on_disk(tmp_path / FORMAT) > bound // 2

    found = await DiskCache(tmp_path, bound).get([key(p * 1_000 + n) for p in range(3) for n in range(600)])
    assert found
    assert all(data == b"%020d" % int(name[2]) * 1_000 for name, data in found.items())


def _size_on_disk(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


FULL = """
import asyncio, logging, resource, sys
from pathlib import Path
from temporal_payloads._storage.cache import disk
from temporal_payloads._storage.cache.disk import DiskCache

async def main():
    disk.READ_SECONDS = 60.0
    logging.basicConfig()
    cache = DiskCache(Path(sys.argv[1]), 2**30)
    cache._write(("store", "ns", "small"), b"small")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk: a write fails halfway
    for n in range(3):
        cache._write(("store", "ns", str(n)), b"x" * 100_000)
    print(await cache.get([("store", "ns", "small")]))

asyncio.run(main())
"""


def test_a_full_disk_is_told_once_and_what_is_there_is_still_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{('store', 'ns', 'small'): b'small'}"
    assert done.stderr.count("cannot be written: [Errno 27] File too large") == 1
    assert len(list((tmp_path / FORMAT).iterdir())) == 1  # no half of a file is left


async def test_a_directory_that_cannot_be_made_is_told_and_nothing_fails(
    tmp_path: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = DiskCache(tmp_path / "file", MEBIBYTE)
    for n in range(3):
        cache.put(key(n), b"payload")
        written(cache)
        assert await cache.get([key(n)]) == {}
    told = [record.getMessage() for record in caplog.records]
    assert len([message for message in told if "cannot be written" in message]) == 1
    assert len([message for message in told if "cannot be read" in message]) == 1
    assert all("storage.cache.dir" in message for message in told)


async def test_a_disk_that_hangs_does_not_keep_a_payload_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "READ_SECONDS", 0.05)
    cache = DiskCache(tmp_path, MEBIBYTE)
    answer = threading.Event()
    for _ in range(2):
        cache._threads.submit(answer.wait)  # as whatever the threads ask the disk for
    try:
        assert await cache.get([KEY]) == {}
        assert await cache.get([KEY]) == {}  # at once: the disk is left alone
    finally:
        answer.set()
    assert caplog.text.count("cannot be read: no answer within 0.05s") == 1


def test_a_slow_disk_loses_entries_and_not_the_worker_its_memory(
    tmp_path: Path, written: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "QUEUE_SIZE", 250_000)
    cache = DiskCache(tmp_path, 100 * MEBIBYTE)
    with cache._tidying:  # nobody gets on
        for n in range(10):
            cache.put(key(n), b"x" * 100_000)
        assert cache._queued == 200_000
    written(cache)
    assert cache.statistics.entries == 2


FORK = """
import asyncio, os, sys
from pathlib import Path
from temporal_payloads._storage.cache import disk
from temporal_payloads._storage.cache.disk import DiskCache

disk.READ_SECONDS = 60.0
key = ("store", "ns", "a")
cache = DiskCache(Path(sys.argv[1]), 2**30)
cache._write(key, b"payload")
assert asyncio.run(cache.get([key])) == {key: b"payload"}  # now the cache has threads
child = os.fork()
assert asyncio.run(cache.get([key])) == {key: b"payload"}
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_reads_as_its_parent_does(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
