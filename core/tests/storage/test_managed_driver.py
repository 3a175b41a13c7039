"""What core provides around every storage driver."""

import asyncio
import hashlib
import itertools
import logging
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._storage.cache.payload_cache import PayloadCache
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
    hookimpl,
)
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, StorageDriverClaim, StorageDriverStoreContext
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

NO_CACHE = {"max_size": 0}
sizes = itertools.count(10_000_000)
"""Sizes of caches that no other test has: one size is one cache for the process."""


@pytest.fixture
def events(registry):
    heard = []

    class Observer:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            heard.append(event)

    registry.register_observer(Observer())
    return heard


@pytest.fixture
def make_driver(registry):
    """Make the driver `memory` as the SDK gets it."""

    def make(cache=NO_CACHE, timeout="30s", **options):
        settings = PayloadSettings(
            storage={"drivers": {"memory": options}, "cache": cache, "timeout": timeout}
        )
        return assemble(settings, registry=registry).drivers["memory"]

    return make


@pytest.fixture
def driver(make_driver):
    return make_driver()


@pytest.fixture
def cached(make_driver):
    return make_driver(cache={"max_size": next(sizes)})


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def with_key(claim, key):
    return StorageDriverClaim(claim_data={**claim.claim_data, "key": key})


# -- identity


def test_a_driver_says_what_the_settings_call_it(driver):
    assert driver.name() == "example.memory"
    assert driver.type() == "memory"
    assert repr(driver) == "<storage driver 'example.memory' (storage.drivers.memory)>"


def test_an_alias_is_the_same_driver_under_another_name(driver):
    alias = DriverAlias(driver, "older")
    assert (alias.name(), alias.type()) == ("older", "memory")


# -- confinement


async def test_a_forged_claim_is_rejected_before_the_store_is_asked(
    driver, store, make_payload, store_context, retrieve_context
):
    mine, forged = await driver.store(store_context, [make_payload(seed="a"), make_payload(seed="b")])
    store.opened = 0
    outside = with_key(forged, forged.claim_data["key"].replace("main/", "other/"))
    with pytest.raises(ClaimRejectedError, match="outside this shelf"):
        await driver.retrieve(retrieve_context, [mine, outside])
    assert store.reads == 0


async def test_a_forged_claim_does_not_even_open_the_driver(driver, store, retrieve_context):
    with pytest.raises(ClaimRejectedError):
        await driver.retrieve(retrieve_context, [StorageDriverClaim(claim_data={})])
    assert store.opened == 0


async def test_a_forged_claim_is_rejected_even_if_the_cache_has_the_content(
    cached, make_payload, store_context, retrieve_context
):
    (claim,) = await cached.store(store_context, [make_payload()])
    with pytest.raises(ClaimRejectedError):
        await cached.retrieve(retrieve_context, [with_key(claim, "other/orders/x")])


async def test_a_claim_that_could_not_be_read_back_does_not_get_into_a_history(
    driver, make_payload, store_context, monkeypatch
):
    def reject(claim):
        raise ClaimRejectedError("never")

    monkeypatch.setattr(driver, "_confine", reject)
    with pytest.raises(ClaimRejectedError):
        await driver.store(store_context, [make_payload()])


# -- storing


async def test_payloads_come_back_in_order(driver, make_payload, store_context, retrieve_context):
    payloads = [make_payload(size, seed) for size in (0, 10, 5000) for seed in "abc"]
    claims = await driver.store(store_context, payloads)
    assert await driver.retrieve(retrieve_context, claims) == payloads
    assert await driver.retrieve(retrieve_context, claims[::-1]) == payloads[::-1]


async def test_equal_payloads_of_one_call_are_stored_once(driver, store, make_payload, store_context):
    one, other, again = await driver.store(
        store_context, [make_payload(), make_payload(seed="b"), make_payload()]
    )
    assert one == again != other
    assert len(store.items) == 2


