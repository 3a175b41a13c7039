"""What histories refer to is copied once, verified, and not copied again."""

import asyncio
import hashlib
import json

import pytest
from temporal_payloads._operate.migration.move import MoveRefusedError
from temporal_payloads._operate.migration.report import Report
from temporal_payloads._operate.recorded import LARGEST, RecordedReference
from temporal_payloads._storage.references import Reference
from temporal_payloads._storage.sources import OwnStore
from temporal_payloads.plugin import (
    KeyLayout,
    StorageMisconfiguredError,
    StorageUnavailableError,
)
from temporalio.converter import StorageDriverClaim


def moved_key(reference, namespace="orders"):
    sha256 = dict(reference.claim_data)["hash_value"]
    return f"v0/ns/{namespace}/wt/null/wi/null/ri/null/d/sha256/{sha256}"


def key_of(reference):
    return dict(reference.claim_data)["key"]


@pytest.fixture
def reads(monkeypatch):
    """The keys that were read from stores in which a reference's own claim leads."""
    read: list[str] = []
    retrieve = OwnStore.retrieve

    async def noting(self, context, claims):
        read.extend(claim.claim.claim_data["key"] for claim in claims)
        return await retrieve(self, context, claims)

    monkeypatch.setattr(OwnStore, "retrieve", noting)
    return read


async def test_what_histories_refer_to_is_copied_to_where_the_new_store_has_it(world):
    a, b = await world.store("a"), await world.store("b")
    unreferenced = await world.store("c")
    world.orders.run("one", a)
    world.orders.run("two", b, running=True)
    report = await world.copy()
    assert report.ok
    assert report.outcomes == {"copied": 2}
    assert set(world.items("new")) == {moved_key(a), moved_key(b)}
    assert key_of(unreferenced) in world.items("old")
    for reference in (a, b):
        await world.read(reference, old={**world.old, "off": True})


async def test_nothing_in_the_old_store_is_changed(world):
    world.orders.run("one", await world.store("a"))
    before = world.items("old")
    await world.copy()
    assert world.items("old") == before


async def test_a_payload_is_copied_once_however_many_runs_have_stored_it_and_refer_to_it(world, reads):
    references = [await world.store("a", workflow_id=f"w{number}") for number in range(20)]
    for number, reference in enumerate(references):
        world.orders.run(f"r{number}", reference, references[0])
    report = await world.copy()
    assert (report.payloads, report.outcomes, report.duplicates) == (1, {"copied": 1}, 38)
    assert len(reads) == 1
    for reference in references:
        await world.read(reference, old={**world.old, "off": True})


async def test_payloads_of_two_namespaces_stay_apart_though_they_are_equal(world):
    world.namespaces["billing"] = type(world.orders)("billing")
    mine, others = await world.store("a"), await world.store("a", namespace="billing")
    world.orders.run("one", mine)
    world.namespaces["billing"].run("one", others)
    assert (await world.copy()).outcomes == {"copied": 2}
    assert set(world.items("new")) == {moved_key(mine), moved_key(others, "billing")}


async def test_payloads_without_a_namespace_and_those_of_a_namespace_called_null_stay_apart(world):
    without, null = await world.store("a", namespace=None), await world.store("a", namespace="null")
    world.orders.run("one", without, null)
    assert (await world.copy()).outcomes == {"copied": 2}
    sha256 = dict(without.claim_data)["hash_value"]
    assert set(world.items("new")) == {f"v0/d/sha256/{sha256}", moved_key(null, "null")}


async def test_what_was_copied_is_not_copied_again_and_what_has_ended_is_not_read_again(world, reads):
    a, b = await world.store("a"), await world.store("b")
    world.orders.run("ended", a)
    world.orders.run("running", b, running=True)
    await world.copy()
    reads.clear()
    world.orders.read.clear()
    c = await world.store("c")
    world.orders.run("meanwhile", c)
    report = await world.copy()
    assert report.outcomes == {"copied": 1, "done": 2}
    assert reads == [key_of(c)]
    assert sorted(world.orders.read) == ["meanwhile", "running"]


