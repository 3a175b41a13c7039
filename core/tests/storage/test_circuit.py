"""A store that is down is left alone, and found again when it is back."""

import asyncio
import logging
import time
from datetime import timedelta

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from temporalio.common import RetryPolicy
from temporalio.testing import ActivityEnvironment

pytestmark = pytest.mark.usefixtures("leaping_clock")

DOWN = StorageUnavailableError("the store is down")
SHORT = {"failures": 3, "open_for": "50ms"}
LONG = {"failures": 3, "open_for": "1h"}


@pytest.fixture
def make_driver(registry):
    def make(circuit, **storage):
        settings = {"drivers": {"memory": {}}, "circuit": circuit, "cache": {"max_size": 0}} | storage
        return assemble(PayloadSettings(storage=settings), registry=registry).drivers["memory"]

    return make


@pytest.fixture
def put(make_payload, store_context):
    """Store a payload that was not stored before."""
    numbers = iter(range(10_000))

    async def put_one(driver):
        [claim] = await driver.store(store_context, [make_payload(seed=f"-{next(numbers)}-")])
        return claim

    return put_one


async def fail(driver, put, times=3, error=StorageUnavailableError):
    for _ in range(times):
        with pytest.raises(error):
            await put(driver)


async def test_after_some_failures_in_a_row_the_store_is_not_asked_any_more(make_driver, put, store):
    driver = make_driver(LONG)
    store.fail_writing = DOWN
    await fail(driver, put, times=20)
    assert store.writes == 3


async def test_the_error_says_that_the_circuit_is_open_since_when_why_and_until_when(make_driver, put, store):
    driver = make_driver(LONG)
    store.fail_writing = DOWN
    await fail(driver, put)
    with pytest.raises(StorageUnavailableError) as raised:
        await put(driver)
    message = raised.value.message
    assert "'example.memory' (storage.drivers.memory)" in message
    assert f"circuit is open since {time.strftime('%Y-')}" in message
    assert "the store is down" in message
    assert "tried again in 3" in message
    assert "storage.circuit" in message
    assert raised.value.type == "StorageUnavailableError"
    assert not raised.value.non_retryable


async def test_retrieving_fails_at_once_as_well(make_driver, put, store, retrieve_context):
    driver = make_driver(LONG)
    claim = await put(driver)
    store.fail_reading = DOWN
    for _ in range(9):
        with pytest.raises(StorageUnavailableError):
            await driver.retrieve(retrieve_context, [claim])
    assert store.reads == 3


async def test_what_is_in_the_cache_is_read_while_the_circuit_is_open(
    make_driver, put, store, retrieve_context
):
    driver = make_driver(LONG, cache={"max_size": 9_000_001})
    claim = await put(driver)
    store.fail_writing = DOWN
    await fail(driver, put, times=4)
    assert await driver.retrieve(retrieve_context, [claim])
    assert store.reads == 0


async def test_what_was_just_stored_need_not_be_stored_while_the_circuit_is_open(
    make_driver, put, store, make_payload, store_context
):
    driver = make_driver(LONG)
    claims = await driver.store(store_context, [make_payload()])
    store.fail_writing = DOWN
    await fail(driver, put, times=4)
    assert await driver.store(store_context, [make_payload()]) == claims


async def test_a_success_in_between_begins_the_count_anew(make_driver, put, store):
    driver = make_driver(LONG)
    for _ in range(4):
        store.fail_writing = DOWN
        await fail(driver, put, times=2)
        store.fail_writing = None
        await put(driver)
    assert store.writes == 12


async def test_failures_that_lie_far_apart_do_not_open_it(make_driver, put, store):
    driver = make_driver({"failures": 2, "within": "20ms", "open_for": "1h"})
    store.fail_writing = DOWN
    for _ in range(4):
        await fail(driver, put, times=1)
        await asyncio.sleep(0.03)
    assert store.writes == 4


@pytest.mark.parametrize(
    "error",
    [
        StoragePermissionError("no"),
        StorageMisconfiguredError("no such bucket"),
        PayloadTooLargeError("too large"),
        PayloadNotFoundError("gone"),
    ],
)
async def test_a_failure_that_is_not_the_stores_does_not_open_it(make_driver, put, store, error):
    driver = make_driver(LONG)
    store.fail_writing = error
    await fail(driver, put, times=10, error=type(error))
    assert store.writes == 10


