"""The time that an operation has."""

import asyncio
import math

import pytest
from temporal_payloads._concurrency.time_limit import operation_within, time_left


class LateError(Exception):
    pass


async def test_what_is_late_is_cancelled_and_told():
    ended = []

    async def operation():
        async with operation_within(0.01, LateError):
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

    with pytest.raises(LateError) as caught:
        await operation()
    assert ended
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_a_timeout_of_the_operations_own_stays_what_it_is():
    with pytest.raises(TimeoutError, match="connection"):
        async with operation_within(60, LateError):
            raise TimeoutError("connection")


async def test_a_caller_that_gives_up_is_not_told_of_a_limit():
    async def operation():
        async with operation_within(60, LateError):
            await asyncio.sleep(60)

    task = asyncio.create_task(operation())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_is_known_within_how_much_is_left():
    assert time_left() == math.inf
    async with operation_within(60, LateError):
        assert 59 < time_left() <= 60
    assert time_left() == math.inf


async def test_time_without_a_limit_is_no_limit():
    async with operation_within(math.inf, LateError):
        await asyncio.sleep(0)
        assert time_left() == math.inf