async def test_a_migration_that_was_interrupted_goes_on_where_it_was(world, reads, monkeypatch):
    references = [await world.store(str(number)) for number in range(30)]
    world.orders.run("one", *references)
    world.storage = {"concurrency": 1}
    noting = OwnStore.retrieve

    async def down_after_ten(self, context, claims):
        if len(reads) == 10:
            raise StorageUnavailableError("the store went down")
        return await noting(self, context, claims)

    with monkeypatch.context() as patch:
        patch.setattr(OwnStore, "retrieve", down_after_ten)
        with pytest.raises(StorageUnavailableError):
            await world.copy()
    assert len(world.items("new")) == 10
    report = await world.copy()
    assert report.outcomes == {"copied": 20, "done": 10}
    assert sorted(reads) == sorted(map(key_of, references))


async def test_one_that_is_cancelled_keeps_what_it_has_copied(world, reads, monkeypatch):
    world.orders.run("one", *[await world.store(str(number)) for number in range(30)])
    world.storage = {"concurrency": 1}
    noting, held = OwnStore.retrieve, asyncio.Event()

    async def hang_after_ten(self, context, claims):
        if len(reads) == 10:
            held.set()
            await asyncio.Event().wait()
        return await noting(self, context, claims)

    with monkeypatch.context() as patch:
        patch.setattr(OwnStore, "retrieve", hang_after_ten)
        task = asyncio.create_task(world.copy())
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await world.copy()).outcomes == {"copied": 20, "done": 10}


async def test_two_at_once_do_no_harm(world):
    references = [await world.store(str(number)) for number in range(50)]
    world.orders.run("one", *references)
    reports = await asyncio.gather(world.copy(), world.copy())
    assert all(report.ok for report in reports)
    assert set(world.items("new")) == set(map(moved_key, references))
    assert (await world.copy()).ok


@pytest.mark.usefixtures("leaping_clock")
async def test_a_store_that_is_out_of_reach_for_a_while_is_asked_again(world, monkeypatch):
    world.orders.run("one", await world.store("a"))
    retrieve = OwnStore.retrieve
    failed: list[object] = []

    async def down_twice(self, context, claims):
        if len(failed) < 2:
            failed.append(claims)
            raise StorageUnavailableError("the store is down")
        return await retrieve(self, context, claims)

    monkeypatch.setattr(OwnStore, "retrieve", down_twice)
    assert (await world.copy(pauses=(1, 2))).outcomes == {"copied": 1}
    assert len(failed) == 2


@pytest.mark.usefixtures("leaping_clock")
async def test_a_migration_takes_no_more_of_the_stores_than_it_is_told(world, leaping_clock):
    world.orders.run("one", *[await world.store(f"{number}" * 1000) for number in range(10, 20)])
    start = leaping_clock.monotonic()
    await world.copy(bytes_per_second=10_000)
    # Read, written and verified: ten of two thousand bytes, three times.
    assert leaping_clock.monotonic() - start == pytest.approx(6, rel=0.1)


async def test_pages_of_a_list_are_requests_too(world, leaping_clock, monkeypatch):
    for number in range(10):
        await world.store(f"{number}")
    await world.copy(everything=True)
    monkeypatch.setattr("temporal_payloads._storage.memory_driver.PAGE", 1)
    start = leaping_clock.monotonic()
    report = await world.copy(everything=True, requests_per_second=1)
    assert report.outcomes == {"done": 10}  # so that nothing but listings was asked for
    assert leaping_clock.monotonic() - start >= 10


async def test_a_forged_size_stops_no_migration_that_is_told_how_much_it_may_take(world, leaping_clock):
    a, b = await world.store("a" * 1000), await world.store("b" * 1000)
    forged = (RecordedReference("old", a.claim_data, size) for size in (2**62, -(2**62)))
    world.orders.run("one", a, b, *forged)
    start = leaping_clock.monotonic()
    assert (await world.copy(bytes_per_second=10_000)).outcomes == {"copied": 2}
    # Six thousand bytes were read and written, and those that were forged would take millions of years.
    assert leaping_clock.monotonic() - start < 60


@pytest.mark.parametrize(("said", "size"), [(-1, 0), (7, 7), (2**62, LARGEST)])
def test_a_recorded_size_is_one_that_a_payload_can_have(said, size):
    reference = Reference("old", StorageDriverClaim(claim_data={"key": "k"}), said)
    assert RecordedReference.of(reference).size == size


# -- what cannot be copied


