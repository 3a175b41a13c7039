"""What a plugin's hook is told when a collection has ended."""

from datetime import timedelta

import pytest

GRACE = timedelta(days=7)


@pytest.fixture
def told(world):
    """The latest event of a collection."""
    return lambda: world.plugin.heard[-1]


async def test_each_step_of_a_payload_is_told(world, told):
    needed = await world.store("needed")
    world.orders.run("w", needed)
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    await world.collect("plan")
    assert told().complete
    assert told().payloads == {"needed": 1, "unneeded": 1, "aside": 0}
    assert all(size > 0 for state, size in told().size.items() if state != "aside")
    garbage = told().size["unneeded"]
    await world.collect()
    assert told().payloads == {"needed": 1, "unneeded": 0, "aside": 1}
    assert (told().put_aside, told().deleted) == (1, 0)
    assert told().size["aside"] == garbage
    world.clock.advance(GRACE + timedelta(hours=1))
    await world.collect()
    assert told().payloads == {"needed": 1, "unneeded": 0, "aside": 0}
    assert (told().deleted, told().deleted_size) == (1, garbage)
    assert told().ended == world.clock().timestamp()


async def test_what_is_brought_back_is_told_and_counts_for_no_collection(world, told):
    await world.store("garbage")
    world.clock.advance(2 * GRACE)
    await world.collect()
    await world.collect("undo")
    assert told().restored == 1
    assert not told().complete


async def test_a_driver_is_called_as_references_call_it(world, told):
    reference = await world.store("needed")
    world.orders.run("w", reference)
    await world.collect("plan")
    assert told().driver == reference.driver_name


async def test_a_hook_is_told_when_nothing_of_the_collection_is_left_to_do(world):
    left = []

    class Heard(list[object]):
        def append(self, _):
            left.append(
                [name for name in world.shelf.files if name.startswith(("lease", "marks/", "sweeps/"))]
            )

    world.plugin.heard = Heard()
    await world.collect("plan")
    assert left == [[]]
