"""A second driver stores what the first one cannot, and the references say so."""

import asyncio
import contextvars
import gc
import json
import logging
import time
import weakref

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter, open_data_converter
from temporal_payloads._build.assembly import assemble
from temporal_payloads.plugin import (
    PayloadTooLargeError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
    hookimpl,
)

FIRST = {"type": "memory", "shelf": "first", "fallback": "second"}
SECOND = {"type": "memory", "shelf": "second"}

pytestmark = pytest.mark.usefixtures("leaping_clock")


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
def make_converter(registry):
    def make(drivers=None, **storage):
        settings = {
            "driver": "first",
            "drivers": drivers or {"first": FIRST, "second": SECOND},
            "threshold": 100,
            "cache": {"max_size": 0},
        }
        return build_data_converter(PayloadSettings(storage=settings | storage), registry=registry)

    return make


def named(payloads):
    """Return the drivers that references name."""
    return [json.loads(payload.data).get("driverName") for payload in payloads]


def values(*tags):
    return [tag * 500 for tag in tags]


async def test_while_the_store_answers_the_fallback_is_not_asked(make_converter, store):
    payloads = await make_converter().encode(values("a", "b"))
    assert named(payloads) == ["first", "first"]
    assert {key.split("/")[0] for key in store.items} == {"first"}


async def test_while_it_does_not_the_fallback_stores_and_the_reference_names_it(make_converter, store):
    converter = make_converter()
    store.shelves_down.add("first")
    payloads = await converter.encode(values("a"))
    assert named(payloads) == ["second"]
    assert await converter.decode(payloads) == values("a")


async def test_what_either_has_stored_is_read_from_there_when_the_store_is_back(make_converter, store):
    converter = make_converter()
    before = await converter.encode(values("a"))
    store.shelves_down.add("first")
    meanwhile = await converter.encode(values("b"))
    store.shelves_down.clear()
    after = await converter.encode(values("c"))
    assert named([*before, *meanwhile, *after]) == ["first", "second", "first"]
    assert await converter.decode([*before, *meanwhile, *after]) == values("a", "b", "c")


async def test_of_several_payloads_only_those_go_to_the_fallback_that_could_not_be_stored(
    make_converter, store
):
    def on_writing(shelf, items):
        if shelf == "first" and any(b"bbb" in data for data in items.values()):
            raise StorageUnavailableError("the node that has b is down")

    store.on_writing = on_writing
    converter = make_converter()
    payloads = await converter.encode(["small", *values("a", "b", "c")])
    assert named(payloads[1:]) == ["first", "second", "first"]
    assert await converter.decode(payloads) == ["small", *values("a", "b", "c")]
    assert sorted(key.split("/")[0] for key in store.items) == ["first", "first", "second"]


async def test_what_the_store_took_without_saying_so_is_in_both_and_the_reference_names_the_fallback(
    make_converter, store
):
    def on_writing(shelf, items):
        if shelf == "first":
            store.items.update(items)
            raise StorageUnavailableError("the connection broke after the request")

    store.on_writing = on_writing
    converter = make_converter()
    payloads = await converter.encode(values("a"))
    assert named(payloads) == ["second"]
    assert sorted(key.split("/")[0] for key in store.items) == ["first", "second"]
    assert await converter.decode(payloads) == values("a")


async def test_a_store_that_gives_no_answer_has_its_part_of_the_time_and_the_fallback_the_rest(
    make_converter, store, leaping_clock
):
    store.shelves_frozen.add("first")
    start = leaping_clock.monotonic()
    assert named(await make_converter(timeout="1500ms").encode(values("a"))) == ["second"]
    assert leaping_clock.monotonic() - start == pytest.approx(1.0)


async def test_several_payloads_have_the_same_time_together(make_converter, store, leaping_clock):
    store.shelves_frozen.add("first")
    start = leaping_clock.monotonic()
    payloads = await make_converter(timeout="1500ms").encode(values(*"abcdefgh"))
    assert named(payloads) == ["second"] * 8
    assert leaping_clock.monotonic() - start == pytest.approx(1.0)