async def test_a_payload_that_the_old_store_does_not_have_is_told_and_the_others_are_copied(world):
    lost, kept = await world.store("a"), await world.store("b")
    world.orders.run("one", lost, kept)
    world.lose("old", lost)
    report = await world.copy()
    assert not report.ok
    assert report.outcomes == {"copied": 1, "missing": 1}
    [failure] = report.failures
    assert (failure.outcome, failure.driver, failure.claim) == ("missing", "old", dict(lost.claim_data))
    assert "has no payload under key" in failure.why


async def test_one_that_is_missing_under_one_key_is_copied_from_another(world):
    lost, kept = await world.store("a", workflow_id="w1"), await world.store("a", workflow_id="w2")
    world.orders.run("one", lost, kept)
    world.lose("old", lost)
    assert (await world.copy()).outcomes == {"copied": 1}
    await world.read(lost, old={**world.old, "off": True})


async def test_a_payload_that_is_damaged_in_the_old_store_is_not_copied(world):
    damaged = await world.store("a")
    world.orders.run("one", damaged)
    world.damage("old", key_of(damaged))
    report = await world.copy()
    assert report.outcomes == {"damaged": 1}
    assert world.items("new") == {}


async def test_a_payload_that_is_damaged_in_the_new_store_is_told(world):
    reference = await world.store("a")
    world.orders.run("one", reference)
    await world.copy(everything=True)
    world.damage("new", moved_key(reference))
    world.gc["state"] = world.gc["state"] / "another"
    report = await world.copy()
    assert report.outcomes == {"damaged": 1}


async def test_one_that_is_in_the_new_store_already_need_not_be_in_the_old_one(world):
    reference = await world.store("a")
    world.orders.run("one", reference)
    await world.copy()
    world.lose("old", reference)
    world.gc["state"] = world.gc["state"] / "another"
    assert (await world.copy()).outcomes == {"present": 1}


async def test_a_payload_that_is_larger_than_the_new_store_takes_is_told(world):
    world.orders.run("one", await world.store("a" * 1000), await world.store("b"))
    world.new["max_payload_size"] = 500
    report = await world.copy()
    assert report.outcomes == {"copied": 1, "refused": 1}
    assert "max_payload_size of 500" in report.failures[0].why


async def test_a_payload_of_a_namespace_that_the_settings_do_not_allow_is_told_and_the_others_are_copied(
    world,
):
    world.namespaces["billing"] = type(world.orders)("billing")
    await world.store("a")
    await world.store("b", namespace="billing")
    world.storage = {"namespaces": ["orders"]}
    report = await world.copy(everything=True)
    assert report.outcomes == {"copied": 1, "refused": 1}
    assert "storage.namespaces" in report.failures[0].why


async def test_a_payload_keeps_its_bytes_though_another_sdk_has_serialized_it_in_another_order(world):
    reference = await world.store("a")
    payload = world.payloads[reference]
    metadata, data = type(payload)(metadata=payload.metadata), type(payload)(data=payload.data)
    otherwise = data.SerializeToString() + metadata.SerializeToString()
    assert otherwise not in world.items("old").values()
    sha256 = hashlib.sha256(otherwise).hexdigest()
    key = key_of(reference).replace(dict(reference.claim_data)["hash_value"], sha256)
    world.damage("old", key, otherwise)
    claim = {**dict(reference.claim_data), "key": key, "hash_value": sha256}
    foreign = RecordedReference("old", tuple(sorted(claim.items())), len(otherwise))
    world.payloads[foreign] = payload
    world.orders.run("one", foreign)
    assert (await world.copy()).outcomes == {"copied": 1}
    assert world.items("new") == {moved_key(foreign): otherwise}
    await world.read(foreign, old={**world.old, "off": True})


# -- what is needed


async def test_what_an_earlier_driver_has_moved_to_the_old_one_is_moved_on(world):
    world.others = {"older": {**world.shelf("older"), "moved_to": "old"}}
    del world.old["moved_to"]
    moved = await world.store("a", driver="older")
    world.orders.run("one", moved)
    assert (await world.copy(source="older", destination="old")).outcomes == {"copied": 1}
    world.lose("older", moved)
    world.old["moved_to"] = "new"
    not_moved = await world.store("b", driver="older")
    world.orders.run("two", not_moved)
    assert (await world.copy()).outcomes == {"copied": 2}
    off = {"older": {**world.others["older"], "off": True}, "old": {**world.old, "off": True}}
    for reference in (moved, not_moved):
        await world.read(reference, **off)


