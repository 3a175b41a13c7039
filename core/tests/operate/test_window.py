"""Fetching stays a bounded number of bytes ahead of reading."""

import asyncio

import pytest
from temporal_payloads._operate.window import Window
from temporal_payloads._storage.cache.memory import ENTRY_OVERHEAD

KEYS = [("store", "ns", str(number)) for number in range(4)]


async def waits(entering: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not entering.done()


@pytest.fixture
def window() -> Window:
    return Window(2 * (1000 + ENTRY_OVERHEAD))


async def test_a_payload_waits_until_there_is_room(window: Window) -> None:
    await window.enter(KEYS[0], 1000)
    await window.enter(KEYS[1], 1000)
    entering = asyncio.create_task(window.enter(KEYS[2], 1000))
    assert await waits(entering)
    window.leave(KEYS[1])
    await entering


async def test_real_sizes_count_as_soon_as_they_are_known(window: Window) -> None:
    await window.enter(KEYS[0], 0)
    window.correct(KEYS[0], 2000)
    entering = asyncio.create_task(window.enter(KEYS[1], 1000))
    assert await waits(entering)
    window.correct(KEYS[0], 1000)
    await entering


async def test_tiny_payloads_count_too() -> None:
    window = Window(2 * ENTRY_OVERHEAD)
    await window.enter(KEYS[0], 0)
    await window.enter(KEYS[1], 0)
    entering = asyncio.create_task(window.enter(KEYS[2], 0))
    assert await waits(entering)
    entering.cancel()


async def test_a_payload_over_the_bound_has_the_window_to_itself(window: Window) -> None:
    await window.enter(KEYS[0], 1)
    entering = asyncio.create_task(window.enter(KEYS[1], 1_000_000))
    assert await waits(entering)
    window.leave(KEYS[0])
    await entering


async def test_a_payload_that_enters_twice_counts_once(window: Window) -> None:
    await window.enter(KEYS[0], 1000)
    await window.enter(KEYS[0], 1000)
    await window.enter(KEYS[1], 1000)


async def test_what_has_left_is_neither_corrected_nor_counted(window: Window) -> None:
    await window.enter(KEYS[0], 1000)
    window.leave(KEYS[0])
    window.leave(KEYS[0])
    window.correct(KEYS[0], 1_000_000)
    await window.enter(KEYS[1], 1000)
    await window.enter(KEYS[2], 1000)
