"""Core calls a driver again that does not try again by itself, within `storage.timeout`."""

import asyncio

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._storage import asking
from temporal_payloads.plugin import (
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)

pytestmark = pytest.mark.usefixtures("leaping_clock")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.01)


@pytest.fixture
def make_driver(registry, memory):
    def make(*, retries=False, **storage):
        memory.retries = retries
        settings = {"drivers": {"memory": {}}, "cache": {"max_size": 0}} | storage
        return assemble(PayloadSettings(storage=settings), registry=registry).drivers["memory"]

    return make


@pytest.fixture
def failing(store):
    """Let the store fail some times, and then no more."""

    def fail(error, times):
        left = iter(range(times))

        def on_writing(shelf, items):
            if next(left, None) is not None:
                raise error

        store.on_writing = on_writing

    return fail


@pytest.mark.parametrize("error", [StorageUnavailableError("away"), ConnectionResetError("cut")])
async def test_what_was_out_of_reach_is_tried_again(
    make_driver, store, failing, make_payload, store_context, error
):
    failing(error, 2)
    await make_driver().store(store_context, [make_payload()])
    assert store.writes == 3


async def test_retrieving_is_tried_again_too(
    make_driver, store, make_payload, store_context, retrieve_context
):
    driver = make_driver()
    claims = await driver.store(store_context, [make_payload()])
    store.fail_reading = StorageUnavailableError("away")
    with pytest.raises(StorageUnavailableError):
        await driver.retrieve(retrieve_context, claims)
    assert store.reads == 3


async def test_it_is_tried_three_times_at_most(make_driver, store, failing, make_payload, store_context):
    failing(StorageUnavailableError("away"), 100)
    with pytest.raises(StorageUnavailableError, match="away"):
        await make_driver().store(store_context, [make_payload()])
    assert store.writes == 3


async def test_a_driver_whose_client_retries_is_called_once(
    make_driver, store, failing, make_payload, store_context
):
    failing(StorageUnavailableError("away"), 100)
    with pytest.raises(StorageUnavailableError):
        await make_driver(retries=True).store(store_context, [make_payload()])
    assert store.writes == 1


@pytest.mark.parametrize("error", [StoragePermissionError("no"), StorageTimeoutError("slow"), KeyError("x")])
async def test_what_another_try_would_not_mend_is_not_tried_again(
    make_driver, store, failing, make_payload, store_context, error
):
    failing(error, 100)
    with pytest.raises(StorageError):
        await make_driver().store(store_context, [make_payload()])
    assert store.writes == 1


async def test_nothing_is_waited_for_that_would_not_end_in_time(
    make_driver, store, failing, make_payload, store_context, monkeypatch, leaping_clock
):
    """The error says then what is wrong with the store, and not that the time was up."""
    monkeypatch.setattr(asking, "_pauses", lambda count: [60.0] * count)
    failing(StorageUnavailableError("away"), 100)
    start = leaping_clock.monotonic()
    with pytest.raises(StorageUnavailableError, match="away"):
        await make_driver(timeout="5s").store(store_context, [make_payload()])
    assert leaping_clock.monotonic() - start < 4
    assert store.writes == 1


async def test_a_request_is_tried_again_for_whoever_joined_it_and_has_time_left(
    make_driver, store, failing, make_payload, store_context, monkeypatch
):
    monkeypatch.setattr(asking, "_pauses", lambda count: [0.05] * count)
    failing(StorageUnavailableError("away"), 1)
    driver = make_driver(timeout="1s")
    store.gate = asyncio.Event()
    first = asyncio.create_task(driver.store(store_context, [make_payload()]))
    await asyncio.sleep(0.8)
    second = asyncio.create_task(driver.store(store_context, [make_payload()]))
    with pytest.raises(StorageTimeoutError):
        await first
    store.gate.set()
    assert await second
    assert store.writes == 2


async def test_a_circuit_that_opens_meanwhile_ends_the_tries(
    make_driver, store, failing, make_payload, store_context, monkeypatch
):
    monkeypatch.setattr(asking, "_pauses", lambda count: [0.2] * count)
    driver = make_driver(circuit={"failures": 1, "open_for": "1h"})
    failing(StorageUnavailableError("away"), 100)

    async def put(seed):
        await driver.store(store_context, [make_payload(seed=seed)])

    first = asyncio.create_task(put("a"))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(put("b"))
    failures = await asyncio.gather(first, second, return_exceptions=True)
    assert {type(one) for one in failures} == {StorageUnavailableError}
    # The second one's third try would have been after the first one's last failure.
    assert store.writes == 5


async def test_the_call_that_finds_out_whether_the_store_is_back_is_not_tried_again(
    make_driver, store, failing, make_payload, store_context
):
    driver = make_driver(circuit={"failures": 1, "open_for": "50ms"})
    failing(StorageUnavailableError("away"), 100)
    for writes in (3, 4, 5):
        with pytest.raises(StorageUnavailableError, match="away"):
            await driver.store(store_context, [make_payload()])
        assert store.writes == writes
        await asyncio.sleep(0.06)


def test_pauses_are_drawn_at_random_and_grow(monkeypatch):
    monkeypatch.setattr(asking, "FIRST_PAUSE", 1.0)
    drawn = [asking._pauses(5) for _ in range(200)]
    assert len({tuple(each) for each in drawn}) == 200
    for number, longest in enumerate([1.0, 2.0, 4.0, 4.0, 4.0]):
        pauses = [each[number] for each in drawn]
        assert min(pauses) < longest / 2 < max(pauses) <= longest
