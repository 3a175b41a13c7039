"""What is marked in a namespace, what is read again, and what keeps a collection from sweeping."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporal_payloads._operate import needs as needs_module
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.holders import Held, Holder
from temporal_payloads._operate.needs import needs_of
from temporal_payloads._operate.recorded import RecordedReference
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.service import RPCStatusCode

HOUR, DAY, GRACE = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def key_of(reference):
    return dict(reference.claim_data)["key"]


@pytest.fixture
async def garbage(world):
    reference = await world.store("garbage", workflow_id="nobody")
    world.clock.advance(2 * GRACE)
    return reference


# -- incomplete


async def nothing_is_swept(world, why):
    report = await world.collect()
    assert not report.complete
    assert why in " ".join(report.incomplete)
    assert not world.shelf.changes
    assert report.stores["shelf"]["rules"].keys() <= {
        "incomplete",
        "needed",
        "needed_by_hash",
        "own_run_open",
    }


async def test_nothing_is_swept_where_the_server_did_not_list_everything(world, garbage):
    world.orders.fail_listing = True
    await nothing_is_swept(world, "workflows and activities that the server did not list")


async def test_nothing_is_swept_where_a_history_could_not_be_read(world, garbage):
    world.orders.run("w", error=RPCStatusCode.UNAVAILABLE)
    await nothing_is_swept(world, "workflows that could not be read")


async def test_a_history_that_cannot_be_read_for_whatever_reason_is_a_gap_and_ends_no_collection(
    world, garbage
):
    world.orders.run("w")

    async def fail(_):
        raise SystemError("a bug")

    world.orders.on_reading = fail
    await nothing_is_swept(world, "orders: 1 workflows that could not be read (SystemError): a bug")


async def test_nothing_is_swept_where_one_of_several_namespaces_could_not_be_read(world, garbage):
    world.also("billing").run("w", error=RPCStatusCode.PERMISSION_DENIED)
    await nothing_is_swept(world, "billing: 1 workflows that could not be read")


async def test_nothing_is_swept_where_a_payload_could_not_be_decoded(world, garbage):
    world.orders.run("w", gap="payloads that no codec decodes")
    await nothing_is_swept(world, "payloads that no codec decodes: no way in")


async def test_nothing_is_swept_where_a_reference_names_an_unknown_driver(world, garbage):
    world.orders.run("w", RecordedReference("attic", (("key", "k"),), 0))
    await nothing_is_swept(world, "'attic'")


async def test_a_gap_names_the_run_that_it_is_for(world, garbage):
    world.orders.run("w", RecordedReference("attic", (("key", "k"),), 0), run_id="r-1")
    world.also("billing").run("v", gap="payloads that no codec decodes")
    world.also("shipping").schedule("s", RecordedReference("attic", (("key", "k"),), 0))
    report = await world.collect("plan")
    gaps = [one["gaps"][0]["example"] for one in report.namespaces]
    assert {"kind": "workflow", "id": "w", "run_id": "r-1"} in gaps
    assert sorted(reason.rpartition(" (")[2] for reason in report.incomplete) == [
        "schedule 's')",
        "workflow 'v', run run)",
        "workflow 'w', run r-1)",
    ]


async def test_a_deleted_run_that_named_an_unknown_driver_stops_nothing_and_its_hashes_are_kept(
    world, garbage
):
    needed = await world.store("needed", workflow_id="before")
    world.clock.advance(2 * GRACE)
    world.orders.run("w", replace(needed, driver_name="attic"))
    assert not (await world.collect("plan")).complete
    world.orders.delete("w")
    report = await world.collect("put-aside")
    assert report.complete
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    assert set(report.stores["shelf"]["rules"]) == {"needed_by_hash", "unreferenced"}


async def test_a_deleted_run_whose_claims_of_an_unknown_driver_tell_no_hash_stops_collections_for_a_grace(
    world, garbage
):
    world.orders.run("w", RecordedReference("attic", (("key", "k"),), 0))
    await world.collect("plan")
    world.orders.delete("w")
    assert "(workflow 'w', run run)" in (await world.collect("plan")).incomplete[0]
    world.clock.advance(GRACE)
    assert (await world.collect("plan")).complete


async def test_nothing_is_swept_where_marking_took_longer_than_the_shortest_retention(world, garbage):
    world.retention = timedelta(hours=12)
    world.orders.run("w")

    async def slowly(_):
        world.clock.advance(timedelta(hours=13))

    world.orders.on_reading = slowly
    await nothing_is_swept(world, "marking took 13:00:00")


async def test_the_shortest_retention_counts_and_that_of_one_that_tells_none_does_not(world, garbage):
    world.also("billing").retention = timedelta(0)
    world.also("shipping").retention = timedelta(hours=12)
    world.retention = None
    world.orders.run("w")

    async def slowly(_):
        world.clock.advance(timedelta(hours=13))

    world.orders.on_reading = slowly
    await nothing_is_swept(world, "marking took 13:00:00")


async def test_a_namespace_that_keeps_what_has_ended_for_ever_is_marked_however_long_it_takes(world, garbage):
    world.retention = timedelta(0)
    world.orders.run("w")

    async def slowly(_):
        world.clock.advance(timedelta(days=3))

    world.orders.on_reading = slowly
    assert (await world.collect("plan")).complete


async def test_a_run_that_ends_while_runs_are_listed_and_comes_twice_is_read_once(world, garbage):
    run = world.orders.run("w", garbage)
    before = world.orders.run("w", status="RUNNING")
    both = {"before": before, "after": run}
    del world.orders.runs["workflow", "w", "run"]
    world.orders.runs |= {("workflow", "w", name): one for name, one in both.items()}
    world.orders.runs["workflow", "w", "run"] = run  # what is read
    report = await world.collect("plan")
    assert world.orders.read == ["w"]
    assert set(report.stores["shelf"]["rules"]) == {"needed"}


async def test_what_is_aside_and_due_is_not_deleted_where_not_everything_was_marked(world, garbage):
    await world.collect("put-aside")
    world.orders.fail_listing = True
    world.clock.advance(2 * GRACE)
    report = await world.collect("delete")
    assert set(report.stores["shelf"]["rules"]) == {"incomplete"}
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_what_is_referred_to_is_brought_back_even_where_not_everything_was_marked(world, garbage):
    await world.collect("put-aside")
    world.orders.run("w", garbage)
    world.orders.fail_listing = True
    world.clock.advance(2 * GRACE)
    await world.collect("delete")
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_what_a_payload_that_was_only_read_in_part_needs_is_read_again(world, garbage):
    run = world.orders.run("w", garbage, gap="payloads that no codec decodes")
    await world.collect("plan")
    run.gap = None
    report = await world.collect("plan")
    assert report.complete
    assert world.orders.read == ["w", "w"]


async def test_a_run_that_was_deleted_meanwhile_is_no_gap(world, garbage):
    world.orders.run("w", garbage)

    async def deleted(_):
        world.orders.delete("w")

    world.orders.on_reading = deleted
    report = await world.collect()
    assert report.complete
    assert report.namespaces[0]["deleted"] == 1


# -- what settings make of claims


async def test_a_claim_that_the_settings_reject_keeps_what_its_hash_leads_to(world, garbage):
    forged = RecordedReference("shelf", tuple({**dict(garbage.claim_data), "key": "elsewhere"}.items()), 0)
    world.orders.run("w", forged)
    report = await world.collect()
    assert report.complete
    assert set(report.stores["shelf"]["rules"]) == {"needed_by_hash"}


async def test_a_claim_that_leads_nowhere_is_no_gap(world, garbage):
    world.orders.run("w", RecordedReference("shelf", (("key", "nonsense"),), 0))
    assert (await world.collect()).complete


async def test_an_earlier_name_of_a_driver_counts(world, garbage):
    world.settings["storage"]["drivers"]["shelf"]["read_aliases"] = ["old-shelf"]
    world.orders.run("w", replace(garbage, driver_name="old-shelf"))
    report = await world.collect()
    assert report.complete
    assert set(report.stores["shelf"]["rules"]) == {"needed"}


@pytest.mark.parametrize("off", [False, True])
async def test_a_mark_of_an_old_claim_also_marks_where_its_payload_is_moved_to(world, off):
    """The old store's run, its payload copied to the next store and from there to the last one."""
    drivers = world.settings["storage"]["drivers"]
    drivers["oldest"] = {"type": "shelf", "name": "attic"}
    drivers["old"] = {"type": "shelf", "name": "cellar"}
    world.settings["storage"]["driver"] = "shelf"
    recorded = await world.store("needed", driver="oldest")
    for driver in ("old", "shelf"):
        await world.store("needed", driver=driver, workflow_id=None)
        await world.store("copied, and needed by nobody", driver=driver)
    drivers["oldest"] |= {"moved_to": "old", "off": off}
    drivers["old"] |= {"moved_to": "shelf", "off": off}
    world.orders.run("w", recorded)
    world.clock.advance(2 * GRACE)
    report = await world.collect("plan")
    assert report.complete
    assert report.stores["shelf"]["rules"]["needed"][0] == 1
    assert report.stores["shelf"]["rules"]["unreferenced"][0] == 1
    if off:
        assert report.refused == {"oldest": "it is off", "old": "it is off"}
    else:
        assert report.stores["old"]["rules"]["needed"][0] == 1
        assert report.stores["oldest"]["rules"] == {"needed": report.stores["oldest"]["rules"]["needed"]}