REFUSALS = [StoragePermissionError("no"), StorageMisconfiguredError("no such bucket")]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_says_that_the_store_answers(make_driver, put, store, refusal):
    driver = make_driver(LONG)
    for _ in range(4):
        store.fail_writing = DOWN
        await fail(driver, put, times=2)
        store.fail_writing = refusal
        await fail(driver, put, times=1, error=type(refusal))
    assert store.writes == 12


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_closes_it(make_driver, put, store, refusal):
    """Everybody is told then what has to be corrected, and nobody that the store is down."""
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put)
    await asyncio.sleep(0.06)
    store.fail_writing = refusal
    await fail(driver, put, times=1, error=type(refusal))
    store.gate = asyncio.Event()
    asking = [asyncio.create_task(put(driver)) for _ in range(5)]
    await asyncio.sleep(0.05)
    store.gate.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {type(refusal)}


NOT_ASKED = StoragePermissionError("no credentials", store_asked=False)


async def test_an_error_from_before_the_store_was_asked_is_no_answer(make_driver, put, store):
    """One tenant whose settings are wrong does not keep all others asking a store that is down."""
    driver = make_driver(LONG)
    for _ in range(3):
        store.fail_writing = NOT_ASKED
        await fail(driver, put, times=1, error=StoragePermissionError)
        store.fail_writing = DOWN
        await fail(driver, put, times=1)
    with pytest.raises(StorageUnavailableError, match="circuit is open"):
        await put(driver)


async def test_nor_does_it_close_the_circuit(make_driver, put, store):
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put)
    await asyncio.sleep(0.06)
    store.fail_writing = NOT_ASKED
    await fail(driver, put, times=1, error=StoragePermissionError)
    assert store.writes == 4
    store.fail_writing = DOWN
    await fail(driver, put, times=1)
    with pytest.raises(StorageUnavailableError, match="circuit is open"):
        await put(driver)


async def test_nor_does_it_open_it(make_driver, put, store):
    driver = make_driver(LONG)
    store.fail_writing = NOT_ASKED
    await fail(driver, put, times=10, error=StoragePermissionError)
    assert store.writes == 10


async def test_a_connection_that_a_driver_has_no_words_for_counts(make_driver, put, store):
    driver = make_driver(LONG)
    store.fail_writing = ConnectionRefusedError("nobody listens")
    await fail(driver, put, times=10)
    assert store.writes == 3


async def test_a_store_that_gives_no_answer_in_time_opens_it(make_driver, put, store):
    driver = make_driver(LONG, timeout="20ms")
    store.shelves_frozen.add("main")
    await fail(driver, put, times=3, error=StorageTimeoutError)
    with pytest.raises(StorageUnavailableError, match="circuit is open") as raised:
        await put(driver)
    assert "no answer in time" in raised.value.message


async def test_a_store_that_answers_nobody_opens_it_at_once_when_many_ask(make_driver, put, store):
    driver = make_driver(LONG, timeout="100ms")
    await put(driver)
    store.shelves_frozen.add("main")
    asking = [put(driver) for _ in range(3)]
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in told} == {StorageTimeoutError}
    with pytest.raises(StorageUnavailableError, match="circuit is open"):
        await put(driver)


async def test_a_store_that_is_slow_for_some_and_answers_others_does_not_open_it(make_driver, put, store):
    driver = make_driver(LONG, timeout="1s")
    store.gate = asyncio.Event()
    slow = [asyncio.create_task(put(driver)) for _ in range(10)]
    while store.writes < len(slow):  # noqa: ASYNC110  # the store tells of the first one only
        await asyncio.sleep(0)
    store.gate = None
    await asyncio.sleep(0.5)
    await put(driver)
    told = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(one) for one in told} == {StorageTimeoutError}
    await put(driver)


async def test_callers_that_give_up_for_reasons_of_their_own_do_not_open_it(make_driver, put, store):
    driver = make_driver(LONG)
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    for _ in range(5):
        storing = asyncio.create_task(put(driver))
        await asyncio.wait_for(store.arrived.wait(), 10)
        store.arrived.clear()
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
    assert store.writes == 5


async def test_one_that_gives_up_a_request_does_not_open_it_though_another_waited_in_vain(
    make_driver, put, store, make_payload, store_context
):
    """Whoever is cancelled last had time left: the store might have answered."""
    driver = make_driver({"failures": 1, "open_for": "1h"}, timeout="1s")
    store.shelves_frozen.add("main")
    first = asyncio.create_task(driver.store(store_context, [make_payload()]))
    await asyncio.sleep(0.8)
    second = asyncio.create_task(driver.store(store_context, [make_payload()]))
    with pytest.raises(StorageTimeoutError):
        await first
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    store.shelves_frozen.clear()
    assert await put(driver)


