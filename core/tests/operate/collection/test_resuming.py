"""Collections that are interrupted anywhere, begun twice, or gone on with by somebody else."""

import asyncio
import random
import socket
from contextvars import ContextVar
from datetime import timedelta

import pytest
from temporal_payloads._operate.collection import lease, marking
from temporal_payloads._operate.collection.activities import CollectionActivities
from temporal_payloads._operate.collection.lease import EXPIRES, CollectionRunsError
from temporal_payloads._operate.collection.ledger import CannotResumeError
from temporal_payloads._operate.collection.report import Report
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.workflow import Step
from temporal_payloads.plugin import StorageUnavailableError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

DAY, GRACE = timedelta(days=1), timedelta(days=7)


def key_of(reference):
    return dict(reference.claim_data)["key"]


class KilledError(BaseException):
    """The process has ended."""


class Killer:
    """Ends a collection at one of its operations on files and payloads."""

    def __init__(self, shelf):
        shelf.on_operation = self._count
        self.left = None
        """How many operations it may do yet."""
        self.killed = 0

    def _count(self):
        if self.left is None:
            return
        if self.left == 0:
            self.killed += 1
            raise KilledError
        self.left -= 1


async def test_a_collection_goes_on_where_it_was_interrupted(world):
    for number in range(10):
        world.orders.run(f"w-{number}")
    async with world.collector() as collector:
        collection = await collector.begin("plan")
        [owner] = collector.to_mark(collection)
        await collector.mark(collection, owner)
    world.orders.read.clear()
    report = await world.collect("plan", resume=True)
    assert report.id == collection.id
    assert not world.orders.read


async def test_there_is_nothing_to_go_on_with_where_nothing_was_interrupted(world):
    with pytest.raises(CannotResumeError, match="no collection for plan was interrupted"):
        await world.collect("plan", resume=True)
    await world.collect("plan")
    with pytest.raises(CannotResumeError, match="no collection for plan was interrupted"):
        await world.collect("plan", resume=True)


async def test_a_collection_is_gone_on_with_for_what_it_was_begun(world):
    async with world.collector() as collector:
        await collector.begin("plan")
    with pytest.raises(CannotResumeError):
        await world.collect("delete", resume=True)


async def test_an_undo_is_gone_on_with_for_the_collection_that_it_undoes(world):
    first = await world.collect("put-aside")
    world.clock.advance(DAY)
    second = await world.collect("put-aside")
    async with world.collector() as collector:
        begun = await collector.begin("undo", undo_of=first.id)
    with pytest.raises(CannotResumeError, match=f"undoes {first.id}, not {second.id}"):
        await world.collect("undo", resume=True, undo_of=second.id)
    assert (await world.collect("undo", resume=True)).id == begun.id


@pytest.mark.parametrize(
    "change",
    [
        {"grace": 3 * DAY},
        {"without_namespace": True},
    ],
)
async def test_a_collection_is_not_gone_on_with_by_other_settings(world, change):
    async with world.collector() as collector:
        await collector.begin("put-aside")
    world.gc.update(change)
    with pytest.raises(CannotResumeError, match="begun with other settings"):
        await world.collect("put-aside", resume=True)


async def test_a_collection_is_not_gone_on_with_for_more_owners(world):
    async with world.collector() as collector:
        await collector.begin("put-aside")
    world.also("billing")
    with pytest.raises(CannotResumeError, match="begun with other settings"):
        await world.collect("put-aside", resume=True)


async def test_a_collection_that_was_interrupted_for_too_long_sweeps_nothing(world):
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    async with world.collector() as collector:
        await collector.begin("put-aside")
    world.clock.advance(world.retention)
    report = await world.collect("put-aside", resume=True)
    assert not report.complete
    assert not world.shelf.changes