# -- what is kept from one collection to the next


async def test_what_has_ended_is_read_once(world):
    references = [await world.store(f"p-{number}") for number in range(20)]
    for number, reference in enumerate(references):
        world.orders.run(f"w-{number}", reference)
    world.clock.advance(2 * GRACE)
    await world.collect()
    world.orders.read.clear()
    new = await world.store("new")
    world.orders.run("new", new)
    report = await world.collect()
    assert world.orders.read == ["new"]
    assert report.namespaces[0]["listed"] == 21
    assert not world.shelf.keys(aside=True)


async def test_what_runs_is_read_every_time(world):
    world.orders.run("w", status="RUNNING")
    await world.collect()
    await world.collect()
    assert world.orders.read == ["w", "w"]


@pytest.mark.parametrize("change", [{"length": 12}, {"closed": "later"}, {"status": "FAILED"}])
async def test_a_run_that_is_listed_otherwise_than_it_was_is_read_again(world, garbage, change):
    world.orders.run("w")
    await world.collect("plan")
    if "closed" in change:
        change = {"closed": world.clock()}
    closed = change.pop("closed", world.orders.runs["workflow", "w", "run"].holder.close_time)
    world.orders.run("w", garbage, closed=closed, **change)
    report = await world.collect("put-aside")
    assert world.orders.read == ["w", "w"]
    assert set(report.stores["shelf"]["rules"]) == {"needed"}