async def test_a_hash_that_may_be_that_of_a_needed_payload_is_looked_for_in_the_old_store(world):
    needed, other = await world.store("a"), await world.store("b")
    elsewhere = "0" * 64
    world.orders.run("scheduler", hashes=[dict(needed.claim_data)["hash_value"], elsewhere])
    report = await world.copy()
    assert report.outcomes == {"copied": 1}
    assert report.in_doubt == 1
    assert set(world.items("new")) == {moved_key(needed)}
    assert moved_key(other) not in world.items("new")


async def test_what_may_be_the_last_result_of_a_schedule_whose_run_is_deleted_is_copied_too(world):
    last = await world.store("a", workflow_id="nightly-2026-06-01T03:00:00Z")
    other = await world.store("b", workflow_id="hourly-2026-06-01T03:00:00Z")
    world.orders.scheduled["nightly"] = ["nightly-2026-06-01T03:00:00Z"]
    report = await world.copy()
    assert report.outcomes == {"copied": 1}
    assert set(world.items("new")) == {moved_key(last)}
    assert moved_key(other) not in world.items("new")
    world.lose("new", RecordedReference("new", (("key", moved_key(last)),), 0))
    assert (await world.verify()).outcomes == {"missing": 1}


async def test_everything_that_the_old_store_lists_is_copied_without_reading_a_history(world):
    world.namespaces["billing"] = type(world.orders)("billing")
    a, b = await world.store("a"), await world.store("b", namespace="billing")
    report = await world.copy(everything=True)
    assert report.outcomes == {"copied": 2}
    assert set(world.items("new")) == {moved_key(a), moved_key(b, "billing")}
    assert world.orders.read == []


async def test_a_reference_to_a_driver_that_is_not_configured_is_a_gap(world):
    reference = await world.store("a")
    unknown = RecordedReference("gone", reference.claim_data, 5)
    world.orders.run("one", reference, unknown)
    report = await world.copy()
    assert report.outcomes == {"copied": 1}
    assert not report.complete
    assert [gap["what"] for gap in report.gaps] == [
        "references to a storage driver that the settings do not have"
    ]


async def test_a_reference_that_nobody_follows_is_counted_and_copied_only_if_its_hash_is_known(world):
    reference = await world.store("a")
    claim = {**dict(reference.claim_data), "key": "elsewhere/" + key_of(reference)}
    world.orders.run("one", RecordedReference("old", tuple(sorted(claim.items())), 5))
    report = await world.copy()
    assert report.ok
    assert (report.rejected, report.outcomes) == (1, {"copied": 1})


# -- what is refused


async def test_payloads_without_namespace_are_refused_beforehand_where_the_new_store_has_no_place_for_them(
    world, monkeypatch
):
    world.orders.run("one", await world.store("a", namespace=None), await world.store("b"))
    write = KeyLayout.write

    def only_with_namespace(self, target, sha256):
        if target is None and self.fields.get("store") == world.new["store"]:
            raise StorageMisconfiguredError("bucket 'b-{namespace}' needs a namespace", store_asked=False)
        return write(self, target, sha256)

    monkeypatch.setattr(KeyLayout, "write", only_with_namespace)
    with pytest.raises(MoveRefusedError, match=r"1 references lead to payloads without a namespace.*Nothing"):
        await world.copy()
    assert world.items("new") == {}


@pytest.mark.parametrize(
    ("source", "destination", "old", "new", "message"),
    [
        ("odl", "new", {}, {}, "there is no driver 'odl'"),
        ("old", "old", {}, {}, "from one driver to another one"),
        ("old", "new", {"off": True}, {}, "storage.drivers.old is off"),
        ("old", "new", {"moved_to": None}, {"retrieve_only": True}, "storage.drivers.new is retrieve_only"),
        ("old", "third", {}, {}, "storage.drivers.old is moved_to 'new', not to 'third'"),
        ("new", "old", {}, {}, "storage.drivers.old is itself moved_to 'new'"),
    ],
)
async def test_a_migration_that_cannot_be_is_refused(world, source, destination, old, new, message):
    world.others = {"third": world.shelf("third")}
    world.old |= old
    world.new |= new
    world.storage = {"driver": "third"}
    with pytest.raises(MoveRefusedError, match=message):
        await world.copy(source=source, destination=destination)


def test_the_report_is_json_whatever_was_found():
    assert json.dumps(Report("old", "new").parts())
