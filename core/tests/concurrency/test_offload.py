"""Work in threads: it cannot be stopped, so whoever is cancelled waits for it."""

import asyncio
import os
import threading

import pytest
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop


async def test_cancelling_waits_for_what_a_thread_has_begun():
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        may_end.wait()
        ended.set()

    task = asyncio.create_task(run_off_loop(work, OFFLOAD_SIZE))
    await asyncio.to_thread(begun.wait)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_cancelling_drops_what_no_thread_has_begun():
    may_end = threading.Event()
    done = []
    blocking = [
        asyncio.create_task(run_off_loop(may_end.wait, OFFLOAD_SIZE)) for _ in range(os.cpu_count() or 1)
    ]
    await asyncio.sleep(0)
    task = asyncio.create_task(run_off_loop(lambda: done.append(1), OFFLOAD_SIZE))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()
    await asyncio.gather(*blocking)
    assert not done