@pytest.mark.parametrize("cluster", ["eu", "cluster"])
async def test_a_namespace_that_is_on_two_clusters_under_one_id_is_marked_on_both(world, garbage, cluster):
    """A global namespace; or a cluster that was copied, which has the id of the other."""
    other = world.also_at("eu:7233", cluster)
    other.run("w", garbage, status="RUNNING")
    world.orders.run("w", status="RUNNING")
    for _ in range(2):
        report = await world.collect()
        assert report.complete
        assert [one["running"] for one in report.namespaces] == [1, 1]
        assert set(report.stores["shelf"]["rules"]) == {"needed"}
    # What is kept of the one is not taken for what the other has.
    assert (other.read, world.orders.read) == (["w", "w"], ["w", "w"])


async def test_of_a_namespace_on_two_clusters_the_shorter_retention_counts(world, garbage):
    world.retention = None
    other = world.also_at("eu:7233", "eu")
    other.retention = timedelta(minutes=1)

    async def slow(holder):
        world.clock.advance(2 * other.retention)

    world.orders.on_reading = slow
    world.orders.run("w")
    await nothing_is_swept(world, "a namespace keeps what has ended for 0:01:00")


async def test_a_namespace_that_was_made_again_under_the_same_name_has_nothing_kept(world):
    world.orders.run("w")
    await world.collect("plan")
    world.orders.namespace_id = "another"
    await world.collect("plan")
    assert world.orders.read == ["w", "w"]