async def test_marks_that_are_gone_are_not_taken_for_no_marks(world):
    """The same collection is finished by somebody else, who removes its marks, while it is swept."""
    world.orders.run("w", await world.store("needed"))
    world.clock.advance(2 * GRACE)
    async with world.collector() as collector:
        collection = await collector.begin("put-aside")
        await collector.mark(collection, *collector.to_mark(collection))
        [shard] = await collector.shards(collection)

        async def finished_meanwhile(_):
            world.shelf.before.clear()
            async with world.collector() as another:
                await another.as_begun(collection.id)
                await another.finish(collection)

        world.shelf.before["list"] = finished_meanwhile
        with pytest.raises(DamagedStateError, match="is gone"):
            await collector.sweep(collection, shard)
    assert not world.shelf.changes


async def test_an_attempt_that_was_given_up_never_overwrites_complete_marks(world):
    """It is cut off from Temporal, not from the store; it ends while those of the next attempt are swept."""
    for number in range(40):
        needed = await world.store(f"needed {number}", workflow_id=f"w-{number}")
        world.orders.run(f"w-{number}", needed)
    world.clock.advance(2 * GRACE)
    given_up = ContextVar("given_up", default=False)
    reading, goes_on = asyncio.Event(), asyncio.Event()

    async def cut_off(_):
        if given_up.get():
            reading.set()
            await goes_on.wait()
            raise RPCError("cut off", RPCStatusCode.UNAVAILABLE, b"")

    world.orders.on_reading = cut_off
    async with world.collector() as first, world.collector() as second:
        collection = await first.begin("put-aside")
        [owner] = first.to_mark(collection)

        async def mark():
            given_up.set(True)
            return await first.mark(collection, owner)

        attempt = asyncio.create_task(mark())
        await reading.wait()
        await second.as_begun(collection.id)
        assert (await second.mark(collection, owner)).complete
        before = dict(world.shelf.files)
        goes_on.set()
        # It finds the complete ones.
        assert (await attempt).complete
        assert before.items() <= world.shelf.files.items()
        for shard in await second.shards(collection):
            await second.sweep(collection, shard)
        assert (await second.finish(collection)).complete
    assert not world.shelf.changes
    assert not any(name.startswith("marks/") for name in world.shelf.files)


async def test_marks_of_two_attempts_are_never_mixed(world, monkeypatch):
    """Both are complete, and more was found by the second: the files of marks have other bounds."""
    monkeypatch.setattr(marking, "_CHUNK", 7 * 16)
    needed = [await world.store(f"needed {number}") for number in range(100)]
    world.orders.run("a", *needed, status="RUNNING")
    world.clock.advance(2 * GRACE)
    writes, goes_on = asyncio.Event(), asyncio.Event()
    async with world.collector() as first, world.collector() as second:
        collection = await first.begin("put-aside")
        [owner] = first.to_mark(collection)
        write = first._files.write_json

        async def late(name, document):
            writes.set()
            await goes_on.wait()
            await write(name, document)

        monkeypatch.setattr(first._files, "write_json", late)
        attempt = asyncio.create_task(first.mark(collection, owner))
        await writes.wait()
        more = [await world.store(f"more {number}", workflow_id="b") for number in range(20)]
        world.orders.run("b", *more, status="RUNNING")
        await second.as_begun(collection.id)
        assert (await second.mark(collection, owner)).complete
        goes_on.set()
        assert (await attempt).complete
        for shard in await second.shards(collection):
            await second.sweep(collection, shard)
    assert not world.shelf.changes


async def test_marks_of_collections_that_were_never_finished_are_removed_in_time(world):
    world.orders.run("w", await world.store("p"))
    async with world.collector() as collector:
        collection = await collector.begin("plan")
        await collector.mark(collection, *collector.to_mark(collection))
    world.clock.advance(world.retention + DAY)
    await world.collect("plan")
    assert any(name.startswith("marks/") for name in world.shelf.files)
    world.clock.advance(GRACE)
    await world.collect("plan")
    assert not any(name.startswith("marks/") for name in world.shelf.files)


async def test_a_damaged_file_ends_the_workflow_of_a_collection_so_that_the_next_one_begins(world):
    async with world.collector() as collector:
        collection = await collector.begin("plan")
        [owner] = collector.to_mark(collection)
        world.shelf.files[f"collections/{collection.id}"] = b"damaged"
        step = Step(collection.id, owner)
        with pytest.raises(ApplicationError, match="is damaged") as failed:
            await ActivityEnvironment().run(CollectionActivities(collector).mark, step)
    assert failed.value.non_retryable