async def test_many_that_wait_for_one_request_count_it_once(
    make_driver, store, make_payload, store_context, put
):
    driver = make_driver(LONG, timeout="50ms")
    store.shelves_frozen.add("main")
    same = [driver.store(store_context, [make_payload()]) for _ in range(10)]
    assert {type(one) for one in await asyncio.gather(*same, return_exceptions=True)} == {StorageTimeoutError}
    store.shelves_frozen.clear()
    assert await put(driver)


async def test_one_caller_at_a_time_tries_whether_the_store_is_back(make_driver, put, store):
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put)
    await asyncio.sleep(0.06)
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    probe = asyncio.create_task(put(driver))
    await asyncio.wait_for(store.arrived.wait(), 10)
    with pytest.raises(StorageUnavailableError, match="being tried right now"):
        await asyncio.wait_for(put(driver), 10)
    assert store.writes == 4
    store.fail_writing = None
    store.gate.set()
    await probe
    await asyncio.gather(*(put(driver) for _ in range(5)))


async def test_as_long_as_the_store_is_down_one_call_finds_out_each_time(make_driver, put, store):
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put)
    for tried in (1, 2, 3):
        await asyncio.sleep(0.06)
        await fail(driver, put, times=10)
        assert store.writes == 3 + tried


async def test_a_caller_that_gives_up_trying_leaves_it_to_the_next(make_driver, put, store):
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put)
    await asyncio.sleep(0.06)
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    probe = asyncio.create_task(put(driver))
    await asyncio.wait_for(store.arrived.wait(), 10)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    store.gate = store.fail_writing = None
    assert await put(driver)


async def test_it_says_in_the_log_when_it_opens_and_when_it_closes(make_driver, put, store, caplog):
    driver = make_driver(SHORT)
    store.fail_writing = DOWN
    await fail(driver, put, times=10)
    await asyncio.sleep(0.06)
    await fail(driver, put, times=10)
    await asyncio.sleep(0.06)
    store.fail_writing = None
    await put(driver)
    opens, closes = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert "circuit opens after 3 failures in a row" in opens
    assert "the store is down" in opens
    assert "storage.drivers.memory" in opens
    assert "circuit closes after" in closes


@pytest.mark.parametrize("off", [False, {"failures": 0}])
async def test_it_can_be_turned_off(make_driver, put, store, off):
    driver = make_driver(off)
    store.fail_writing = DOWN
    await fail(driver, put, times=20)
    assert store.writes == 20


def test_it_can_be_turned_off_in_the_file(write_settings):
    write_settings("""
        [storage]
        circuit = false
    """)
    assert PayloadSettings.load().storage.circuit.failures == 0


async def test_a_check_asks_the_store_itself(make_driver, put, store):
    driver = make_driver(LONG)
    store.fail_writing = DOWN
    await fail(driver, put, times=4)
    async with driver.kept_open(check=True):
        pass
    store.shelves_down.add("main")
    with pytest.raises(StorageUnavailableError, match="the shelf main is down"):
        await driver.check()


def in_activity(attempt=1, **policy):
    environment = ActivityEnvironment()
    info = ActivityEnvironment.default_info()
    retries = RetryPolicy(**policy) if policy else None
    environment.info = type(info)(**{**info.__dict__, "attempt": attempt, "retry_policy": retries})
    return environment


@pytest.mark.parametrize(
    ("attempt", "policy", "delayed"),
    [
        (1, {}, True),
        (1, {"initial_interval": timedelta(seconds=1)}, True),
        (10, {"initial_interval": timedelta(seconds=1), "maximum_interval": timedelta(seconds=2)}, True),
        (5, {"initial_interval": timedelta(seconds=10), "backoff_coefficient": 10.0}, False),
        (1, {"initial_interval": timedelta(hours=2)}, False),
        (10**6, {"initial_interval": timedelta(seconds=100)}, False),
    ],
)
async def test_an_activity_does_not_use_up_its_attempts_while_the_circuit_is_open(
    make_driver, put, store, attempt, policy, delayed
):
    driver = make_driver({"failures": 1, "open_for": "10m"})
    store.fail_writing = DOWN
    await fail(driver, put, times=1)
    with pytest.raises(StorageUnavailableError) as raised:
        await in_activity(attempt, **policy).run(put, driver)
    delay = raised.value.next_retry_delay
    assert (delay is not None) == delayed
    assert delay is None or timedelta(minutes=9) < delay < timedelta(minutes=11)
