"""Changing payloads one by one: what came of each, also where the store fails."""

import asyncio

import pytest
from temporal_payloads.plugin import StorageUnavailableError, change_each


async def test_each_payload_has_its_own_outcome_in_its_place():
    async def change(number):
        await asyncio.sleep(0)
        return "refused" if number == 3 else "done"

    assert await change_each(change, range(6), limit=2) == ["done"] * 3 + ["refused"] + ["done"] * 2
    assert await change_each(change, [], limit=2) == []


async def test_where_the_store_fails_what_is_under_way_ends_and_the_error_tells_what_came_of_each():
    failed = asyncio.Event()
    begun = []

    async def change(number):
        begun.append(number)
        if number == 1:
            await asyncio.sleep(0)
            failed.set()
            raise StorageUnavailableError("told to fail")
        await failed.wait()  # under way when that happens
        return "done"

    with pytest.raises(StorageUnavailableError) as raised:
        await change_each(change, range(10), limit=3)
    assert raised.value.changes == ["done", "unknown", "done"] + ["unknown"] * 7
    assert begun == [0, 1, 2]
