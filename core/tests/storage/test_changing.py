"""Changing payloads one by one, or in batches: what came of each, also where the store fails."""

import asyncio

import pytest
from temporal_payloads.plugin import StorageUnavailableError, change_batches, change_each


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


async def test_of_batches_each_payload_has_its_own_outcome_in_its_place():
    sizes = []

    async def change(batch):
        sizes.append(len(batch))
        await asyncio.sleep(0)
        return ["refused" if number == 3 else "done" for number in batch]

    assert await change_batches(change, range(5), size=2, limit=2) == ["done"] * 3 + ["refused", "done"]
    assert sizes == [2, 2, 1]
    assert await change_batches(change, [], size=2, limit=2) == []


async def test_where_a_batch_fails_the_error_tells_what_came_of_the_others():
    failed = asyncio.Event()
    begun = []

    async def change(batch):
        begun.append(list(batch))
        if 2 in batch:
            await asyncio.sleep(0)
            failed.set()
            raise StorageUnavailableError("told to fail")
        await failed.wait()  # under way when that happens
        return ["done"] * len(batch)

    with pytest.raises(StorageUnavailableError) as raised:
        await change_batches(change, range(9), size=2, limit=3)
    assert raised.value.changes == ["done"] * 2 + ["unknown"] * 2 + ["done"] * 2 + ["unknown"] * 3
    assert begun == [[0, 1], [2, 3], [4, 5]]