async def test_of_collections_that_begin_at_once_one_goes_on(world):
    needed = [await world.store(f"needed {number}") for number in range(5)]
    garbage = [await world.store(f"garbage {number}") for number in range(5)]
    for number, reference in enumerate(needed):
        world.orders.run(f"w-{number}", reference)
    world.clock.advance(2 * GRACE)
    for _ in range(2):
        ended = await asyncio.gather(*(world.collect() for _ in range(3)), return_exceptions=True)
        [report] = [one for one in ended if isinstance(one, Report)]
        assert report.complete
        assert [type(one) for one in ended].count(CollectionRunsError) == 2
        world.clock.advance(GRACE)
    assert world.shelf.keys() == {key_of(one) for one in needed}
    assert len({key for what, key in world.shelf.changes if what == "delete"}) == len(garbage)


@pytest.mark.parametrize("purpose", ["plan", "put-aside", "undo"])
@pytest.mark.parametrize("resume", [False, True])
async def test_while_a_collection_runs_another_one_is_refused(world, purpose, resume):
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    begun = world.clock()

    async def another(_):
        [running] = [name.partition("/")[2] for name in world.shelf.files if name.startswith("collections/")]
        async with world.collector() as collector:
            with pytest.raises(CollectionRunsError) as refused:
                await collector.collect("collect" if resume else purpose, resume=resume)
        assert (
            f"another collection ({running}, on {socket.gethostname()}, since {begun.isoformat()}) is running"
            in str(refused.value)
        )

    world.shelf.before["put_aside"] = another
    assert (await world.collect()).stores["shelf"]["outcomes"] == {"put_aside": {"done": 1}}
    world.shelf.before.clear()
    # It has ended.
    assert (await world.collect(purpose)).complete


async def test_a_collection_that_was_killed_keeps_others_away_for_minutes_only(world):
    async with world.collector() as collector:
        killed = await collector.begin("plan")
    with pytest.raises(CollectionRunsError, match=killed.id):
        await world.collect()
    world.clock.advance(EXPIRES)
    assert (await world.collect()).complete


async def test_a_collection_that_was_taken_for_dead_changes_nothing_any_more(world):
    await world.store("garbage")
    world.clock.advance(2 * GRACE)

    async def suspended(_):
        world.shelf.before.clear()
        world.clock.advance(EXPIRES)
        await world.collect("plan")

    world.shelf.before["list"] = suspended
    with pytest.raises(CollectionRunsError, match="has stopped: it was released meanwhile"):
        await world.collect("put-aside")
    assert not world.shelf.changes


async def test_a_collection_that_is_cut_off_or_fails_lets_others_begin_at_once(world):
    async def fails(_):
        raise StorageUnavailableError("no way")

    world.shelf.before["list"] = fails
    with pytest.raises(StorageUnavailableError):
        await world.collect("plan")
    world.shelf.before.clear()
    assert (await world.collect("plan")).complete


async def test_a_damaged_lease_keeps_nobody_away(world):
    world.shelf.files["lease"] = b"damaged"
    assert (await world.collect("plan")).complete


LEASE = {"holder": "h", "collection": "c", "host": "h", "since": "", "renewed": "2026-06-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="a list"),
        pytest.param(LEASE | {"version": 2}, id="of a later release"),
        pytest.param(LEASE | {"renewed": None}, id="without a time"),
        pytest.param(LEASE | {"renewed": "yesterday"}, id="with a time that is none"),
    ],
)
async def test_a_lease_of_another_shape_keeps_nobody_away(world, document):
    await world.files().write_json("lease", document)
    assert (await world.collect("plan")).complete


async def test_a_collection_on_a_host_with_a_wrong_clock_keeps_others_away_for_minutes_only(world):
    world.clock.advance(DAY)
    async with world.collector() as collector:
        await collector.begin("plan")
    world.clock.advance(-DAY)
    assert (await world.collect("plan")).complete
    world.clock.advance(DAY)


