"""A driver's client is opened once per event loop, and closed with it."""

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest
from temporal_payloads._concurrency.per_loop import PerLoop


class Resource:
    """Something that belongs to the loop in which it was opened."""

    def __init__(self):
        self.opened = []
        self.closed = []
        self.failures = []
        self.gate = None

    @contextlib.asynccontextmanager
    async def open(self):
        loop = asyncio.get_running_loop()
        self.opened.append(id(loop))
        if self.failures:
            raise self.failures.pop(0)
        if self.gate is not None:
            await self.gate.wait()
        try:
            yield loop
        finally:
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
            self.closed.append(id(loop))


@pytest.fixture
def resource():
    return Resource()


async def use(per_loop):
    async with per_loop.use() as loop:
        assert loop is asyncio.get_running_loop()


async def turns(count=10):
    """Let every other task run as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_concurrent_first_uses_open_it_once(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        await asyncio.gather(*(use(per_loop) for _ in range(50)))

    asyncio.run(main())
    assert len(resource.opened) == 1
    assert resource.closed == resource.opened


def test_consecutive_loops_have_one_each(resource):
    per_loop = PerLoop(resource.open)
    for _ in range(3):
        asyncio.run(use(per_loop))
    assert len(resource.opened) == 3
    assert resource.closed == resource.opened


def test_loops_in_two_threads_have_one_each_at_the_same_time(resource):
    per_loop = PerLoop(resource.open)
    both = threading.Barrier(2, timeout=30)

    async def main():
        async with per_loop.use() as loop:
            assert loop is asyncio.get_running_loop()
            both.wait()

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(resource.opened)) == 2
    assert sorted(resource.closed) == sorted(resource.opened)


def test_a_failed_opening_is_told_to_all_who_waited_and_tried_again_by_the_next(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        resource.failures = [ConnectionError("down")]
        results = await asyncio.gather(*(use(per_loop) for _ in range(5)), return_exceptions=True)
        assert [str(result) for result in results] == ["down"] * 5
        await use(per_loop)

    asyncio.run(main())
    assert len(resource.opened) == 2
    assert len(resource.closed) == 1


def test_a_first_user_that_gives_up_does_not_take_it_from_the_others(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        resource.gate = asyncio.Event()
        first, second = asyncio.create_task(use(per_loop)), asyncio.create_task(use(per_loop))
        await turns()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        resource.gate.set()
        await second

    asyncio.run(main())
    assert len(resource.opened) == 1
    assert resource.closed == resource.opened


def test_keeping_it_open_closes_it_at_the_end_of_the_block_and_later_uses_open_it_anew(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        async with per_loop.kept_open():
            await use(per_loop)
            assert len(resource.opened) == 1
            assert resource.closed == []
        assert len(resource.closed) == 1
        await use(per_loop)

    asyncio.run(main())
    assert len(resource.opened) == len(resource.closed) == 2


def test_the_last_of_several_keepers_closes_it(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        async with per_loop.kept_open():
            async with per_loop.kept_open():
                pass
            assert resource.closed == []
        assert len(resource.closed) == 1

    asyncio.run(main())


def test_closing_waits_for_whoever_is_using_it(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        release = asyncio.Event()
        using = asyncio.Event()

        async def user():
            async with per_loop.use():
                using.set()
                await release.wait()
                assert resource.closed == []

        async def keeper():
            async with per_loop.kept_open():
                await using.wait()

        using_it, keeping_it = asyncio.create_task(user()), asyncio.create_task(keeper())
        await using.wait()
        await turns()
        assert not keeping_it.done()
        release.set()
        await asyncio.gather(using_it, keeping_it)
        assert len(resource.closed) == 1

    asyncio.run(main())


def test_a_keeper_that_cannot_open_it_is_told_and_leaves_nothing_behind(resource):
    async def main():
        per_loop = PerLoop(resource.open)
        resource.failures = [ConnectionError("down")]
        with pytest.raises(ConnectionError, match="down"):
            async with per_loop.kept_open():
                pytest.fail("must not get here")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_keeper_that_gives_up_while_it_is_opened_ends_the_opening(resource):
    """An endpoint that swallows packets must not make a worker impossible to stop."""

    async def main():
        per_loop = PerLoop(resource.open)
        resource.gate = asyncio.Event()  # never set
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), per_loop.kept_open():
                pytest.fail("must not get here")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        resource.gate = None
        await use(per_loop)

    asyncio.run(main())
    assert len(resource.opened) == 2


def test_an_error_while_closing_is_the_keepers():
    @contextlib.asynccontextmanager
    async def fails_to_close():
        yield 1
        raise ConnectionError("lost")

    async def main():
        with pytest.raises(ConnectionError, match="lost"):
            async with PerLoop(fails_to_close).kept_open():
                pass

    asyncio.run(main())


def test_a_loop_that_ended_is_not_kept_alive(resource):
    per_loop = PerLoop(resource.open)
    loops = []

    async def main():
        await use(per_loop)
        loops.append(weakref.ref(asyncio.get_running_loop()))

    asyncio.run(main())
    gc.collect()
    assert loops[0]() is None


def test_it_is_closed_even_if_nobody_holds_it_any_more(resource):
    async def main():
        await use(PerLoop(resource.open))
        gc.collect()
        await turns()

    asyncio.run(main())
    assert resource.closed == resource.opened
