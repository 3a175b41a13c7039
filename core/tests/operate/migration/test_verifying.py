"""Whether nothing is needed from the old store any more is proved from the histories."""

import pytest
from temporal_payloads._operate.collection import namespace
from temporal_payloads._operate.migration.move import MoveRefusedError
from temporal_payloads._operate.recorded import RecordedReference
from temporal_payloads._storage.memory_driver import MemoryDriver, _stores
from temporalio.service import RPCError, RPCStatusCode


def moved_key(reference):
    sha256 = dict(reference.claim_data)["hash_value"]
    return f"v0/ns/orders/wt/null/wi/null/ri/null/d/sha256/{sha256}"


@pytest.fixture
async def references(world):
    found = [await world.store(text) for text in "ab"]
    world.orders.run("one", *found)
    return found


async def test_a_migration_that_is_whole_is_proved_also_when_the_old_store_is_off(world, references):
    await world.copy()
    report = await world.verify()
    assert report.ok
    assert report.outcomes == {"present": 2}
    world.old["off"] = True
    assert (await world.verify()).ok


async def test_what_is_not_in_the_new_store_is_told(world, references):
    await world.copy()
    late = await world.store("c")
    world.orders.run("late", late)
    report = await world.verify()
    assert not report.ok
    assert report.outcomes == {"present": 2, "missing": 1}
    assert report.failures[0].claim == dict(late.claim_data)


async def test_what_the_new_store_has_lost_or_damaged_is_told_and_the_lost_is_copied_again(world, references):
    lost, damaged = references
    await world.copy()
    store = world.items("new")
    world.damage("new", moved_key(damaged))
    world.damage("new", moved_key(lost))
    del _payloads_of(world)[moved_key(lost)]
    assert len(store) == 2
    assert (await world.verify()).outcomes == {"missing": 1, "damaged": 1}
    report = await world.copy()
    # What is damaged must be removed by hand: a store that overwrites what it has would be none to rely on.
    assert report.outcomes == {"copied": 1, "damaged": 1}
    del _payloads_of(world)[moved_key(damaged)]
    assert (await world.copy()).outcomes == {"copied": 1, "done": 1}
    assert (await world.verify()).ok


def _payloads_of(world):
    return _stores[world.new["store"]]._payloads


async def test_settings_that_do_not_say_that_payloads_are_moved_are_told(world, references):
    del world.old["moved_to"]
    await world.copy()
    report = await world.verify()
    assert report.outcomes == {"present": 2}
    assert not report.ok
    assert report.findings == [
        "storage.drivers.old.moved_to is not 'new': its payloads are read from its own store"
    ]


async def test_it_is_no_proof_if_something_could_not_be_read(world, references):
    await world.copy()
    world.orders.run("one", RecordedReference("gone", (("key", "k"),), 5), *references)
    world.gc["state"] = world.gc["state"] / "another"
    report = await world.verify()
    assert report.outcomes == {"present": 2}
    assert not report.complete
    assert not report.ok


async def test_all_that_the_old_store_lists_can_be_verified(world, references):
    await world.copy()
    await world.store("never needed")
    assert (await world.verify()).ok
    assert (await world.verify(everything=True)).outcomes == {"present": 2, "missing": 1}


async def test_a_store_that_is_off_is_not_listed(world, references):
    world.old["off"] = True
    with pytest.raises(MoveRefusedError, match=r"storage.drivers.old is off, and cannot be listed"):
        await world.verify(everything=True)


# -- what may be needed, though no reference that is followed leads to it


def hash_of(reference):
    return dict(reference.claim_data)["hash_value"]


def under_another_prefix(reference):
    """Return a reference that the old table rejects, as if its prefix had been changed since."""
    claim = dict(reference.claim_data)
    claim["key"] = "other-prefix/" + claim["key"]
    return RecordedReference("old", tuple(sorted(claim.items())), reference.size)


async def test_references_that_the_old_table_rejects_are_a_finding_if_no_store_lists_their_payloads(world):
    listed, unlisted = await world.store("a"), await world.store("b")
    hashless = RecordedReference("old", (("key", "k"),), 5)
    world.orders.run("one", *map(under_another_prefix, (listed, unlisted)), hashless)
    world.lose("old", unlisted)
    await world.copy()
    report = await world.verify()
    assert report.complete
    assert not report.ok
    assert (report.rejected, report.outcomes) == (3, {"present": 1})
    [finding] = report.findings
    assert finding.startswith(
        "references that no driver follows lead to 2 payloads that neither old nor new lists: is the table"
    )