async def test_both_together_have_no_more_than_the_timeout(make_converter, store, leaping_clock):
    store.shelves_frozen |= {"first", "second"}
    start = leaping_clock.monotonic()
    with pytest.raises(StorageUnavailableError) as raised:
        await make_converter(timeout="1500ms").encode(values("a"))
    assert leaping_clock.monotonic() - start == pytest.approx(1.5)
    assert "'first'" in raised.value.message
    assert "its part of storage.timeout = 1.5s" in raised.value.message
    assert "'second'" in raised.value.message


async def test_without_a_fallback_a_driver_has_all_of_the_time(make_converter, store):
    store.shelves_frozen.add("second")
    with pytest.raises(StorageTimeoutError, match=r"within storage.timeout = 0.1s"):
        await make_converter(timeout="100ms", driver="second").encode(values("a"))


@pytest.mark.parametrize(
    "error",
    [StoragePermissionError("no"), StorageMisconfiguredError("no bucket"), PayloadTooLargeError("big")],
)
async def test_what_has_to_be_corrected_is_not_hidden_by_the_fallback(make_converter, store, error):
    store.fail_writing = error
    with pytest.raises(type(error)):
        await make_converter().encode(values("a", "b"))
    assert store.items == {}


async def test_when_the_fallback_fails_too_the_error_says_why_for_both_and_is_retried(make_converter, store):
    """The first one may be back soon, whatever is wrong with the second."""
    store.shelves_down.add("first")
    converter = make_converter({"first": FIRST, "second": SECOND | {"max_payload_size": 200}})
    with pytest.raises(StorageUnavailableError) as raised:
        await converter.encode(values("a"))
    assert "the shelf first is down" in raised.value.message
    assert "max_payload_size of 200" in raised.value.message
    assert not raised.value.non_retryable


async def test_a_fallback_may_have_a_fallback(make_converter, store):
    store.shelves_down |= {"first", "second"}
    third = {"type": "memory", "shelf": "third"}
    converter = make_converter({"first": FIRST, "second": SECOND | {"fallback": "third"}, "third": third})
    assert named(await converter.encode(values("a"))) == ["third"]
    assert named(await converter.encode(values("b", "c"))) == ["third", "third"]


async def test_payloads_of_another_driver_are_none_of_the_fallbacks_business(make_converter, store):
    store.shelves_down.add("first")
    routes = [{"driver": "other", "max_size": 700}]
    other = {"type": "memory", "shelf": "other"}
    converter = make_converter({"first": FIRST, "second": SECOND, "other": other}, routes=routes)
    payloads = await converter.encode(["a" * 1000, "b" * 500, "c" * 1000])
    assert named(payloads) == ["second", "other", "second"]
    store.shelves_down = {"other"}
    with pytest.raises(StorageUnavailableError, match="the shelf other is down"):
        await converter.encode(["a" * 1001, "b" * 501])


TWO_PAIRS = {
    "vast": {"type": "memory", "shelf": "vast", "fallback": "second"},
    "small": {"type": "memory", "shelf": "small", "fallback": "third"},
    "second": SECOND,
    "third": {"type": "memory", "shelf": "third"},
}
BY_SIZE = {"driver": "vast", "routes": [{"driver": "small", "max_size": 700}]}
VAST, SMALL = "x" * 1000, "y" * 500


def fallbacks_told(caplog):
    """Return the warnings that a fallback is used."""
    return [told for each in caplog.records if "go to its fallback" in (told := each.getMessage())]


@pytest.mark.parametrize("healthy_first", [False, True])
@pytest.mark.parametrize("circuit", [False, {"failures": 1, "open_for": "1h"}], ids=["asked", "circuit open"])
async def test_what_another_driver_was_storing_meanwhile_stays_with_that_driver(
    make_converter, store, caplog, circuit, healthy_first
):
    """The SDK cancels the one when the other fails."""
    store.shelves_down.add("vast")
    converter = make_converter(TWO_PAIRS, **BY_SIZE, circuit=circuit)
    await converter.encode([VAST + "before"])
    values = [SMALL, VAST] if healthy_first else [VAST, SMALL]
    payloads = await converter.encode(values)
    assert named(payloads) == (["small", "second"] if healthy_first else ["second", "small"])
    assert await converter.decode(payloads) == values
    assert {key.split("/")[0] for key in store.items} == {"small", "second"}
    [told] = fallbacks_told(caplog)
    assert "'vast' go to its fallback 'second'" in told


