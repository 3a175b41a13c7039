"""A process that forks while its threads hold what the child needs."""

import gc
import os
import subprocess
import sys
import weakref

import pytest
from temporal_payloads._concurrency import fork
from temporal_payloads._storage.cache.disk import DiskCache
from temporal_payloads._storage.cache.memory import MemoryCache
from temporal_payloads._storage.recently_stored import RecentlyStored

PROGRAM = """
import asyncio, os, signal, sys, threading, time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from temporal_payloads import cache_statistics
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop
from temporal_payloads._concurrency.per_loop import PerLoop
from temporal_payloads._settings.models import CacheSettings
from temporal_payloads._storage.cache import disk as disk_module
from temporal_payloads._storage.cache.payload_cache import shared_cache
from temporal_payloads._storage.recently_stored import RecentlyStored

KEY = ("store", "ns", "a")
settings = CacheSettings(max_size=100_000, dir=Path(sys.argv[1]))
cache = shared_cache(settings)
memory, disk = cache._memory, cache._disk
stored = RecentlyStored()
disk_module.READ_SECONDS = 20.0

@asynccontextmanager
async def open_resource():
    yield "resource"

per_loop = PerLoop(open_resource)

async def use():
    cache.put(KEY, b"payload")
    assert cache.get(KEY) == b"payload"
    assert await disk.get([("store", "ns", "kept")]) == {("store", "ns", "kept"): b"kept"}
    stored.add((None, "a"), "claim", KEY)
    assert stored.among([(None, "a")]) == {(None, "a"): "claim"}
    assert shared_cache(settings) is cache
    assert cache_statistics()[0].disk.hits
    assert await run_off_loop(lambda: "work", OFFLOAD_SIZE) == "work"
    async with per_loop.use() as resource:
        assert resource == "resource"

disk._write(("store", "ns", "kept"), b"kept")
asyncio.run(use())

def hold(what):
    while True:
        with getattr(*what):
            time.sleep(0.005)

def keep_using():
    while True:
        with suppress(AssertionError):  # the other threads may have it evicted again
            asyncio.run(use())

def hammer():
    n = 0
    while True:
        n += 1
        cache.put(("store", "ns", str(n)), b"x" * 1000)
        stored.add((None, str(n)), "claim", KEY)
        cache_statistics()
        time.sleep(0)

for what in [(memory, "_lock"), (disk, "_lock"), (disk, "_tidying"), (stored, "_lock")]:
    threading.Thread(target=hold, args=[what], daemon=True).start()
for _ in range(2):
    threading.Thread(target=hammer, daemon=True).start()
    threading.Thread(target=keep_using, daemon=True).start()

for _ in range(10):
    time.sleep(0.005)
    child = os.fork()
    if not child:
        signal.alarm(40)
        asyncio.run(use())
        memory.put(("store", "ns", "b"), b"x" * 1000)
        assert memory.statistics.size <= 100_000
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, status
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_threads_hold_every_lock_goes_on(tmp_path):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_renewed_after_a_fork_is_not_kept_alive_for_it(tmp_path):
    objects = [DiskCache(tmp_path, 1_000_000), MemoryCache(1_000_000), RecentlyStored()]
    assert set(objects) <= set(fork._objects)
    alive = [weakref.ref(one) for one in objects]
    del objects
    gc.collect()
    assert [one() for one in alive] == [None, None, None]