async def test_what_a_collection_writes_of_its_lease_is_written_before_it_releases_it(world, monkeypatch):
    """A thread that writes a file goes on, also when nobody waits for it any more."""
    monkeypatch.setattr(lease, "RENEWED", timedelta(milliseconds=1))
    writing, written = asyncio.Event(), asyncio.Event()

    async def slowly(name, data):
        if name == "lease" and not writing.is_set():
            writing.set()
            await asyncio.shield(asyncio.create_task(late(name, data)))
        else:
            world.shelf.files[name] = data

    async def late(name, data):
        await asyncio.sleep(0.05)
        world.shelf.files[name] = data
        written.set()

    async with world.collector() as collector:
        collection = await collector.begin("plan")
        world.clock.advance(timedelta(seconds=1))
        monkeypatch.setattr(collector._files.store, "write", slowly)
        async with collector.renewing(collection):
            await writing.wait()
        assert written.is_set()


async def test_a_collection_that_has_ended_leaves_no_lease_behind_though_it_was_being_renewed(
    world, monkeypatch
):
    monkeypatch.setattr(lease, "RENEWED", timedelta(milliseconds=1))
    async with world.collector() as collector:
        collection = await collector.begin("plan")
        held, store = collector._leases[collection.id], collector._files.store
        write, writing = store.write, asyncio.Event()

        async def slowly(name, data):
            if name == "lease":
                writing.set()
                await asyncio.sleep(0.05)
            await write(name, data)

        monkeypatch.setattr(store, "write", slowly)
        world.clock.advance(timedelta(seconds=1))
        async with collector.renewing(collection):
            await writing.wait()
            await held.release()
            await asyncio.sleep(0.1)
    assert "lease" not in world.shelf.files


async def test_a_lease_is_renewed_again_after_whatever_went_wrong(world, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED", timedelta(milliseconds=1))
    async with world.collector() as collector:
        collection = await collector.begin("plan")
        store, reads, again = collector._files.store, [], asyncio.Event()

        async def fails(name):
            reads.append(name)
            if len(reads) > 2:
                again.set()
            raise RuntimeError("a driver may raise anything")

        monkeypatch.setattr(store, "read", fails)
        async with collector.renewing(collection):
            await again.wait()


async def test_a_collection_that_was_taken_for_dead_keeps_nothing_of_what_it_read(world):
    world.orders.run("w")

    async def suspended(_):
        world.orders.on_reading = None
        world.clock.advance(EXPIRES)
        await world.collect("plan")
        world.shelf.files = {name: data for name, data in world.shelf.files.items() if "runs" not in name}

    world.orders.on_reading = suspended
    with pytest.raises(CollectionRunsError, match="has stopped"):
        await world.collect("plan")
    assert not [name for name in world.shelf.files if "runs" in name]


async def test_a_collection_that_is_finished_twice_keeps_its_report(world):
    """The worker dies when all is done, and before it could say so."""
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    report = await world.collect("put-aside")
    async with world.collector() as another:
        again = await another.finish(await another.as_begun(report.id))
    assert again == report


async def test_a_collection_that_is_killed_anywhere_and_gone_on_with_ends_as_any_other(world):
    """Kills it at each of its operations in turn; now and then the one that goes on is killed as well."""
    killer = Killer(world.shelf)
    chance = random.Random(20261130)
    world.shelf.parts = 2
    kept = set()
    for round_ in range(24):
        needed = await world.store(f"needed {round_}", workflow_id=f"w-{round_}")
        world.orders.run(f"w-{round_}", needed)
        kept.add(key_of(needed))
        for number in range(3):
            await world.store(f"garbage {round_} {number}")
        world.clock.advance(2 * GRACE)
        killer.left = 2 * round_ + chance.randrange(3)
        for resume in (False, True, True):
            try:
                await world.collect(resume=resume)
                break
            except KilledError:
                killer.left = chance.choice([None, chance.randrange(60)])
            except CannotResumeError:  # it was killed before it had begun
                break
        killer.left = None
        assert kept <= world.shelf.keys(aside=False)
    assert killer.killed > 24
    for _ in range(3):
        world.clock.advance(2 * GRACE)
        assert (await world.collect()).complete
    assert world.shelf.keys() == kept