async def test_a_driver_without_a_fallback_fails_though_one_with_a_fallback_was_storing_meanwhile(
    make_converter, store, caplog
):
    store.shelves_down.add("vast")
    drivers = TWO_PAIRS | {"vast": {"type": "memory", "shelf": "vast"}}
    converter = make_converter(drivers, **BY_SIZE, circuit={"failures": 1, "open_for": "1h"})
    with pytest.raises(StorageUnavailableError):
        await converter.encode([VAST])
    with pytest.raises(StorageUnavailableError, match=r"'vast'.*circuit is open") as raised:
        await converter.encode([SMALL, VAST])
    assert "No fallback is left" not in raised.value.message
    assert not fallbacks_told(caplog)


async def test_of_two_drivers_that_fail_together_each_goes_to_its_fallback_for_its_own_reason(
    make_converter, store, caplog
):
    store.shelves_down |= {"vast", "small"}
    converter = make_converter(TWO_PAIRS, **BY_SIZE, circuit={"failures": 1, "open_for": "1h"})
    await converter.encode([VAST + "before"])
    await converter.encode([SMALL + "before"])
    converter.external_storage.fallbacks._told.clear()
    caplog.clear()
    for values in ([VAST, SMALL], [SMALL, VAST]):
        assert set(named(await converter.encode(values))) == {"second", "third"}
    told = sorted(fallbacks_told(caplog))
    assert len(told) == 2
    assert "'small' go to its fallback 'third': storage driver 'small'" in told[0]
    assert "'vast' go to its fallback 'second': storage driver 'vast'" in told[1]


async def test_a_connection_that_an_attempt_has_opened_does_not_keep_its_failure(make_converter, store):
    """A transport keeps the context that it was opened in, and an error what was being stored."""
    contexts, failures = [], []

    def open_a_connection_and_fail(shelf, items):
        contexts.append(contextvars.copy_context())
        if shelf == "first":
            error = StorageUnavailableError("the shelf first is down")
            failures.append(weakref.ref(error))
            raise error

    store.on_writing = open_a_connection_and_fail
    assert named(await make_converter().encode(values("a"))) == ["second"]
    gc.collect()
    assert contexts
    assert failures
    assert not any(failure() for failure in failures)


async def test_observers_see_both_attempts(make_converter, store, events):
    store.shelves_down.add("first")
    await make_converter().encode(values("a"))
    assert [(event.driver, event.error) for event in events] == [
        ("first", "StorageUnavailableError"),
        ("second", None),
    ]


async def test_the_log_says_so_once_a_minute(make_converter, store, caplog, monkeypatch):
    store.shelves_down.add("first")
    converter = make_converter(circuit=False)
    for tag in "abcdef":
        await converter.encode(values(tag))
    [told] = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert "'first' go to its fallback 'second'" in told
    assert "the shelf first is down" in told
    later = time.monotonic() + 61
    monkeypatch.setattr("temporal_payloads._storage.fallback.time.monotonic", lambda: later)
    await converter.encode(values("g"))
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 2


async def test_while_the_circuit_is_open_the_fallback_stores_at_once(make_converter, store, events):
    store.shelves_down.add("first")
    converter = make_converter(circuit={"failures": 2, "open_for": "1h"})
    for tag in "abc":
        await converter.encode(values(tag))
    writes = store.writes
    del events[:]
    assert named(await converter.encode(values("d", "e", "f"))) == ["second"] * 3
    assert store.writes == writes + 1
    assert [(event.driver, event.payloads, event.error) for event in events] == [
        ("first", 3, "StorageUnavailableError"),
        ("second", 3, None),
    ]


async def test_the_payloads_of_one_call_that_had_no_answer_count_once_for_the_circuit(make_converter, store):
    """They may be slow for their size."""
    store.shelves_frozen.add("first")
    converter = make_converter(timeout="600ms", circuit={"failures": 2, "open_for": "1h"})
    assert named(await converter.encode(values(*"abcdefgh"))) == ["second"] * 8
    store.shelves_frozen.clear()
    assert named(await converter.encode(values("i"))) == ["first"]
    store.shelves_frozen.add("first")
    for tag in "jk":
        await converter.encode(values(tag))
    store.shelves_frozen.clear()
    assert named(await converter.encode(values("l"))) == ["second"]


