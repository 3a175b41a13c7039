"""Whether nothing is needed from the old store any more is proved from the histories."""

import pytest
from temporal_payloads._operate.migration.move import MoveRefusedError
from temporal_payloads._operate.recorded import RecordedReference
from temporal_payloads._storage.memory_driver import _stores


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
