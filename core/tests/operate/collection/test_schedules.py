"""A schedule's last result outlives the run that produced it, and everything else that shows it."""

from datetime import timedelta

import pytest
from temporal_payloads._operate.collection.schedules import action_of
from temporalio.service import RPCStatusCode

HOUR, DAY, GRACE = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def due(day):
    return f"report-2026-05-{day:02}T10:00:00Z"


@pytest.fixture
async def result(world):
    """What the run of the first day left, kept by nobody but the schedule."""
    reference = await world.store("result", workflow_id=due(1))
    world.clock.advance(2 * GRACE)
    return reference


async def rules_of(world, purpose="plan"):
    report = await world.collect(purpose)
    assert report.complete
    return set(report.stores["shelf"]["rules"])


async def test_the_result_of_the_latest_success_is_kept_while_the_schedule_exists(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    await world.collect()
    world.orders.delete(due(1))
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"needed"}
    world.orders.delete("nightly", kind="schedule")
    await world.collect("plan")
    world.clock.advance(GRACE)
    assert await rules_of(world) == {"unreferenced"}


async def test_a_later_run_that_failed_does_not_replace_the_latest_success(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    world.orders.run(due(2), scheduled_by="nightly", status="FAILED", closed=world.clock())
    await world.collect()
    world.orders.delete(due(1))
    world.orders.delete(due(2))
    world.clock.advance(10 * GRACE)
    assert await rules_of(world) == {"needed"}


async def test_a_later_success_replaces_it(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    await world.collect()
    world.orders.delete(due(1))
    world.clock.advance(10 * GRACE)
    later = await world.store("later", workflow_id=due(2))
    world.orders.described["nightly"].append(due(2))
    world.orders.run(due(2), later, scheduled_by="nightly")
    await world.collect("plan")
    world.clock.advance(GRACE)
    await world.collect("plan")
    world.clock.advance(GRACE)
    report = await world.collect("plan")
    assert set(report.stores["shelf"]["rules"]) == {"needed", "unreferenced"}


async def test_the_latest_success_is_the_one_that_ended_last_however_runs_are_listed(world):
    results = {day: await world.store(f"result {day}", workflow_id=due(day)) for day in range(1, 9)}
    world.clock.advance(2 * GRACE)
    world.orders.schedule("nightly", action="report", recent=[due(day) for day in results])
    for day, reference in results.items():
        # The runs overlap: the one of the fifth day takes longest.
        closed = world.clock() - HOUR - abs(day - 5) * DAY
        world.orders.run(due(day), reference, scheduled_by="nightly", closed=closed)
    await world.collect("plan")
    for day in results:
        world.orders.delete(due(day))
    await world.collect("plan")
    world.clock.advance(GRACE)
    await world.collect("put-aside")
    assert world.shelf.keys(aside=False) == {dict(results[5].claim_data)["key"]}


async def test_where_no_success_was_ever_read_nothing_of_its_action_is_swept(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    assert await rules_of(world) == {"of_a_schedule"}


async def test_other_workflows_are_swept_all_the_same(world, result):
    world.orders.schedule("nightly", action="another", recent=["another-2026-05-01T10:00:00Z"])
    assert await rules_of(world) == {"unreferenced"}


async def test_a_success_that_came_and_went_between_two_collections_is_not_forgotten(world, result):
    """What was read is the run of an earlier day; the run that made the last result was never listed."""
    earlier = "report-2026-04-30T10:00:00Z"
    world.orders.schedule("nightly", action="report", recent=[earlier])
    world.orders.run(earlier, scheduled_by="nightly")
    await world.collect()
    world.orders.described["nightly"].append(due(1))
    assert await rules_of(world, "put-aside") == {"of_a_schedule"}


async def test_what_was_put_aside_before_it_became_doubtful_is_brought_back(world, result):
    await world.collect("put-aside")
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    assert await rules_of(world, "delete") == {"of_a_schedule"}
    assert not world.shelf.keys(aside=True)


async def test_a_schedule_of_which_every_action_was_seen_is_certain(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(2)])
    world.orders.run(due(2), scheduled_by="nightly")
    for day in range(3, 30):
        # Each collection sees the latest run; the others are deleted, and fall out of the server's list.
        world.orders.described["nightly"] = [due(each) for each in range(max(2, day - 9), day + 1)]
        status = "FAILED" if day > 10 else "COMPLETED"
        world.orders.run(due(day), scheduled_by="nightly", status=status)
        assert await rules_of(world) == {"unreferenced"}, day
        world.orders.delete(due(day))


async def test_a_schedule_that_never_succeeded_and_did_no_more_than_is_seen_is_certain(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(2), due(3)])
    for day in (2, 3):
        world.orders.run(due(day), scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"unreferenced"}


async def test_a_schedule_that_did_much_is_certain_from_its_latest_success_on(world, result):
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent)
    world.orders.run(due(2), scheduled_by="nightly", closed=world.clock() - DAY)
    for workflow_id in recent[1:]:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"unreferenced"}