async def test_concurrent_stores_each_find_their_way(make_converter, store):
    store.shelves_down.add("first")
    converter = make_converter()
    stored = await asyncio.gather(*(converter.encode(values(f"{n}-a", f"{n}-b")) for n in range(50)))
    assert [named(payloads) for payloads in stored] == [["second", "second"]] * 50
    for n, payloads in enumerate(stored):
        assert await converter.decode(payloads) == values(f"{n}-a", f"{n}-b")


# -- starting


async def test_a_worker_can_start_while_a_store_is_away_that_has_a_fallback(registry, store, caplog):
    store.shelves_down.add("first")
    settings = PayloadSettings(
        storage={"driver": "first", "threshold": 100, "drivers": {"first": FIRST, "second": SECOND}}
    )
    async with open_data_converter(settings, registry=registry) as converter:
        assert named(await converter.encode(values("a"))) == ["second"]
    assert "cannot be used now" in caplog.text


async def test_it_does_not_start_if_something_has_to_be_corrected_or_both_are_away(registry, store):
    settings = PayloadSettings(storage={"driver": "first", "drivers": {"first": FIRST, "second": SECOND}})
    store.shelves_down |= {"first", "second"}
    with pytest.raises(StorageUnavailableError, match="the shelf second is down"):
        async with open_data_converter(settings, registry=registry):
            pass
    store.shelves_down.clear()
    store.fail_opening = StoragePermissionError("no")
    with pytest.raises(StoragePermissionError):
        async with open_data_converter(settings, registry=registry):
            pass


# -- settings


def problems_of(registry, drivers, **storage):
    settings = PayloadSettings(storage={"driver": "first", "drivers": drivers} | storage)
    with pytest.raises(ConfigurationError) as raised:
        assemble(settings, registry=registry)
    return {problem.place: problem.message for problem in raised.value.problems}


def test_a_fallback_that_is_not_there_is_an_error(registry):
    found = problems_of(registry, {"first": FIRST | {"fallback": "secnod"}, "second": SECOND})
    assert "there is no driver 'secnod'" in found["storage.drivers.first.fallback"]
    assert "second" in found["storage.drivers.first.fallback"]


def test_a_fallback_to_which_nothing_new_may_go_is_an_error(registry):
    found = problems_of(registry, {"first": FIRST, "second": SECOND | {"retrieve_only": True}})
    assert "'second' is retrieve_only" in found["storage.drivers.first.fallback"]


def test_the_fallback_of_a_driver_to_which_nothing_new_goes_is_an_error(registry):
    found = problems_of(
        registry, {"first": FIRST | {"retrieve_only": True}, "second": SECOND}, driver="second"
    )
    assert "can never be used" in found["storage.drivers.first.fallback"]


def test_the_history_cannot_be_a_fallback(registry):
    found = problems_of(registry, {"first": FIRST | {"fallback": "inline"}})
    assert "must be a driver" in found["storage.drivers.first.fallback"]


def test_a_driver_cannot_be_its_own_fallback(registry):
    found = problems_of(registry, {"first": FIRST | {"fallback": "first"}})
    assert "leads back to the driver itself (first -> first)" in found["storage.drivers.first.fallback"]


def test_fallbacks_in_a_circle_are_an_error(registry):
    found = problems_of(
        registry,
        {
            "zeroth": {"type": "memory", "fallback": "first"},
            "first": FIRST,
            "second": SECOND | {"fallback": "first"},
        },
    )
    assert "(first -> second -> first)" in found["storage.drivers.first.fallback"]
    assert "(second -> first -> second)" in found["storage.drivers.second.fallback"]
    assert "storage.drivers.zeroth.fallback" not in found


def test_a_plugin_may_be_named_as_fallback_without_a_table(registry):
    assembly = assemble(
        PayloadSettings(storage={"driver": "first", "drivers": {"first": FIRST | {"fallback": "memory"}}}),
        registry=registry,
    )
    assert set(assembly.drivers) == {"first", "memory"}
