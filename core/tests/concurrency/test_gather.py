"""Concurrent work: bounded, in order, and with nothing left running."""

import asyncio

import pytest
from temporal_payloads.plugin import gather_bounded


async def test_results_are_in_the_order_of_the_items():
    async def work(item):
        for _ in range(10 - item):
            await asyncio.sleep(0)
        return item * 2

    assert await gather_bounded(work, list(range(10)), limit=4) == [item * 2 for item in range(10)]


@pytest.mark.parametrize(("items", "limit", "most"), [(20, 3, 3), (2, 5, 2), (1, 5, 1)])
async def test_no_more_than_the_limit_are_under_way(items, limit, most):
    under_way = seen = 0

    async def work(_):
        nonlocal under_way, seen
        under_way += 1
        seen = max(seen, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await gather_bounded(work, list(range(items)), limit=limit)
    assert seen == most


async def test_no_items_are_no_work():
    assert await gather_bounded(asyncio.sleep, [], limit=3) == []


async def test_the_first_failure_is_raised_as_it_is_after_the_rest_has_ended():
    ended = []
    failure = ValueError("2")

    async def work(item):
        try:
            if item == 2:
                raise failure
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(ValueError, match="2") as caught:
        await gather_bounded(work, [0, 1, 2, 3, 4], limit=3)
    assert caught.value is failure
    assert sorted(ended) == [0, 1, 2]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_that_is_cancelled_leaves_nothing_running():
    started = asyncio.Event()

    async def work(_):
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(gather_bounded(work, [1, 2, 3], limit=2))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
