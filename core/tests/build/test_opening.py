"""Drivers are opened and checked together: all that fail are told, and one that may fail is no obstacle."""

import asyncio
import logging

import pytest
from temporal_payloads import PayloadSettings, open_data_converter
from temporal_payloads.plugin import StorageTimeoutError, StorageUnavailableError

pytestmark = pytest.mark.usefixtures("leaping_clock")

THREE = ("one", "two", "three")


@pytest.fixture
def make_settings():
    """Settings with drivers of the same type, the first of which is written to."""

    def make(*names, timeout="30s", **changes):
        drivers = {
            name: {"type": "memory", "shelf": name, "driver_name": name, **changes.get(name, {})}
            for name in names
        }
        return PayloadSettings(
            storage={"driver": names[0], "timeout": timeout, "threshold": 0, "drivers": drivers}
        )

    return make


async def test_three_silent_stores_cost_one_timeout_and_all_are_told(
    make_settings, registry, store, leaping_clock
):
    store.gate = asyncio.Event()
    started = leaping_clock.monotonic()
    with pytest.raises(StorageTimeoutError, match=r"storage\.drivers\.one") as raised:
        async with open_data_converter(make_settings(*THREE, timeout="2s"), registry=registry):
            pass
    assert leaping_clock.monotonic() - started == pytest.approx(2.0)
    second, third = raised.value.__notes__
    assert "storage.drivers.two" in second
    assert "storage.drivers.three" in third
    assert store.open_now == 0


async def test_the_drivers_that_could_be_opened_are_closed_when_another_cannot(
    make_settings, registry, store
):
    store.shelves_down = {"two"}
    with pytest.raises(StorageUnavailableError, match="the shelf two is down"):
        async with open_data_converter(make_settings(*THREE), registry=registry):
            pass
    assert (store.opened, store.open_now) == (3, 0)


async def test_a_cancelled_opening_leaves_nothing_open(make_settings, registry, store):
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()

    async def hold():
        async with open_data_converter(make_settings(*THREE, timeout="1m"), registry=registry):
            pass

    holding = asyncio.create_task(hold())
    await store.arrived.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert store.open_now == 0


async def test_a_store_that_is_only_retrieved_from_may_be_down(make_settings, registry, store, caplog):
    settings = make_settings("new", "old", old={"retrieve_only": True})
    store.shelves_down = {"old"}
    async with open_data_converter(settings, registry=registry) as converter:
        [record] = caplog.records
        assert (record.name, record.levelno) == ("temporal_payloads", logging.WARNING)
        assert "'old' (storage.drivers.old)> cannot be used now" in record.getMessage()
        assert "the shelf old is down" in record.getMessage()
        assert store.open_now == 1
        assert await converter.decode(await converter.encode(["order"])) == ["order"]


async def test_closing_several_drivers_that_do_not_close_costs_one_timeout(
    make_settings, registry, store, caplog, leaping_clock
):
    store.closing = asyncio.Event()
    started = leaping_clock.monotonic()
    async with open_data_converter(make_settings(*THREE, timeout="2s"), registry=registry):
        pass
    assert leaping_clock.monotonic() - started == pytest.approx(2.0)
    assert caplog.text.count("was not closed properly") == 3
    store.closing.set()