async def test_what_workers_take_as_it_is_is_no_gap_and_what_they_refuse_is_one(world, monkeypatch):
    client: Any = None
    event = HistoryEvent()
    for encoding in (b"binary/acme-proxy", b"binary/gzip", b"json/plain", b"json/of-another-language"):
        payload = Payload(metadata={"encoding": encoding}, data=b"data")
        event.workflow_execution_started_event_attributes.input.payloads.append(payload)

    async def held(*_):
        yield Held(event, None)

    monkeypatch.setattr(needs_module, "held_by", held)
    for raw, gaps in (([], 2), (["binary/gzip"], 1), (["binary/acme-proxy", "binary/gzip"], 0)):
        world.settings["raw_encodings"] = raw
        async with world.assembly() as assembly, stores_open(assembly) as stores:
            found = await needs_of(client, Holder("workflow", "orders", "w", "run"), stores.chain)
        what = "payloads that no codec decodes (PayloadNotDecodedError)"
        assert {what: gap.count for what, gap in found.gaps.items()} == ({what: gaps} if gaps else {})


@pytest.mark.parametrize("change", [{"codecs": ["gzip"]}, {"raw_encodings": ["binary/acme-proxy"]}])
async def test_what_was_read_with_other_codecs_is_read_again(world, garbage, change):
    world.orders.run("w", garbage)
    await world.collect("plan")
    world.settings |= change
    world.orders.runs["workflow", "w", "run"].gap = "payloads that no codec decodes"
    assert not (await world.collect("plan")).complete
    world.orders.runs["workflow", "w", "run"].gap = None
    assert (await world.collect("plan")).complete
    await world.collect("plan")
    assert world.orders.read == ["w", "w", "w"]


async def test_what_a_claim_means_is_told_anew_by_the_settings_of_each_collection(world, garbage):
    world.settings["storage"]["drivers"]["old"] = {"type": "shelf", "name": "attic", "retrieve_only": True}
    world.settings["storage"]["driver"] = "shelf"
    world.orders.run("w", replace(garbage, driver_name="old"))
    assert set((await world.collect("plan")).stores["shelf"]["rules"]) == {"needed_by_hash"}
    del world.settings["storage"]["drivers"]["old"]
    world.settings["storage"]["drivers"]["shelf"]["read_aliases"] = ["old"]
    assert set((await world.collect("plan")).stores["shelf"]["rules"]) == {"needed"}
    assert world.orders.read == ["w"]


async def test_what_a_deleted_run_needed_counts_for_a_grace_more(world, garbage):
    world.orders.run("w", garbage)
    await world.collect()
    world.orders.delete("w")
    assert set((await world.collect("plan")).stores["shelf"]["rules"]) == {"needed"}
    world.clock.advance(GRACE - HOUR)
    assert set((await world.collect("plan")).stores["shelf"]["rules"]) == {"needed"}
    world.clock.advance(HOUR)
    assert set((await world.collect("plan")).stores["shelf"]["rules"]) == {"unreferenced"}


async def test_an_open_run_that_is_not_listed_is_read_and_kept_as_long_as_its_history_is_there(
    world, garbage
):
    world.orders.run("w", status="RUNNING")
    await world.collect()
    world.orders.hidden.add("w")
    world.orders.run("w", garbage, status="RUNNING")
    for _ in range(4):
        assert set((await world.collect()).stores["shelf"]["rules"]) == {"needed"}
        world.clock.advance(GRACE)
    assert world.orders.read == ["w"] * 5
    world.orders.delete("w")
    await world.collect()
    world.clock.advance(GRACE)
    assert set((await world.collect()).stores["shelf"]["rules"]) == {"unreferenced"}