async def test_a_run_that_has_just_failed_may_be_tried_again_unseen(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(2)])
    world.orders.run(due(2), scheduled_by="nightly")
    world.orders.described["nightly"].append(due(3))
    world.orders.run(due(3), scheduled_by="nightly", status="FAILED", closed=world.clock() - HOUR / 60)
    assert await rules_of(world) == {"unreferenced"}
    world.orders.delete(due(3))
    assert await rules_of(world) == {"of_a_schedule"}


async def test_a_schedule_that_did_more_than_the_server_lists_is_uncertain(world, result):
    world.orders.schedule("nightly", action="report")
    await world.collect("plan")
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent)
    for workflow_id in recent:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"of_a_schedule"}


async def test_a_schedule_that_was_deleted_while_it_was_listed_keeps_what_it_may_have_left(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    await world.collect("plan")
    world.orders.delete(due(1))
    world.orders.describing_fails = RPCStatusCode.NOT_FOUND
    world.clock.advance(2 * GRACE)
    assert await rules_of(world) == {"needed"}


async def test_a_schedule_that_cannot_be_described_keeps_everything(world, result):
    world.orders.schedule("nightly", action="another")
    world.orders.describing_fails = RPCStatusCode.UNAVAILABLE
    report = await world.collect()
    assert not report.complete
    assert "schedules that could not be read" in report.incomplete[0]


async def test_a_run_that_was_open_when_it_was_last_seen_makes_its_schedule_uncertain(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(2)])
    world.orders.run(due(2), scheduled_by="nightly")
    world.orders.described["nightly"].append(due(3))
    world.orders.run(due(3), scheduled_by="nightly", status="RUNNING")
    assert await rules_of(world) == {"unreferenced"}
    world.orders.delete(due(3))
    assert await rules_of(world) == {"of_a_schedule"}


async def test_a_payload_whose_key_was_too_long_for_its_id_may_be_of_any_schedule(world):
    await world.store("result", workflow_id="r" * 1000)
    world.clock.advance(2 * GRACE)
    world.orders.schedule("nightly", action="r" * 1000, recent=["r" * 1000 + "-2026-05-01T10:00:00Z"])
    assert await rules_of(world) == {"of_a_schedule"}


async def test_an_action_that_the_schedule_had_before_counts_too(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    await world.collect("plan")
    world.orders.schedule("nightly", action="renamed", recent=["renamed-2026-05-02T10:00:00Z"])
    assert await rules_of(world) == {"of_a_schedule"}


def test_the_action_of_a_workflow_is_told_by_its_id():
    assert action_of(due(1)) == "report"
    assert action_of("a-b-2026-05-01T10:00:00Z-2026-05-02T10:00:00.5Z") == "a-b-2026-05-01T10:00:00Z"
    assert action_of("report") is None
    assert action_of("report-2026-05-01") is None
