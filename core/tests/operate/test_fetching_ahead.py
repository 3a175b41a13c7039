"""What a replay will ask for is in the cache before it asks."""

import asyncio
import itertools
import logging
from contextlib import asynccontextmanager

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._operate.fetching_ahead import fetching_ahead
from temporal_payloads._operate.replay_reads import ReplayReads
from temporal_payloads._storage.references import Reference, read_reference
from temporal_payloads.plugin import PayloadNotFoundError, StorageUnavailableError, hookimpl
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    PayloadCodec,
    StorageDriverClaim,
    WithSerializationContext,
)

SIZE = 1000
ENTRY = SIZE + 512 + 50
"""What a payload takes of the cache, or a little more."""
ROOM_FOR_ALL = 100 * ENTRY

cache_sizes = itertools.count(10_000_000)


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
def make_assembly(registry):
    """Build with a cache that nothing is in: one size is one cache for the process."""

    def make(max_size=None, **table):
        cache = {"max_size": next(cache_sizes) if max_size is None else max_size}
        settings = PayloadSettings(storage={"drivers": {"memory": table}, "cache": cache, "threshold": 0})
        return assemble(settings, registry=registry)

    return make


@pytest.fixture
def assembly(make_assembly):
    return make_assembly()


@pytest.fixture
def driver(assembly):
    return assembly.drivers["memory"]


@pytest.fixture
def offload(make_assembly, store_context):
    """Store payloads, by a process that keeps nothing, and return references to them."""

    async def offload_them(count, size=SIZE):
        driver = make_assembly(max_size=0).drivers["memory"]
        payloads = [Payload(data=bytes([n]) * size) for n in range(count)]
        claims = await driver.store(store_context, payloads)
        sizes = [payload.ByteSize() for payload in payloads]
        return [
            Reference(driver.name(), claim, size).to_payload()
            for claim, size in zip(claims, sizes, strict=True)
        ]

    return offload_them


def completed(*results):
    """Return the event of an activity's results."""
    event = HistoryEvent()
    event.activity_task_completed_event_attributes.result.payloads.extend(results)
    return event


def history_of(*references, workflow_id="w"):
    return WorkflowHistory(workflow_id, [completed(reference) for reference in references])


async def each(*histories):
    for history in histories:
        yield history


@asynccontextmanager
async def replaying(histories, converter, *, concurrency=8, max_size=ROOM_FOR_ALL):
    if isinstance(histories, WorkflowHistory):
        histories = each(histories)
    reads = ReplayReads(converter, "default")
    async with fetching_ahead(histories, reads, concurrency=concurrency, max_size=max_size) as ahead:
        yield ahead


async def read(driver, reference, retrieve_context):
    """Ask for a payload as the SDK does."""
    [payload] = await driver.retrieve(retrieve_context, [read_reference(reference).claim])
    return payload


async def quiet(store):
    """Wait until nothing more is fetched."""
    before = -1
    while before != store.reads:
        before = store.reads
        for _ in range(50):
            await asyncio.sleep(0)


# -- what is fetched