async def test_what_an_open_run_that_is_not_listed_has_stored_is_not_touched(world):
    await world.store("asked for", workflow_id="w")
    world.clock.advance(2 * GRACE)
    world.orders.run("w", status="RUNNING")
    await world.collect()
    world.orders.hidden.add("w")
    assert set((await world.collect()).stores["shelf"]["rules"]) == {"own_run_open"}


async def test_a_run_that_has_ended_and_is_not_listed_is_kept_as_long_as_its_history_is_there(world, garbage):
    world.orders.run("w", garbage)
    await world.collect()
    world.orders.hidden.add("w")
    for _ in range(5):
        assert set((await world.collect()).stores["shelf"]["rules"]) == {"needed"}
        world.clock.advance(GRACE)
    # Not before the grace is over: all that retention deletes would be asked about.
    assert (world.orders.read, world.orders.looked_up) == (["w"], ["w", "w"])
    world.orders.delete("w")
    for _ in range(3):
        await world.collect()
        world.clock.advance(GRACE)
    assert not world.shelf.keys()


async def test_nothing_is_swept_where_it_is_not_told_whether_a_run_is_gone(world, garbage):
    world.orders.run("w")
    await world.collect("plan")
    world.orders.delete("w")
    await world.collect("plan")
    world.clock.advance(GRACE)
    world.orders.looking_up_fails = RPCStatusCode.UNAVAILABLE
    await nothing_is_swept(world, "workflows that could not be read")
    world.orders.looking_up_fails = None
    assert (await world.collect()).complete


async def test_a_reset_whose_new_run_is_not_listed_yet_loses_nothing(world, garbage):
    world.orders.run("w", garbage, run_id="first")
    await world.collect()
    world.orders.delete("w", "first")
    await world.collect()
    world.orders.run("w", garbage, run_id="second", status="RUNNING")
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_damaged_records_are_read_again_and_nothing_is_swept_meanwhile(world, garbage):
    world.orders.run("w")
    await world.collect("plan")
    [name] = [name for name in world.shelf.files if name.startswith("kept/") and "/runs/" in name]
    world.shelf.files[name] = world.shelf.files[name][:-4]
    await nothing_is_swept(world, "damaged")
    assert (await world.collect()).complete
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_what_is_kept_is_not_written_again_where_nothing_changed(world):
    for number in range(20):
        world.orders.run(f"w-{number}")
    await world.collect("plan")
    kept = {name: data for name, data in world.shelf.files.items() if name.startswith("kept/")}
    world.shelf.files.update({name: bytes(data) + b"" for name, data in kept.items()})
    before = {name: id(world.shelf.files[name]) for name in kept}
    await world.collect("plan")
    assert {name: id(world.shelf.files[name]) for name in kept} == before


async def test_what_moves_to_another_holder_while_holders_are_listed_is_never_lost(world, garbage):
    """A schedule hands its input to a run, a parent to a child."""
    schedule = world.orders.schedule("s", garbage)
    await world.collect()

    async def moves(_):
        schedule.references.clear()  # before it is read, and the run that it goes to is not listed yet
        world.orders.on_reading = None

    world.orders.on_reading = moves
    world.clock.advance(DAY)
    await world.collect()
    world.orders.run("s-run", garbage)
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_marks_of_a_large_namespace_lie_in_several_files(world, monkeypatch):
    monkeypatch.setattr("temporal_payloads._operate.collection.marking._CHUNK", 16 * 7)
    needed = [await world.store(f"needed {number}") for number in range(60)]
    world.orders.run("w", *needed)
    garbage = {key_of(await world.store(f"garbage {number}")) for number in range(60)}
    world.clock.advance(2 * GRACE)
    async with world.collector() as collector:
        collection = await collector.begin("put-aside")
        [owner] = collector.to_mark(collection)
        marked = await collector.mark(collection, owner)
        assert marked.marks == 60
        assert len(marked.chunks) > 5
        for shard in await collector.shards(collection):
            await collector.sweep(collection, shard)
    assert world.shelf.keys(aside=True) == garbage
