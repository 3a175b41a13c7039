"""Pages of what a store lists: no faster than they may be asked for, and none that nobody wants any more."""

from contextlib import aclosing
from typing import Any

import pytest
from temporal_payloads._operate.pages import pages_of
from temporal_payloads._operate.throttle import Throttle
from temporal_payloads.plugin import ListedPage


class Shelf:
    """Stands for a driver whose store lists three pages."""

    def __init__(self):
        self.asked = 0
        self.closed = False

    async def list_payloads(self, shard):
        try:
            for _ in range(3):
                self.asked += 1
                yield ListedPage(payloads=[], others=self.asked)
        finally:
            self.closed = True


@pytest.fixture
def shelf() -> Any:
    return Shelf()


async def test_each_page_is_waited_for(shelf, leaping_clock):
    start = leaping_clock.monotonic()
    at = [leaping_clock.monotonic() - start async for _ in pages_of(shelf, "all", wait=Throttle(2).wait)]
    assert at == pytest.approx([0, 0.5, 1])


async def test_without_a_limit_pages_come_as_the_store_lists_them(shelf, leaping_clock):
    start = leaping_clock.monotonic()
    assert [page.others async for page in pages_of(shelf, "all")] == [1, 2, 3]
    assert leaping_clock.monotonic() == start


async def test_who_stops_early_ends_the_store_s_listing(shelf):
    async with aclosing(pages_of(shelf, "all")) as pages:
        await anext(pages)
    assert (shelf.asked, shelf.closed) == (1, True)
