"""The rules by which a payload stays or goes, each in a collection of a store in memory."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporal_payloads._operate.collection.collector import NoSuchCollectionError
from temporal_payloads._operate.collection.lease import CollectionRunsError
from temporal_payloads._operate.collection.manifest import Manifest
from temporal_payloads._operate.collection.sweeping import ListingTooOldError
from temporal_payloads.plugin import (
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

HOUR, DAY, GRACE = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def key_of(reference):
    return dict(reference.claim_data)["key"]


def sha256_of(reference):
    return dict(reference.claim_data)["hash_value"]


@pytest.fixture
async def garbage(world):
    """A payload that nothing refers to, old enough to go."""
    reference = await world.store("garbage")
    world.clock.advance(2 * GRACE)
    return reference


async def rules_of(world, purpose="plan"):
    """Which rules keep or condemn what is in the store."""
    report = await world.collect(purpose)
    return set(report.stores["shelf"]["rules"])


# -- two marks


async def test_what_nothing_refers_to_is_put_aside_and_a_grace_later_deleted(world, garbage):
    needed = await world.store("needed")
    world.orders.run("w", needed)
    first = await world.collect()
    assert first.complete
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    world.clock.advance(GRACE)
    await world.collect()
    assert world.shelf.keys() == {key_of(needed)}


async def test_nothing_is_deleted_unless_the_second_mark_began_a_grace_after_it_was_put_aside(world, garbage):
    await world.collect()
    world.clock.advance(GRACE - HOUR)

    async def long_listing(_):
        world.clock.advance(DAY)  # it is due when it is swept, but was not when it was marked

    world.shelf.before["list"] = long_listing
    await world.collect()
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_what_is_referred_to_again_is_brought_back(world, garbage):
    await world.collect("put-aside")
    world.orders.run("w", garbage)
    world.clock.advance(2 * GRACE)
    report = await world.collect("delete")
    assert world.shelf.keys(aside=False) == {key_of(garbage)}
    assert report.stores["shelf"]["outcomes"] == {"restore": {"done": 1}}


async def test_what_is_stored_again_while_it_is_aside_is_not_deleted(world, garbage):
    await world.collect("put-aside")
    world.clock.advance(2 * GRACE)

    async def stored_meanwhile(_):
        await world.store("garbage")

    world.shelf.before["delete"] = stored_meanwhile
    report = await world.collect("delete")
    assert report.stores["shelf"]["outcomes"] == {"delete": {"changed": 1}}
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_what_is_stored_again_while_it_is_put_aside_stays(world, garbage):
    async def stored_meanwhile(_):
        world.shelf.put(key_of(garbage), b"the same")

    world.shelf.before["put_aside"] = stored_meanwhile
    await world.collect("put-aside")
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_what_is_aside_and_not_recorded_is_recorded_and_waits_a_grace(world, garbage):
    shelf = world.shelf
    shelf.put(key_of(garbage), shelf.items[key_of(garbage)].data, aside=True)
    shelf.tells_age = False
    world.clock.advance(10 * GRACE)
    assert await rules_of(world, "delete") == {"not_recorded"}
    assert shelf.keys(aside=True)
    world.clock.advance(GRACE - HOUR)
    assert await rules_of(world, "delete") == {"waits"}
    world.clock.advance(HOUR)
    assert await rules_of(world, "delete") == {"due"}
    assert not shelf.keys()


async def test_what_is_aside_is_recorded_by_complete_marks_only(world, garbage):
    """Else it was deleted by the first complete mark."""
    world.shelf.put(key_of(garbage), b"the same", aside=True)
    unread = world.orders.run("unread", gap="payloads that no codec decodes")
    world.clock.advance(GRACE)
    report = await world.collect()
    assert set(report.stores["shelf"]["rules"]) == {"not_recorded"}
    assert not any(name.startswith("aside/") for name in world.shelf.files)
    unread.gap = None
    for rule in ("not_recorded", "due"):
        assert world.shelf.keys(aside=True)
        world.clock.advance(GRACE)
        assert await rules_of(world, "collect") == {rule}
    assert not world.shelf.keys()


async def test_what_a_damaged_record_told_of_waits_a_grace_anew_and_that_is_reported(world, garbage):
    await world.collect("put-aside")
    [record] = [name for name in world.shelf.files if name.startswith("aside/")]
    world.shelf.files[record] = world.shelf.files[record][:-2]
    world.shelf.tells_age = False
    world.clock.advance(2 * GRACE)
    report = await world.collect()
    assert report.complete
    assert report.stores["shelf"]["damaged"] == [record]
    assert set(report.stores["shelf"]["rules"]) == {"not_recorded"}
    assert record not in world.shelf.files
    world.clock.advance(GRACE - HOUR)
    report = await world.collect()
    assert report.stores["shelf"]["damaged"] == []
    assert set(report.stores["shelf"]["rules"]) == {"waits"}
    world.clock.advance(HOUR)
    assert await rules_of(world, "collect") == {"due"}


async def test_a_record_of_an_earlier_time_is_never_taken_for_one_that_is_damaged(world, garbage):
    """It was put aside, brought back, put aside again; and another payload is aside all the time."""
    world.shelf.tells_age = False
    await world.store("more garbage")
    await world.collect("put-aside")
    world.clock.advance(DAY)
    await world.store("garbage")
    last = await world.collect("put-aside")
    [record] = [name for name in world.shelf.files if name.startswith("aside/") and last.id in name]
    world.shelf.files[record] = b"damaged"
    world.clock.advance(GRACE - DAY)
    report = await world.collect("delete")
    assert set(report.stores["shelf"]["rules"]) == {"due", "not_recorded"}
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_a_record_of_a_slow_put_aside_is_damaged_and_what_it_told_of_waits_anew(world, garbage):
    world.shelf.tells_age = False

    async def slow(_):
        world.clock.advance(DAY)

    world.shelf.before["put_aside"] = slow
    await world.collect("put-aside")
    world.shelf.before.clear()
    [name] = [name for name in world.shelf.files if name.startswith("aside/")]
    world.shelf.files[name] = b"damaged"
    world.clock.advance(GRACE - HOUR)
    assert await rules_of(world, "delete") == {"not_recorded"}
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_a_record_stays_of_a_collection_that_has_not_ended(world, garbage):
    """It has recorded what it is about to put aside, and was suspended; meanwhile another one ends."""
    world.shelf.tells_age = False
    recorded, goes_on = asyncio.Event(), asyncio.Event()

    async def suspended(_):
        recorded.set()
        await goes_on.wait()

    world.shelf.before["put_aside"] = suspended
    collecting = asyncio.create_task(world.collect("put-aside"))
    await recorded.wait()
    world.clock.advance(DAY)
    await world.collect("delete")
    goes_on.set()
    with pytest.raises(CollectionRunsError):
        await collecting
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    # A grace begins when it was put aside for certain, however long that took.
    world.clock.advance(GRACE - DAY)
    assert await rules_of(world) == {"waits"}
    world.clock.advance(DAY)
    assert await rules_of(world) == {"due"}


async def test_everything_is_undone_without_records(world, garbage):
    await world.collect("put-aside")
    [record] = [name for name in world.shelf.files if name.startswith("aside/")]
    world.shelf.files[record] = b"damaged"
    report = await world.collect("undo")
    assert report.stores["shelf"]["damaged"] == [record]
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_what_somebody_else_has_put_aside_once_more_waits_a_grace_from_then(world, garbage):
    await world.collect("put-aside")
    world.clock.advance(2 * GRACE)
    await world.store("garbage")
    world.shelf.put(key_of(garbage), b"the same", aside=True)
    world.clock.advance(GRACE - HOUR)
    assert await rules_of(world, "delete") == {"waits"}


async def test_what_was_to_be_put_aside_when_the_process_died_is_recorded_already(world, garbage):
    async def dies_after_it(payloads):
        for payload in payloads:
            world.shelf.put(payload.claim.claim_data["key"], b"the same", aside=True)
        raise StorageUnavailableError("the answer is lost")

    world.shelf.before["put_aside"] = dies_after_it
    with pytest.raises(StorageUnavailableError):
        await world.collect("put-aside")
    world.clock.advance(GRACE)
    assert await rules_of(world) == {"due"}


async def test_the_age_counts_from_the_beginning_of_the_mark_and_not_from_the_sweep(world):
    await world.store("young")
    world.clock.advance(GRACE - HOUR)

    async def long_listing(_):
        world.clock.advance(DAY)

    world.shelf.before["list"] = long_listing
    assert await rules_of(world, "put-aside") == {"young"}


async def test_the_age_counts_from_the_beginning_of_the_mark_also_when_it_is_resumed(world):
    await world.store("young")
    world.clock.advance(GRACE - HOUR)
    async with world.collector() as collector:
        await collector.begin("put-aside")
    world.clock.advance(DAY)
    report = await world.collect("put-aside", resume=True)
    assert set(report.stores["shelf"]["rules"]) == {"young"}


async def test_of_a_store_that_tells_no_age_two_marks_are_enough(world):
    await world.store("young")
    world.shelf.tells_age = False
    assert await rules_of(world, "put-aside") == {"unreferenced"}
    world.clock.advance(GRACE)
    await world.collect("delete")
    assert not world.shelf.keys()


async def test_nothing_is_changed_by_a_listing_that_is_older_than_half_the_grace(world, garbage):
    """In between it may have been brought back and put aside anew, which some stores cannot tell."""
    await world.collect("put-aside")
    world.clock.advance(GRACE)

    async def suspended(_):
        world.clock.advance(GRACE / 2 + HOUR)

    world.shelf.before["list"] = suspended
    with pytest.raises(ListingTooOldError):
        await world.collect("delete")
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    world.shelf.before.clear()
    await world.collect("delete", resume=True)
    assert not world.shelf.keys()


# -- what is never touched


async def test_a_payload_of_a_namespace_that_is_not_declared_is_never_touched_and_is_told(world):
    await world.store("theirs", namespace="billing")
    world.clock.advance(10 * GRACE)
    report = await world.collect()
    assert report.stores["shelf"]["undeclared"]["billing"][0] == 1
    assert not world.shelf.changes


async def test_what_is_referred_to_again_is_brought_back_also_if_its_namespace_is_declared_no_more(world):
    world.also("billing")
    world.gc["without_namespace"] = True
    childs = await world.store("a child's", namespace="billing")
    nobodys = await world.store("nobody's", namespace=None)
    garbage = await world.store("garbage", namespace="billing", workflow_id="another")
    world.clock.advance(2 * GRACE)
    await world.collect("put-aside")
    world.orders.run("w", childs, nobodys)
    del world.namespaces["billing"]
    world.gc["without_namespace"] = False
    world.clock.advance(2 * GRACE)
    report = await world.collect()
    assert report.stores["shelf"]["outcomes"] == {"restore": {"done": 2}}
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    # Listed was that namespace too.
    assert world.shelf.asked_for[-1] == ["orders", "billing", None]


async def test_a_payload_of_no_namespace_is_touched_only_if_the_settings_say_so(world):
    await world.store("nobody's", namespace=None)
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"no_namespace"}
    world.gc["without_namespace"] = True
    assert await rules_of(world) == {"unreferenced"}


async def test_what_is_no_payload_is_counted_and_never_touched(world, garbage):
    world.shelf.put("shelf/README.txt", b"hello")
    world.shelf.put("elsewhere", b"hello")
    world.clock.advance(10 * GRACE)
    report = await world.collect()
    assert report.stores["shelf"]["others"] == 2
    assert {key for _, key in world.shelf.changes} == {key_of(garbage)}


async def test_a_payload_whose_own_run_is_open_is_never_touched(world):
    reference = await world.store("result of an activity that is tried again", run_id="open")
    world.orders.run("w", status="RUNNING", run_id="open")
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"own_run_open"}
    world.orders.delete("w", "open")
    world.orders.run("w", status="RUNNING", run_id="another")
    assert await rules_of(world) == {"unreferenced"}
    assert reference


async def test_a_payload_stored_before_its_run_was_known_stays_while_any_run_of_its_id_is_open(world):
    await world.store("input of a start", run_id=None)
    world.orders.run("w", status="RUNNING", run_id="open")
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"own_run_open"}
    world.orders.delete("w", "open")
    assert await rules_of(world) == {"unreferenced"}


async def test_a_payload_is_needed_by_whoever_refers_to_it_also_from_another_namespace(world):
    billing = world.also("billing")
    reference = await world.store("a child's result", namespace="orders")
    billing.run("parent", reference)
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"needed"}


async def test_a_payload_whose_hash_was_found_anywhere_is_kept(world):
    reference = await world.store("in a batch operation")
    world.orders.run("batch", hashes=[sha256_of(reference)])
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"needed_by_hash"}


async def test_the_same_bytes_under_another_key_are_garbage_of_their_own(world):
    kept = await world.store("the same", workflow_id="a")
    gone = await world.store("the same", workflow_id="b")
    world.orders.run("a", kept)
    world.clock.advance(2 * GRACE)
    await world.collect("put-aside")
    assert world.shelf.keys(aside=True) == {key_of(gone)}


# -- stores that are not collected


REFUSED = "it deletes whatever it is told; use another one"


async def test_a_store_that_does_not_keep_to_its_conditions_is_refused(world, garbage):
    world.shelf.probe_fails = StorageMisconfiguredError(REFUSED)
    report = await world.collect()
    assert report.refused == {"shelf": REFUSED}
    assert not world.shelf.changes


async def test_a_store_that_turns_out_to_be_none_while_it_is_swept_is_refused(world, garbage):
    """Such as one with a bucket for each namespace, that are probed one by one."""

    async def refuse(_):
        raise StorageMisconfiguredError(REFUSED)

    world.shelf.before["put_aside"] = refuse
    report = await world.collect()
    assert report.refused == {"shelf": REFUSED}
    assert report.complete
    assert report.stores["shelf"]["outcomes"] == {"put_aside": {"unknown": 1}}
    assert not world.shelf.keys(aside=True)


async def refused_as_it_is_found(world):
    world.shelf.probe_fails = StorageMisconfiguredError(REFUSED)


async def refused_as_it_is_swept(world):
    async def refuse(_):
        raise StorageMisconfiguredError(REFUSED)

    world.shelf.before |= {"put_aside": refuse, "delete": refuse}
    await world.store("more garbage")
    world.clock.advance(2 * GRACE)


async def refused_where_a_workflow_would_end_of_it(world):
    world.settings["storage"]["drivers"]["shelf"]["missing_payload"] = "fail"
    world.shelf.aside_looks_missing = True


async def refused_for_a_right_that_is_missing(world):
    world.shelf.probe_fails = StoragePermissionError("no right to delete")


async def refused_for_a_right_that_is_missing_as_it_is_swept(world):
    async def refuse(_):
        raise StoragePermissionError("no right to write")

    world.shelf.before |= {"put_aside": refuse, "delete": refuse}
    for number in range(20):
        await world.store(f"more garbage {number}")
    world.clock.advance(2 * GRACE)


@pytest.mark.parametrize(
    "refused",
    [
        refused_for_a_right_that_is_missing,
        refused_for_a_right_that_is_missing_as_it_is_swept,
        refused_as_it_is_found,
        refused_as_it_is_swept,
        refused_where_a_workflow_would_end_of_it,
    ],
)
async def test_what_is_aside_and_needed_is_brought_back_also_in_a_store_that_is_refused(
    world, garbage, refused
):
    await world.collect("put-aside")
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    world.orders.run("w", garbage)
    await refused(world)
    report = await world.collect()
    assert "shelf" in report.refused
    assert report.stores["shelf"]["outcomes"]["restore"] == {"done": 1}
    assert not world.shelf.keys(aside=True)


async def test_a_store_is_probed_before_anything_is_swept(world, garbage):
    async def not_yet(_):
        assert world.shelf.probes == 1

    world.shelf.before["list"] = not_yet
    await world.collect()


async def test_a_store_that_is_not_to_be_collected_is_left_alone_and_told(world, garbage, tmp_path):
    world.shelf.why_not = "its payloads expire by themselves"
    world.gc["state"] = tmp_path / "state"
    report = await world.collect()
    assert report.refused == {"shelf": "its payloads expire by themselves"}
    assert not world.shelf.changes


# -- dry runs, undoing, writing down


async def test_a_plan_changes_nothing_in_the_store(world, garbage):
    report = await world.collect("plan")
    assert report.stores["shelf"]["actions"]["put_aside"][0] == 1
    assert report.stores["shelf"]["garbage"]["orders"][0] == 1
    assert not world.shelf.changes
    assert world.shelf.probes == 0


async def test_put_aside_deletes_nothing_and_delete_puts_nothing_aside(world, garbage):
    await world.collect("put-aside")
    other = await world.store("more garbage")
    world.clock.advance(2 * GRACE)
    await world.collect("delete")
    assert world.shelf.keys(aside=False) == {key_of(other)}
    await world.collect("put-aside")
    world.clock.advance(2 * GRACE)
    await world.collect("put-aside")
    assert world.shelf.keys(aside=True) == {key_of(other)}


async def test_everything_that_was_put_aside_can_be_brought_back(world, garbage):
    await world.collect("put-aside")
    report = await world.collect("undo")
    assert report.stores["shelf"]["outcomes"] == {"restore": {"done": 1}}
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_to_bring_back_needs_no_server(world, garbage, monkeypatch):
    await world.collect("put-aside")
    monkeypatch.setattr(world.orders, "owner", None)  # nobody may ask
    await world.collect("undo")
    assert world.shelf.keys(aside=False) == {key_of(garbage)}


async def test_what_one_collection_has_put_aside_can_be_brought_back_alone(world, garbage):
    first = await world.collect("put-aside")
    other = await world.store("more garbage")
    world.clock.advance(2 * GRACE)
    await world.collect("put-aside")
    assert world.shelf.keys(aside=True) == {key_of(garbage), key_of(other)}
    await world.collect("undo", undo_of=first.id)
    assert world.shelf.keys(aside=True) == {key_of(other)}


async def test_what_there_never_was_cannot_be_undone(world, garbage):
    first = await world.collect("put-aside")
    with pytest.raises(NoSuchCollectionError, match=f"no collection 2020-nosuch; the latest are: {first.id}"):
        await world.collect("undo", undo_of="2020-nosuch")
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_what_was_brought_back_and_put_aside_again_waits_a_whole_grace(world, garbage):
    await world.collect("put-aside")
    await world.collect("undo")
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert world.shelf.keys(aside=True) == {key_of(garbage)}
    world.clock.advance(GRACE - HOUR)
    assert await rules_of(world, "delete") == {"waits"}


async def test_undoing_leaves_namespaces_alone_that_are_not_declared(world):
    theirs = await world.store("theirs", namespace="billing")
    world.shelf.put(key_of(theirs), b"theirs", aside=True)
    await world.collect("undo")
    assert not world.shelf.changes


async def test_the_manifest_says_what_was_decided_why_when_and_what_came_of_it(world, garbage):
    needed = await world.store("needed")
    world.orders.run("w", needed)
    await world.store("young", workflow_id="another")
    report = await world.collect("put-aside")
    lines = [line async for line in Manifest(world.files(), report.id).lines()]
    about = {line["claim"]["key"]: line for line in lines if "claim" in line}
    assert about[key_of(garbage)]["action"] == "put_aside"
    assert about[key_of(garbage)]["rule"] == "unreferenced"
    assert about[key_of(garbage)]["time"] == world.clock().isoformat()
    assert [line["rule"] for line in about.values()].count("young") == 1
    assert key_of(needed) not in about
    [outcome] = [line for line in lines if "outcome" in line]
    assert (outcome["payload"], outcome["outcome"]) == (about[key_of(garbage)]["payload"], "done")


async def test_the_manifest_is_written_before_anything_is_done(world, garbage):
    async def already_written(_):
        [name] = [name for name in world.shelf.files if name.startswith("manifests/")]
        lines = [line async for line in Manifest(world.files(), name.split("/")[1]).lines()]
        assert [line["action"] for line in lines] == ["put_aside"]

    world.shelf.before["put_aside"] = already_written
    report = await world.collect("put-aside")
    assert report.stores["shelf"]["outcomes"] == {"put_aside": {"done": 1}}


async def test_what_the_store_refuses_to_delete_stays_aside_and_the_others_go(world):
    stored = [await world.store(f"garbage {number}", workflow_id=f"w-{number}") for number in range(40)]
    world.clock.advance(2 * GRACE)
    first = await world.collect("put-aside")
    held = key_of(stored[17])
    world.shelf.locked = {held}
    for expected in ({"done": 39, "refused": 1}, {"refused": 1}):
        world.clock.advance(2 * GRACE)
        report = await world.collect("delete")
        assert report.stores["shelf"]["outcomes"] == {"delete": expected}
        assert report.stores["shelf"]["aside"] == {first.id: [1, len(world.shelf.items[held].data)]}
        assert world.shelf.keys() == {held}
        lines = [line async for line in Manifest(world.files(), report.id).lines()]
        assert Counter(line["outcome"] for line in lines if "outcome" in line) == expected
    world.shelf.locked = set()
    await world.collect("delete")
    assert not world.shelf.keys()


async def test_what_was_done_before_a_store_failed_is_in_the_manifest(world, garbage):
    async def fail(_):
        error = StorageUnavailableError("told to fail")
        error.changes = ["done"]
        raise error

    world.shelf.before["put_aside"] = fail
    with pytest.raises(StorageUnavailableError):
        await world.collect("put-aside")
    [name] = {name.split("/")[1] for name in world.shelf.files if name.startswith("manifests/")}
    lines = [line async for line in Manifest(world.files(), name).lines()]
    assert [line["outcome"] for line in lines if "outcome" in line] == ["done"]


@pytest.mark.parametrize("purpose", ["put-aside", "collect"])
@pytest.mark.parametrize("table", ["shelf", "old"])
async def test_nothing_is_put_aside_that_looks_missing_where_that_ends_workflows(
    world, garbage, purpose, table
):
    drivers = {"shelf": {}, "old": {"type": "shelf", "moved_to": "shelf", "off": True, "name": "old"}}
    drivers[table]["missing_payload"] = "fail"
    world.settings = {"storage": {"driver": "shelf", "drivers": drivers}}
    world.shelf.aside_looks_missing = True
    report = await world.collect(purpose)
    assert f"storage.drivers.{table}.missing_payload" in report.refused["shelf"]
    assert not world.shelf.changes
    world.shelf.aside_looks_missing = False
    report = await world.collect(purpose)
    assert world.shelf.keys(aside=True) == {key_of(garbage)}


async def test_a_collection_leaves_no_marks_and_no_records_of_what_is_not_aside(world, garbage):
    await world.collect()
    world.clock.advance(2 * GRACE)
    await world.collect()
    await world.collect()
    left = {name.split("/")[0] for name in world.shelf.files if not name.endswith("/owner")}
    assert left == {"collections", "manifests", "reports"}


async def test_collections_are_in_the_order_in_which_they_began_also_within_a_second(world):
    begun = []
    for _ in range(20):
        begun.append((await world.collect("plan")).id)
        world.clock.advance(timedelta(milliseconds=20))
    async with world.collector() as collector:
        assert await collector.ledger.begun() == begun


async def test_the_report_says_how_much_is_aside_and_which_collection_has_put_it_there(world, garbage):
    first = await world.collect("put-aside")
    size = len(world.shelf.items[key_of(garbage)].data)
    assert first.stores["shelf"]["aside"] == {first.id: [1, size]}
    world.clock.advance(DAY)
    second = await world.collect("put-aside")
    assert second.stores["shelf"]["aside"] == {first.id: [1, size]}