async def test_all_that_the_replay_asks_for_is_there(
    assembly, driver, store, offload, retrieve_context, events
):
    references = await offload(20)
    async with replaying(history_of(*references), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 20
        events.clear()
        for number, reference in enumerate(references):
            assert (await read(driver, reference, retrieve_context)).data == bytes([number]) * SIZE
    assert store.reads == 20
    assert [event.cache_hits for event in events] == [1] * 20


async def test_no_more_is_fetched_at_once_than_may_be(assembly, store, offload):
    references = await offload(20)
    store.gate = asyncio.Event()
    async with replaying(history_of(*references), assembly.converter, concurrency=7) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 7
        store.gate.set()
        await quiet(store)
        assert store.reads == 20


async def test_the_replay_shares_a_fetch_that_is_under_way(
    assembly, driver, store, offload, retrieve_context, events
):
    references = await offload(1)
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    events.clear()
    async with replaying(history_of(*references), assembly.converter) as ahead:
        await anext(ahead)
        await store.arrived.wait()
        reading = asyncio.create_task(read(driver, references[0], retrieve_context))
        await quiet(store)
        store.gate.set()
        await reading
    assert store.reads == 1
    assert sum(event.payloads - event.cache_hits for event in events) == 1


async def test_equal_payloads_are_fetched_once(assembly, store, offload):
    [reference] = await offload(1)
    history = WorkflowHistory("w", [completed(reference, reference), completed(reference)])
    async with replaying(history, assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
    assert store.reads == 1


async def test_what_the_workflow_itself_makes_is_not_fetched(assembly, driver, store, offload):
    references = await offload(6)
    events = [HistoryEvent() for _ in references]
    events[0].activity_task_scheduled_event_attributes.input.payloads.append(references[0])
    events[1].workflow_execution_completed_event_attributes.result.payloads.append(references[1])
    completed_update = events[2].workflow_execution_update_completed_event_attributes
    completed_update.outcome.success.payloads.append(references[2])
    failure = events[3].activity_task_started_event_attributes.last_failure
    failure.application_failure_info.details.payloads.append(references[3])
    # A local activity's result stands in a marker, which is a command, and is read from there.
    events[4].marker_recorded_event_attributes.details["result"].payloads.append(references[4])
    events[5].workflow_execution_started_event_attributes.memo.fields["note"].CopyFrom(references[5])
    async with replaying(WorkflowHistory("w", events), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
    keys = [driver.content_of(read_reference(reference).claim) for reference in references]
    cached = [driver.cache.touch(key) is not None for key in keys]
    assert cached == [False, False, False, False, True, True]


async def test_references_under_an_earlier_name_of_the_driver_are_followed(make_assembly, store, offload):
    [reference] = await offload(1)
    older = Reference("older", read_reference(reference).claim, SIZE).to_payload()
    assembly = make_assembly(read_aliases=["older"])
    async with replaying(history_of(older), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
    assert store.reads == 1


async def test_references_that_cannot_be_followed_are_left_to_the_replay(assembly, store, offload, caplog):
    [good] = await offload(1)
    unknown = Reference("unknown", read_reference(good).claim, SIZE).to_payload()
    forged = Reference("example.memory", StorageDriverClaim(claim_data={"key": "../x"}), SIZE).to_payload()
    broken = Payload(metadata=good.metadata, data=b"{")
    inline = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    caplog.set_level(logging.INFO)
    async with replaying(history_of(unknown, forged, broken, inline, good), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
    assert store.reads == 1
    assert caplog.records == []


class Signed(PayloadCodec, WithSerializationContext):
    """Decodes in the context of one workflow alone."""

    def __init__(self, workflow_id=None):
        self.workflow_id = workflow_id

    def with_context(self, context):
        return Signed(context.workflow_id)

    async def encode(self, payloads):
        return [
            Payload(metadata={"encoding": b"signed", "by": b"w"}, data=payload.SerializeToString())
            for payload in payloads
        ]

    async def decode(self, payloads):
        for payload in payloads:
            assert payload.metadata["by"].decode() == self.workflow_id
        return [Payload.FromString(payload.data) for payload in payloads]


async def test_references_that_have_been_through_a_codec_are_decoded_in_their_workflows_context(
    registry, make_assembly, store, offload
):
    [reference] = await offload(1)
    [encoded] = await Signed().encode([reference])
    encoded.metadata["__temporal_external_storage_reference"] = b"true"
    built = make_assembly()
    assembly = assemble(built.settings, base=DataConverter(payload_codec=Signed()), registry=registry)
    histories = each(history_of(encoded, workflow_id="another"), history_of(encoded, workflow_id="w"))
    async with replaying(histories, assembly.converter) as ahead:
        await anext(ahead)
        assert store.reads == 0
        await anext(ahead)
        await quiet(store)
    assert store.reads == 1


# -- the cache's bound


async def test_a_history_larger_than_the_bound_is_fetched_as_it_is_read(
    make_assembly, store, offload, retrieve_context
):
    references = await offload(40)
    cache = 20 * ENTRY + next(cache_sizes) % 100
    assembly = make_assembly(max_size=cache)
    driver = assembly.drivers["memory"]
    async with replaying(history_of(*references), assembly.converter, max_size=cache // 4) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 5
        for number, reference in enumerate(references):
            before = store.reads
            await read(driver, reference, retrieve_context)
            assert store.reads == before
            await quiet(store)
            assert store.reads == min(5 + number + 1, 40)
    assert store.reads == 40


async def test_what_is_in_the_cache_already_is_neither_fetched_nor_pushed_out(
    make_assembly, store, offload, retrieve_context
):
    references = await offload(8)
    cache = 9 * ENTRY + next(cache_sizes) % 100
    assembly = make_assembly(max_size=cache)
    driver = assembly.drivers["memory"]
    await read(driver, references[0], retrieve_context)
    for other in (await offload(16))[8:]:
        await read(driver, other, retrieve_context)
    store.reads = 0
    async with replaying(history_of(*references), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 7
        for reference in references:
            await read(driver, reference, retrieve_context)
    assert store.reads == 7


async def test_a_payload_that_the_cache_does_not_keep_is_left_to_the_replay(make_assembly, store, offload):
    large, small = (await offload(1, size=5000))[0], (await offload(2))[1]
    assembly = make_assembly(max_size=8000 + next(cache_sizes) % 100)
    async with replaying(history_of(large, small), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
    assert store.reads == 1


async def test_a_size_that_is_not_stated_or_a_lie_is_found_out(make_assembly, store, offload):
    references = await offload(30)
    for reference in references:
        reference.external_payloads[0].size_bytes = 1
    assembly = make_assembly()
    async with replaying(
        history_of(*references), assembly.converter, concurrency=2, max_size=5 * ENTRY
    ) as ahead:
        await anext(ahead)
        await quiet(store)
        assert 5 <= store.reads <= 5 + 2  # what was under way when the first real sizes were known


async def test_without_a_cache_there_is_no_place_to_fetch_into(make_assembly, store, offload):
    histories = each(history_of(*await offload(2)))
    async with replaying(histories, make_assembly(max_size=0).converter) as ahead:
        assert ahead is histories
        await anext(ahead)
        await quiet(store)
    assert store.reads == 0


async def test_drivers_that_settings_did_not_make_are_left_alone(make_assembly, offload):
    histories = each(history_of(*await offload(1)))
    for converter in (DataConverter.default, DataConverter(external_storage=None)):
        async with replaying(histories, converter) as ahead:
            assert ahead is histories
    [driver] = make_assembly(max_size=0).converter.external_storage.drivers
    own = DataConverter(external_storage=ExternalStorage(drivers=[driver]))
    async with replaying(histories, own) as ahead:
        assert ahead is histories


async def test_what_the_replay_asked_for_first_is_not_fetched_again(
    make_assembly, store, offload, retrieve_context, events
):
    references = await offload(4)
    assembly = make_assembly()
    driver = assembly.drivers["memory"]
    async with replaying(history_of(*references), assembly.converter, max_size=ENTRY) as ahead:
        await anext(ahead)
        await quiet(store)
        for reference in reversed(references):
            await read(driver, reference, retrieve_context)
            await quiet(store)
    assert store.reads == 4


# -- several histories


async def test_while_one_history_is_replayed_the_next_one_is_fetched_for_and_no_more(
    assembly, store, offload
):
    references = await offload(4)
    taken = []

    async def histories():
        for number, reference in enumerate(references):
            taken.append(number)
            yield history_of(reference)

    async with replaying(histories(), assembly.converter) as ahead:
        for number in range(4):
            await anext(ahead)
            await quiet(store)
            assert taken == list(range(min(number + 2, 4)))
            assert store.reads == min(number + 2, 4)
        with pytest.raises(StopAsyncIteration):
            await anext(ahead)


async def test_the_next_history_waits_for_the_room_that_the_present_one_needs(
    assembly, driver, store, offload, retrieve_context
):
    references = await offload(6)
    histories = each(history_of(*references[:4]), history_of(*references[4:]))
    async with replaying(histories, assembly.converter, max_size=2 * ENTRY) as ahead:
        await anext(ahead)
        for reference in references[:2]:
            await quiet(store)
            await read(driver, reference, retrieve_context)
        await quiet(store)
        asked = {driver.content_of(read_reference(reference).claim) for reference in references[:4]}
        assert store.reads == 4
        assert all(driver.cache.touch(key) for key in asked)


async def test_what_one_replay_did_not_ask_for_makes_room_for_the_next(assembly, store, offload):
    references = await offload(6)
    histories = each(history_of(*references[:4]), history_of(*references[4:]))
    async with replaying(histories, assembly.converter, max_size=2 * ENTRY) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 2
        await anext(ahead)
        await quiet(store)
        assert store.reads == 4


async def test_a_history_that_is_over_at_once_does_not_hold_up_the_next(assembly, driver, store, offload):
    references = await offload(3)
    async with replaying(each(*map(history_of, references)), assembly.converter) as ahead:
        for _ in references:
            await anext(ahead)
        await quiet(store)
    assert driver.cache.touch(driver.content_of(read_reference(references[-1]).claim))


async def test_a_failure_of_the_histories_is_raised_where_the_next_one_is_asked_for(assembly, offload):
    async def histories():
        yield history_of(*await offload(1))
        raise OSError("no more histories")

    async with replaying(histories(), assembly.converter) as ahead:
        await anext(ahead)
        for _ in range(10):
            await asyncio.sleep(0)
        with pytest.raises(OSError, match="no more histories"):
            await anext(ahead)


async def test_a_failure_of_histories_that_nobody_asks_for_is_nobodys(assembly):
    async def histories():
        yield history_of()
        raise OSError("no more histories")

    async with replaying(histories(), assembly.converter) as ahead:
        await anext(ahead)
        for _ in range(10):
            await asyncio.sleep(0)


# -- failures and endings


async def test_what_cannot_be_fetched_is_no_error_until_the_replay_asks(
    assembly, driver, store, offload, retrieve_context, caplog
):
    references = await offload(3)
    store.fail_reading = StorageUnavailableError("the store is down")
    caplog.set_level(logging.INFO)
    async with replaying(history_of(*references), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
        with pytest.raises(StorageUnavailableError, match="the store is down"):
            await read(driver, references[0], retrieve_context)
        store.fail_reading = None
        await read(driver, references[0], retrieve_context)
    assert caplog.records == []


async def test_one_payload_that_is_missing_does_not_keep_others_from_being_fetched(
    assembly, driver, store, offload, retrieve_context
):
    references = await offload(5)
    del store.items[read_reference(references[1]).claim.claim_data["key"]]
    async with replaying(history_of(*references), assembly.converter, max_size=3 * ENTRY) as ahead:
        await anext(ahead)
        await quiet(store)
        assert store.reads == 4  # the missing one left the window again
        with pytest.raises(PayloadNotFoundError):
            await read(driver, references[1], retrieve_context)


async def test_nothing_is_left_running_when_the_replay_ends_early(assembly, store, offload):
    references = await offload(9)
    ended = []

    async def histories():
        yield history_of(*references)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    store.gate = asyncio.Event()
    before = asyncio.all_tasks()
    async with replaying(histories(), assembly.converter, concurrency=4) as ahead:
        await anext(ahead)
        await quiet(store)
    store.gate.set()
    assert ended == [True]
    # What is left is the task that holds the driver open.
    assert all("_hold_open" in repr(task) for task in asyncio.all_tasks() - before)


async def test_a_replay_that_is_cancelled_leaves_nothing_running(assembly, store, offload):
    references = await offload(9)
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    before = asyncio.all_tasks()

    async def replay():
        async with replaying(each(history_of(*references), history_of()), assembly.converter) as ahead:
            async for _ in ahead:
                await asyncio.Event().wait()

    replaying_task = asyncio.create_task(replay())
    await store.arrived.wait()
    replaying_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replaying_task
    assert all("_hold_open" in repr(task) for task in asyncio.all_tasks() - before)


async def test_an_observer_sees_what_was_fetched_and_what_was_read(
    assembly, driver, store, offload, retrieve_context, events
):
    [reference] = await offload(1)
    events.clear()
    async with replaying(history_of(reference), assembly.converter) as ahead:
        await anext(ahead)
        await quiet(store)
        await read(driver, reference, retrieve_context)
    size = reference.external_payloads[0].size_bytes
    assert [
        (event.operation, event.payloads, event.size, event.cache_hits, event.error) for event in events
    ] == [("retrieve", 1, size, 0, None), ("retrieve", 1, size, 1, None)]