async def test_equal_payloads_of_one_target_just_stored_are_not_stored_again(
    driver, store, make_payload, store_context, events
):
    first = await driver.store(store_context, [make_payload()])
    assert await driver.store(store_context, [make_payload()]) == first
    assert store.writes == 1
    assert [event.dedupe_hits for event in events] == [0, 1]


async def test_equal_payloads_of_different_targets_are_stored_for_each(
    driver, store, make_payload, store_context
):
    await driver.store(store_context, [make_payload()])
    await driver.store(StorageDriverStoreContext(), [make_payload()])
    assert store.writes == 2
    assert len(store.items) == 2


async def test_where_payloads_expire_they_are_stored_again(make_driver, store, make_payload, store_context):
    driver = make_driver(ttl=3600)
    await driver.store(store_context, [make_payload()])
    await driver.store(store_context, [make_payload()])
    assert store.writes == 2


async def test_a_payload_that_could_not_be_stored_is_not_taken_for_stored(
    driver, store, make_payload, store_context
):
    store.fail_writing = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await driver.store(store_context, [make_payload()])
    store.fail_writing = None
    await driver.store(store_context, [make_payload()])
    assert len(store.items) == 1


async def test_concurrent_stores_of_equal_payloads_are_one(driver, store, make_payload, store_context):
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    storing = [asyncio.create_task(driver.store(store_context, [make_payload()])) for _ in range(5)]
    await store.arrived.wait()
    await turns()
    store.gate.set()
    claims = await asyncio.gather(*storing)
    assert claims == claims[:1] * 5
    assert store.writes == 1


async def test_a_store_that_fails_over_another_callers_payload_does_not_fail_mine(
    make_driver, store, make_payload, store_context
):
    """The other call's payload is too large, which no retry would mend; mine is not."""
    driver = make_driver(max_payload_size=1000)
    small, large = make_payload(10), make_payload(5000)
    # The second call finds the first one's work while the driver is still being opened for it.
    other = asyncio.create_task(driver.store(store_context, [small, large]))
    mine = asyncio.create_task(driver.store(store_context, [small]))
    with pytest.raises(PayloadTooLargeError):
        await other
    assert len(await mine) == 1
    assert len(store.items) == 1


# -- retrieving


