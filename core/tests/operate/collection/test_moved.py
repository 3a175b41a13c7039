"""What is moved to another store is needed there for as long as something refers to it in the old one."""

from datetime import timedelta

import pytest

HOUR, DAY, GRACE = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@pytest.fixture
def moved(world):
    """Let payloads of the shelf be moved to another one; return a function that moves one of them."""
    world.settings["storage"] = {"driver": "new", "drivers": {"shelf": {}, "new": _table("new")}}

    def move(reference, *, to="new"):
        sha256 = dict(reference.claim_data)["hash_value"]
        key = f"{to}/v0/ns/orders/wt/null/wi/null/ri/null/d/sha256/{sha256}"
        data = world.shelf.items[dict(reference.claim_data)["key"]].data
        world.plugin.shelf(to).put(key, data)
        return key

    return move


@pytest.fixture
def new(world):
    """The new store."""
    return world.plugin.shelf("new")


def _table(name, **more):
    return {"type": "shelf", "name": name, **more}


def say_that_it_is_moved(world, **more):
    world.settings["storage"]["drivers"]["shelf"] |= {"moved_to": "new", **more}


@pytest.mark.parametrize("off", [False, True])
async def test_what_was_moved_is_kept_in_the_new_store_though_references_name_the_old_one(
    world, moved, new, off
):
    needed, garbage = await world.store("needed"), await world.store("garbage")
    kept, swept = moved(needed), moved(garbage)
    say_that_it_is_moved(world, off=off)
    world.orders.run("w", needed)
    world.clock.advance(2 * GRACE)
    report = await world.collect()
    assert report.complete
    assert new.keys(aside=True) == {swept}
    world.clock.advance(GRACE)
    await world.collect()
    assert new.keys() == {kept}


async def test_a_store_that_is_off_is_not_collected(world, moved):
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    say_that_it_is_moved(world, off=True)
    report = await world.collect()
    assert report.refused == {"shelf": "it is off"}
    assert len(world.shelf.keys(aside=False)) == 1


async def test_without_the_setting_what_was_moved_is_garbage_as_soon_as_it_is_old_enough(world, moved, new):
    needed = await world.store("needed")
    moved(needed)
    world.orders.run("w", needed)
    await world.collect()
    assert new.keys(aside=True) == set()
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert len(new.keys(aside=True)) == 1


async def test_in_a_chain_it_is_kept_in_each_store_that_it_may_be_read_from(world, moved, new):
    needed = await world.store("needed")
    world.settings["storage"]["drivers"] |= {"middle": _table("middle", moved_to="new")}
    keys = moved(needed, to="middle"), moved(needed)
    world.settings["storage"]["drivers"]["shelf"]["moved_to"] = "middle"
    world.orders.run("w", needed)
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert world.plugin.shelf("middle").keys(aside=False) == {keys[0]}
    assert new.keys(aside=False) == {keys[1]}


async def test_what_may_be_the_last_result_of_a_schedule_is_kept_though_its_key_names_no_workflow_any_more(
    world, moved, new
):
    """A payload that was moved lies under its namespace and hash alone."""
    result = await world.store("result", workflow_id="report-2026-05-01T10:00:00Z")
    key = moved(result)
    say_that_it_is_moved(world)
    world.orders.schedule("nightly", action="report", recent=["report-2026-05-01T10:00:00Z"])
    world.clock.advance(2 * GRACE)
    await world.collect()
    assert new.keys(aside=False) == {key}