async def test_a_rejected_reference_is_no_finding_if_the_new_store_has_its_payload(world):
    reference = await world.store("a")
    world.orders.run("one", under_another_prefix(reference))
    await world.copy()
    world.lose("old", reference)
    report = await world.verify()
    assert report.ok
    assert (report.rejected, report.outcomes) == (1, {"present": 1})


async def test_references_that_another_driver_rejects_say_nothing_of_the_old_table(world):
    reference = under_another_prefix(await world.store("a", driver="new"))
    world.orders.run("one", RecordedReference("new", (("key", "k"),), 5), reference)
    assert (await world.verify()).ok


async def test_a_hash_that_may_be_needed_is_a_gap_while_the_old_store_is_off_and_the_new_one_has_it_not(
    world,
):
    copied, written, lost = await world.store("a"), await world.store("b", driver="new"), "0" * 64
    world.orders.run("one", hashes=[hash_of(copied), hash_of(written)])
    await world.copy()
    world.old["off"] = True
    report = await world.verify()
    assert report.ok
    assert report.outcomes == {"present": 2}
    world.orders.run("two", hashes=[lost])
    report = await world.verify()
    assert not report.complete
    assert [(gap["count"], gap["why"]) for gap in report.gaps] == [
        (1, "storage.drivers.old is off, and cannot be listed")
    ]


async def test_what_may_be_needed_and_is_damaged_in_the_new_store_is_told_while_the_old_one_is_off(world):
    copied = await world.store("a")
    world.orders.run("one", hashes=[hash_of(copied)])
    await world.copy()
    world.damage("new", moved_key(copied))
    world.old["off"] = True
    assert (await world.verify()).outcomes == {"damaged": 1}


async def test_a_schedule_whose_last_result_cannot_be_told_is_a_gap_while_the_old_store_is_off(world):
    await world.store("a", workflow_id="nightly-2026-06-01T03:00:00Z")
    world.orders.scheduled["nightly"] = ["nightly-2026-06-01T03:00:00Z"]
    await world.copy()
    assert (await world.verify()).ok
    world.old["off"] = True
    report = await world.verify()
    assert not report.complete
    assert [(gap["count"], gap["what"]) for gap in report.gaps] == [
        (1, "schedules whose last results may be needed and cannot be told")
    ]


# -- namespaces


async def test_payloads_of_a_namespace_that_nobody_read_are_a_gap_while_the_old_store_can_be_listed(
    world, references
):
    await world.copy()
    world.orders.others = ["billing", "empty"]
    await world.store("c", namespace="billing")
    report = await world.verify()
    assert not report.complete
    assert [gap["namespace"] for gap in report.gaps] == ["billing"]
    world.namespaces["billing"] = type(world.orders)("billing")
    report = await world.verify()
    assert report.ok
    assert report.namespaces == ["orders", "billing"]


async def test_so_are_those_of_a_namespace_that_only_the_settings_name(world, references):
    await world.copy()
    await world.store("c", namespace="billing")
    world.storage = {"namespaces": ["orders", "billing"]}
    assert [gap["namespace"] for gap in (await world.verify()).gaps] == ["billing"]


async def test_so_are_those_that_a_store_lists_in_one_part_with_all_others(world, references, monkeypatch):
    await world.copy()
    await world.store("c", namespace="billing")
    await world.store("d", namespace="null")
    await world.store("e", namespace=None)
    monkeypatch.setattr(MemoryDriver, "shards", lambda _driver, _namespaces: ["v0/"])
    assert [gap["namespace"] for gap in (await world.verify()).gaps] == ["billing"]


async def test_a_server_that_cannot_be_asked_for_its_namespaces_is_a_gap_and_one_that_tells_nobody_is_none(
    world, references, monkeypatch
):
    await world.copy()
    status = RPCStatusCode.UNAVAILABLE

    async def refuse(client):
        raise RPCError("no", status, b"")

    monkeypatch.setattr(namespace, "namespaces_of_server", refuse)
    world.orders._client = None
    monkeypatch.setattr(type(world.orders), "neighbours", namespace.Namespace.neighbours)
    assert [gap["why"] for gap in (await world.verify()).gaps] == ["they could not be listed: no"]
    status = RPCStatusCode.PERMISSION_DENIED
    assert (await world.verify()).ok