async def test_concurrent_readers_of_a_payload_share_one_fetch(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    reading = [asyncio.create_task(driver.retrieve(retrieve_context, claims)) for _ in range(5)]
    await store.arrived.wait()
    await turns()
    store.gate.set()
    assert await asyncio.gather(*reading) == [[make_payload()]] * 5
    assert store.reads == 1


async def test_readers_that_overlap_share_what_they_have_in_common(
    driver, store, make_payload, store_context, retrieve_context
):
    a, b, c = await driver.store(store_context, [make_payload(seed=seed) for seed in "abc"])
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(driver.retrieve(retrieve_context, [a, b]))
    await store.arrived.wait()
    other = asyncio.create_task(driver.retrieve(retrieve_context, [b, c]))
    await turns()
    store.gate.set()
    assert [payload.data[:1] for payload in (await one) + (await other)] == [b"a", b"b", b"b", b"c"]
    assert store.reads == 2


@pytest.mark.parametrize("how", ["driver", "cached"])
async def test_each_reader_gets_a_payload_of_its_own(
    how, request, make_payload, store_context, retrieve_context
):
    driver = request.getfixturevalue(how)
    claims = await driver.store(store_context, [make_payload()])

    async def read_and_change():
        one, other = await driver.retrieve(retrieve_context, claims * 2)
        assert one == other == make_payload()
        one.data = b"changed"
        assert other == make_payload()
        other.metadata["encoding"] = b"changed"

    await asyncio.gather(*(read_and_change() for _ in range(5)))
    await read_and_change()


async def test_a_reader_that_gives_up_leaves_the_fetch_to_the_others(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(driver.retrieve(retrieve_context, claims))
    await store.arrived.wait()
    second = asyncio.create_task(driver.retrieve(retrieve_context, claims))
    await turns()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    store.gate.set()
    assert await second == [make_payload()]
    assert store.reads == 1


async def test_a_fetch_that_nobody_waits_for_is_cancelled_and_the_next_reader_starts_anew(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(driver.retrieve(retrieve_context, claims))
    await store.arrived.wait()
    first.cancel()
    # It comes while the abandoned fetch is still being cancelled.
    second = asyncio.create_task(driver.retrieve(retrieve_context, claims))
    await turns()
    store.gate.set()
    assert await second == [make_payload()]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_fetch_that_fails_over_another_callers_payload_does_not_fail_mine(
    driver, store, make_payload, store_context, retrieve_context
):
    here, gone = await driver.store(store_context, [make_payload(seed="a"), make_payload(seed="b")])
    del store.items[gone.claim_data["key"]]
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    other = asyncio.create_task(driver.retrieve(retrieve_context, [here, gone]))
    await store.arrived.wait()
    mine = asyncio.create_task(driver.retrieve(retrieve_context, [here]))
    await turns()
    store.gate.set()
    with pytest.raises(PayloadNotFoundError):
        await other
    assert await mine == [make_payload(seed="a")]


async def test_fifty_readers_of_a_payload_that_cannot_be_fetched_make_one_request(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    store.fail_reading = StorageUnavailableError("down")
    store.gate = asyncio.Event()
    reading = [asyncio.create_task(driver.retrieve(retrieve_context, claims)) for _ in range(50)]
    await turns()
    store.gate.set()
    failures = await asyncio.gather(*reading, return_exceptions=True)
    assert {(type(one), str(one)) for one in failures} == {
        (StorageUnavailableError, "StorageUnavailableError: down")
    }
    assert len(set(map(id, failures))) == 50
    assert store.reads == 1


async def test_fifty_writers_of_a_payload_that_cannot_be_stored_make_one_request(
    driver, store, make_payload, store_context
):
    store.fail_writing = KeyError("x")
    store.gate = asyncio.Event()
    storing = [asyncio.create_task(driver.store(store_context, [make_payload()])) for _ in range(50)]
    await turns()
    store.gate.set()
    failures = await asyncio.gather(*storing, return_exceptions=True)
    assert {type(one) for one in failures} == {StorageError}
    assert store.writes == 1


# -- payloads that are lost


@pytest.mark.parametrize("lose", [dict.clear, lambda items: items.update(dict.fromkeys(items, b"damaged"))])
async def test_what_the_store_turns_out_not_to_have_is_stored_again(
    driver, store, make_payload, store_context, retrieve_context, lose
):
    """ "Stored a moment ago" is no word against the store's own."""
    claims = await driver.store(store_context, [make_payload()])
    lose(store.items)
    with pytest.raises((PayloadNotFoundError, PayloadIntegrityError)):
        await driver.retrieve(retrieve_context, claims)
    store.items.clear()
    assert await driver.store(store_context, [make_payload()]) == claims
    assert store.writes == 2
    assert await driver.retrieve(retrieve_context, claims) == [make_payload()]


async def test_what_the_store_has_lost_is_still_read_from_the_cache(
    cached, store, make_payload, store_context, retrieve_context
):
    claims = await cached.store(store_context, [make_payload()])
    store.items.clear()
    assert await cached.retrieve(retrieve_context, claims) == [make_payload()]


async def test_a_store_that_is_down_does_not_make_anything_be_stored_again(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    store.fail_reading = StorageUnavailableError("down")
    with pytest.raises(StorageUnavailableError):
        await driver.retrieve(retrieve_context, claims)
    await driver.store(store_context, [make_payload()])
    assert store.writes == 1


async def test_nothing_is_left_running_or_remembered_when_all_is_done(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    await driver.retrieve(retrieve_context, claims)
    assert driver._stores == driver._fetches == {}


def test_loops_in_two_threads_do_not_share_work_that_belongs_to_one(
    driver, make_payload, store_context, retrieve_context
):
    failures = []

    async def main():
        for number in range(50):
            payload = make_payload(seed=str(number % 7))
            claims = await driver.store(store_context, [payload])
            assert await driver.retrieve(retrieve_context, claims) == [payload]

    def run():
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# -- the cache


async def test_what_was_just_stored_is_not_fetched(
    cached, store, make_payload, store_context, retrieve_context, events
):
    claims = await cached.store(store_context, [make_payload(), make_payload(seed="b")])
    assert await cached.retrieve(retrieve_context, claims) == [make_payload(), make_payload(seed="b")]
    assert store.reads == 0
    assert events[-1].cache_hits == 2


async def test_what_was_retrieved_is_not_fetched_again(
    make_driver, cached, store, make_payload, store_context, retrieve_context
):
    claims = await make_driver().store(store_context, [make_payload()])
    for _ in range(3):
        assert await cached.retrieve(retrieve_context, claims) == [make_payload()]
    assert store.reads == 1


async def test_without_a_cache_everything_is_fetched(
    driver, store, make_payload, store_context, retrieve_context
):
    claims = await driver.store(store_context, [make_payload()])
    for _ in range(3):
        await driver.retrieve(retrieve_context, claims)
    assert store.reads == 3


# -- deadline and errors


async def test_a_store_that_gives_no_answer_is_told_after_the_timeout(
    make_driver, store, make_payload, store_context, events
):
    driver = make_driver(timeout=0.02)
    store.gate = asyncio.Event()  # never set
    with pytest.raises(StorageTimeoutError) as caught:
        await driver.store(store_context, [make_payload()])
    assert "example.memory" in caught.value.message
    assert "storage.drivers.memory" in caught.value.message
    assert "storage.timeout = 0.02s" in caught.value.message
    assert not caught.value.non_retryable
    assert events[-1].error == "StorageTimeoutError"


async def test_an_opening_that_takes_for_ever_is_told_after_the_timeout(make_driver, monkeypatch):
    """An address that swallows packets: whoever wants the drivers open does not wait for ever."""
    driver = make_driver(timeout=0.02)

    @asynccontextmanager
    async def never_open():
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(driver._inner.driver, "_open_resource", never_open)
    with pytest.raises(StorageTimeoutError):
        async with driver.kept_open():
            pytest.fail("must not get here")
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("error", [StorageUnavailableError("down"), ApplicationError("own", type="Own")])
async def test_a_storage_error_reaches_the_caller_as_it_is(driver, store, make_payload, store_context, error):
    store.fail_writing = error
    with pytest.raises(ApplicationError) as caught:
        await driver.store(store_context, [make_payload()])
    assert caught.value is error


async def test_any_other_error_says_which_driver_failed_at_what(
    driver, store, make_payload, store_context, events
):
    store.fail_writing = KeyError("x")
    with pytest.raises(StorageError) as caught:
        await driver.store(store_context, [make_payload()])
    assert caught.value.message == (
        "storage driver 'example.memory' (storage.drivers.memory) failed to store: KeyError: 'x'"
    )
    assert not caught.value.non_retryable
    assert isinstance(caught.value.__cause__, KeyError)
    assert events[-1].error == "StorageError"


async def test_a_storage_error_is_found_behind_what_an_sdk_driver_made_of_it(
    driver, store, make_payload, store_context, monkeypatch
):
    async def store_as_the_sdk_does(*_):
        refused = ConnectionError("errno 111")
        explained = StorageUnavailableError("S3 cannot be reached")
        explained.__cause__ = refused
        raise RuntimeError("S3StorageDriver store failed [bucket=b]") from explained

    async with driver._inner.driver.use() as inner:
        monkeypatch.setattr(inner, "store", store_as_the_sdk_does)
    with pytest.raises(StorageUnavailableError, match="S3 cannot be reached") as caught:
        await driver.store(store_context, [make_payload()])
    # Its causes are a line and no circle: the SDK follows them to the end when it makes a failure of them.
    assert isinstance(caught.value.__cause__, ConnectionError)
    failure = Failure()
    await DataConverter.default.encode_failure(caught.value, failure)
    assert failure.message == "S3 cannot be reached"
    assert failure.application_failure_info.type == "StorageUnavailableError"
    assert failure.cause.message == "errno 111"
    assert not failure.cause.HasField("cause")


async def test_a_driver_that_returns_too_few_claims_or_payloads_is_told(
    driver, store, make_payload, store_context, retrieve_context, monkeypatch
):
    claims = await driver.store(store_context, [make_payload(seed="x")])

    async def nothing(*_):
        return []

    async with driver._inner.driver.use() as inner:
        monkeypatch.setattr(inner, "store", nothing)
        monkeypatch.setattr(inner, "retrieve", nothing)
    with pytest.raises(StorageError, match="failed to store"):
        await driver.store(store_context, [make_payload()])
    with pytest.raises(StorageError, match="failed to retrieve"):
        await driver.retrieve(retrieve_context, claims)


async def test_bytes_that_were_changed_in_the_store_are_detected(
    driver, store, make_payload, store_context, retrieve_context
):
    (claim,) = await driver.store(store_context, [make_payload()])
    store.items[claim.claim_data["key"]] = make_payload(seed="b").SerializeToString()
    with pytest.raises(PayloadIntegrityError, match="was changed after it was stored") as caught:
        await driver.retrieve(retrieve_context, [claim])
    assert not caught.value.non_retryable


async def test_a_payload_over_the_limit_is_refused_before_anything_is_stored(
    make_driver, store, make_payload, store_context
):
    driver = make_driver(max_payload_size=100)
    with pytest.raises(PayloadTooLargeError, match=r"max_payload_size of 100 bytes"):
        await driver.store(store_context, [make_payload(10), make_payload(1000)])
    assert store.items == {}


# -- the rule of failures

FINAL = ApplicationError("own", "detail", type="Own", non_retryable=True)


class ImpatientError(StorageError):
    """A third party's, with a constructor of its own."""

    def __init__(self, code, *, hint):
        super().__init__(f"{code}: {hint}", non_retryable=True)
        self.code = code


@pytest.mark.parametrize(
    ("options", "final"),
    [
        ({}, False),
        ({"ttl": 3600}, True),
        ({"missing_payload": "fail"}, True),
        ({"ttl": 3600, "missing_payload": "retry"}, False),
    ],
    ids=["kept", "expires", "fail", "retry"],
)
async def test_a_missing_payload_is_final_where_payloads_expire_unless_the_settings_say_otherwise(
    make_driver, store, make_payload, store_context, retrieve_context, options, final
):
    driver = make_driver(**options)
    (claim,) = await driver.store(store_context, [make_payload()])
    store.items.clear()
    with pytest.raises(PayloadNotFoundError, match="expired, was deleted, or is in another store") as caught:
        await driver.retrieve(retrieve_context, [claim])
    assert caught.value.non_retryable == final
    assert caught.value.type == "PayloadNotFoundError"
    assert "storage.drivers.memory.missing_payload" in caught.value.message


async def test_a_drivers_own_error_of_that_type_is_a_missing_payload_too(
    driver, store, make_payload, store_context, retrieve_context
):
    """As the public Redis sample raises it."""
    (claim,) = await driver.store(store_context, [make_payload()])
    store.fail_reading = ApplicationError("no key", type="PayloadNotFoundError", non_retryable=True)
    with pytest.raises(PayloadNotFoundError, match=r"no key.*missing_payload") as caught:
        await driver.retrieve(retrieve_context, [claim])
    assert not caught.value.non_retryable


@pytest.mark.parametrize(
    "error",
    [FINAL, ImpatientError(7, hint="no"), PayloadTooLargeError("large")],
    ids=["own", "derived", "ours"],
)
async def test_whatever_a_driver_raises_on_the_way_in_is_retryable(
    driver, store, make_payload, store_context, retrieve_context, error
):
    (claim,) = await driver.store(store_context, [make_payload()])
    store.fail_reading = error
    with pytest.raises(ApplicationError) as caught:
        await driver.retrieve(retrieve_context, [claim])
    assert not caught.value.non_retryable
    assert (caught.value.type, caught.value.message) == (error.type, error.message)
    assert str(caught.value) == str(error)
    assert caught.value.details == error.details
    assert error.non_retryable, "somebody else may be told the same error on the way out"
    if isinstance(error, StorageError):
        assert type(caught.value) is type(error)


@pytest.mark.parametrize(
    "error",
    [
        FINAL,
        ImpatientError(7, hint="no"),
        StoragePermissionError("no", non_retryable=True),
        PayloadNotFoundError("gone"),
    ],
    ids=["own", "derived", "a refusal", "missing"],
)
async def test_whatever_a_driver_raises_on_the_way_out_is_retryable_in_an_activity_too(
    driver, store, make_payload, store_context, error
):
    store.fail_writing = error
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(driver.store, store_context, [make_payload()])
    assert not caught.value.non_retryable
    assert (caught.value.type, caught.value.message) == (error.type, error.message)


async def test_on_the_way_out_an_activity_is_not_run_again_for_a_value_that_is_too_large(
    make_driver, make_payload, store_context
):
    driver = make_driver(max_payload_size=100)

    async def result_of_an_activity():
        await driver.store(store_context, [make_payload(1000)])

    with pytest.raises(PayloadTooLargeError) as caught:
        await ActivityEnvironment().run(result_of_an_activity)
    assert caught.value.non_retryable


async def test_on_the_way_out_a_workflow_waits_for_a_higher_limit(make_driver, make_payload, store_context):
    driver = make_driver(max_payload_size=100)
    with pytest.raises(PayloadTooLargeError) as caught:
        await driver.store(store_context, [make_payload(1000)])
    assert not caught.value.non_retryable


# -- events


async def test_every_operation_is_told_with_what_it_did(
    driver, make_payload, store_context, retrieve_context, events
):
    payloads = [make_payload(100), make_payload(200)]
    size = sum(payload.ByteSize() for payload in payloads)
    claims = await driver.store(store_context, payloads)
    await driver.retrieve(retrieve_context, claims)
    stored, retrieved = events
    assert (stored.operation, retrieved.operation) == ("store", "retrieve")
    for event in events:
        assert (event.driver, event.payloads, event.size) == ("example.memory", 2, size)
        assert (event.cache_hits, event.dedupe_hits, event.error) == (0, 0, None)
        assert event.duration > 0


async def test_readers_that_share_a_fetch_are_told_as_one_that_asked_the_store(
    make_driver, cached, store, make_payload, store_context, retrieve_context, events
):
    [claim] = await make_driver().store(store_context, [make_payload()])
    events.clear()
    store.gate = asyncio.Event()
    readers = [asyncio.create_task(cached.retrieve(retrieve_context, [claim])) for _ in range(3)]
    await turns()
    store.gate.set()
    await asyncio.gather(*readers)
    assert store.reads == sum(event.payloads - event.cache_hits for event in events) == 1


async def test_reads_are_told_to_listeners_of_their_own_event_loop(
    cached, make_payload, store_context, retrieve_context
):
    [claim] = await cached.store(store_context, [make_payload()])
    told: list[object] = []
    with cached.telling_of_reads(told.append):
        await asyncio.to_thread(lambda: asyncio.run(cached.retrieve(retrieve_context, [claim])))
        await cached.fetch_ahead(retrieve_context, claim)
        assert told == []
        await cached.retrieve(retrieve_context, [claim])
        assert told == [cached.content_of(claim)]
    await cached.retrieve(retrieve_context, [claim])
    assert len(told) == 1


async def test_a_failed_operation_is_told_with_the_failures_type(driver, store, retrieve_context, events):
    with pytest.raises(ClaimRejectedError):
        await driver.retrieve(retrieve_context, [StorageDriverClaim(claim_data={})])
    (event,) = events
    assert (event.operation, event.error, event.size) == ("retrieve", "ClaimRejectedError", 0)


async def test_a_cancelled_operation_is_told(driver, store, make_payload, store_context, events):
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    storing = asyncio.create_task(driver.store(store_context, [make_payload()]))
    await store.arrived.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert events[-1].error == "CancelledError"


async def test_an_observer_that_fails_is_logged_and_harms_nobody(
    driver, registry, make_payload, store_context, caplog
):
    class Failing:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            raise ValueError("no room on the disk")

    registry.register_observer(Failing())
    with caplog.at_level(logging.ERROR, logger="temporal_payloads"):
        await driver.store(store_context, [make_payload()])
    assert "no room on the disk" in caplog.text


# -- large work


@pytest.mark.parametrize("cache", [NO_CACHE, {"max_size": 9_999_001}])
@pytest.mark.parametrize("size", [10, 1024 * 1024])
async def test_a_payload_is_hashed_once_and_in_another_thread_if_it_is_large(
    make_driver, make_payload, store_context, monkeypatch, cache, size
):
    threads: list[threading.Thread] = []
    sha256 = hashlib.sha256

    def seen(data):
        threads.append(threading.current_thread())
        return sha256(data)

    driver = make_driver(cache=cache)  # whose identity is hashed too
    monkeypatch.setattr(hashlib, "sha256", seen)
    await driver.store(store_context, [make_payload(size)])
    (thread,) = threads
    assert (thread is threading.current_thread()) == (size == 10)


async def test_a_retrieved_payload_is_kept_as_it_is_in_the_store(
    make_driver, store, store_context, retrieve_context, monkeypatch
):
    """Bytes that this SDK would write otherwise keep their hash, which is what the disk is verified by."""
    cached = make_driver(cache={"max_size": 9_999_002})
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    backwards = b"\x12\x01" + b"1" + Payload(metadata=payload.metadata).SerializeToString()
    sha256 = hashlib.sha256(backwards).hexdigest()
    store.items[f"main/orders/{sha256}"] = backwards
    claim = StorageDriverClaim(
        claim_data={"key": f"main/orders/{sha256}", "hash_algorithm": "sha256", "hash_value": sha256}
    )
    kept = []
    monkeypatch.setattr(PayloadCache, "put", lambda _self, _key, data: kept.append(data))
    assert await cached.retrieve(retrieve_context, [claim]) == [payload]
    assert kept == [backwards]


async def test_a_driver_that_overrides_store_or_retrieve_sees_every_payload(
    driver, make_payload, store_context, retrieve_context, monkeypatch
):
    seen = []

    async with driver._inner.driver.use() as inner:

        async def store(self, context, payloads):
            seen.append("store")
            return await super(type(self), self).store(context, payloads)

        async def retrieve(self, context, claims):
            seen.append("retrieve")
            return await super(type(self), self).retrieve(context, claims)

        watched = type("Watched", (type(inner),), {"store": store, "retrieve": retrieve})
        monkeypatch.setattr(inner, "__class__", watched)
    claims = await driver.store(store_context, [make_payload()])
    assert await driver.retrieve(retrieve_context, claims) == [make_payload()]
    assert seen == ["store", "retrieve"]


def test_timeout_is_a_duration(make_driver):
    assert make_driver(timeout="1m")._operations._timeout == timedelta(minutes=1)


async def test_payloads_without_data_or_metadata_are_stored_too(driver, store_context, retrieve_context):
    claims = await driver.store(store_context, [Payload()])
    assert await driver.retrieve(retrieve_context, claims) == [Payload()]
