"""What a schedule hands on outlives the run that produced it, and everything else that shows it."""

from datetime import timedelta

import pytest
from temporal_payloads._operate.collection.schedules import action_of
from temporalio.service import RPCStatusCode

HOUR, DAY, GRACE = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def key_of(reference):
    return dict(reference.claim_data)["key"]


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


async def results_of(world, *days):
    """What these runs left, kept by nobody but the schedule."""
    results = {day: await world.store(f"result {day}", workflow_id=due(day)) for day in days}
    world.clock.advance(2 * GRACE)
    return results


async def kept_after_deleting(world, *runs):
    """Delete all histories; return the keys of what is not put aside a grace later."""
    await world.collect("plan")
    for day, run_id in runs:
        world.orders.delete(due(day), run_id)
    await world.collect("plan")
    world.clock.advance(GRACE)
    await world.collect("put-aside")
    return world.shelf.keys(aside=False)


async def test_a_run_that_was_reset_and_ended_last_does_not_replace_a_later_action_s_success(world):
    results = await results_of(world, 1, 2)
    reset = await world.store("reset", workflow_id=due(1))
    world.clock.advance(2 * GRACE)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    for day, closed in ((1, 3), (2, 2)):
        ended = world.clock() - closed * 2 * GRACE
        world.orders.run(due(day), results[day], scheduled_by="nightly", closed=ended)
    world.orders.run(due(1), reset, run_id="reset", scheduled_by="nightly", closed=world.clock() - DAY)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"), (1, "reset"))
    # The scheduler that has not looked yet when a run is reset takes in the new one.
    assert kept == {key_of(results[2]), key_of(reset)}


async def test_what_ran_with_allow_all_does_not_replace_the_success_before(world):
    """One of the server's schedulers takes it in, the other does not."""
    results = await results_of(world, 1, 2, 3)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    world.orders.not_taken_in.add(due(2))
    for day, closed in ((1, 3), (2, 2)):
        world.orders.run(due(day), results[day], scheduled_by="nightly", closed=world.clock() - closed * DAY)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"))
    assert kept == {key_of(results[1]), key_of(results[2])}

    world.clock.advance(2 * GRACE)
    world.orders.described["nightly"] = [due(3)]
    world.orders.run(due(3), results[3], scheduled_by="nightly")
    world.clock.advance(GRACE)
    kept = await kept_after_deleting(world, (3, "run"))
    assert kept == {key_of(results[3])}


async def test_a_success_that_overlapped_with_a_later_one_is_kept_beside_it(world):
    results = await results_of(world, 1, 2)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    world.orders.run(due(2), results[2], scheduled_by="nightly", closed=world.clock() - 2 * HOUR)
    world.orders.run(due(1), results[1], scheduled_by="nightly", closed=world.clock() - HOUR)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"))
    assert kept == {key_of(result) for result in results.values()}


async def test_a_success_is_kept_where_a_later_run_began_too_soon_after_it_to_tell_which_came_first(world):
    """The hosts of a server have clocks of their own, and what tells a schedule of an end may be down."""
    results = await results_of(world, 1, 2)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    # A run lasts an hour here.
    for day, ended in ((1, timedelta(minutes=125)), (2, HOUR)):
        world.orders.run(due(day), results[day], scheduled_by="nightly", closed=world.clock() - ended)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"))
    assert kept == {key_of(result) for result in results.values()}


async def test_a_success_that_the_schedule_may_still_take_in_is_kept_beside_later_ones(world):
    results = await results_of(world, 1, 2)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    world.orders.not_taken_in.add(due(1))
    for day, ended in ((1, 3 * DAY), (2, DAY)):
        world.orders.run(due(day), results[day], scheduled_by="nightly", closed=world.clock() - ended)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"))
    assert kept == {key_of(result) for result in results.values()}


async def test_a_success_that_the_schedule_takes_in_last_is_kept_though_a_later_run_had_ended_before(world):
    results = await results_of(world, 1, 2)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2)])
    world.orders.run(due(1), results[1], scheduled_by="nightly", closed=world.clock() - 3 * GRACE)
    world.orders.run(due(2), results[2], scheduled_by="nightly", closed=world.clock() - HOUR)
    world.orders.not_taken_in.add(due(1))
    await world.collect("plan")
    world.orders.not_taken_in.clear()
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"))
    assert key_of(results[1]) in kept


async def test_a_schedule_that_has_taken_in_none_of_its_last_successes_is_uncertain(world, result):
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent)
    world.orders.not_taken_in.update(recent)
    for workflow_id in recent:
        world.orders.run(workflow_id, scheduled_by="nightly")
    assert await rules_of(world) == {"of_a_schedule"}


async def test_a_failure_goes_to_the_next_run_and_is_kept_until_that_has_ended(world):
    results = await results_of(world, 1, 2, 3)
    world.orders.schedule("nightly", action="report", recent=[due(1), due(2), due(3)])
    for day, status in ((1, "COMPLETED"), (2, "FAILED"), (3, "TIMED_OUT")):
        closed = world.clock() - (4 - day) * 2 * GRACE
        world.orders.run(due(day), results[day], scheduled_by="nightly", status=status, closed=closed)
    kept = await kept_after_deleting(world, (1, "run"), (2, "run"), (3, "run"))
    assert kept == {key_of(results[1]), key_of(results[3])}


async def test_a_run_that_was_open_when_last_seen_and_is_none_of_the_last_ten_makes_it_uncertain(
    world, result
):
    world.orders.schedule("nightly", action="report", recent=[due(2), due(3)])
    world.orders.run(due(2), scheduled_by="nightly", status="RUNNING")
    world.orders.run(due(3), scheduled_by="nightly")
    assert await rules_of(world) == {"unreferenced"}
    # It may have completed last of all.
    world.orders.delete(due(2))
    recent = [due(day) for day in range(3, 13)]
    world.orders.described["nightly"] = recent
    for workflow_id in recent[1:]:
        world.orders.run(workflow_id, scheduled_by="nightly")
    assert await rules_of(world) == {"of_a_schedule"}
    assert await rules_of(world) == {"of_a_schedule"}
    # What began a grace after it had ended, and succeeded, has replaced what it may have left.
    world.clock.advance(2 * GRACE)
    world.orders.described["nightly"] = [*recent[1:], due(13)]
    world.orders.run(due(13), scheduled_by="nightly")
    assert await rules_of(world) == {"unreferenced"}


async def test_a_run_that_goes_on_says_nothing_of_what_came_and_went_meanwhile(world, result):
    """The server lists it beside the last ten, for as long as it runs."""
    world.orders.schedule("nightly", action="report", recent=[due(2), due(3)])
    world.orders.run(due(2), scheduled_by="nightly", status="RUNNING")
    world.orders.run(due(3), scheduled_by="nightly")
    assert await rules_of(world) == {"unreferenced"}
    recent = [due(day) for day in range(20, 30)]
    world.orders.described["nightly"] = [due(2), *recent]
    for workflow_id in recent:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"of_a_schedule"}


async def test_a_run_that_is_gone_and_may_still_be_taken_in_is_not_replaced_by_later_ones(world, result):
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent)
    world.orders.not_taken_in.add(due(2))
    world.orders.run(due(2), scheduled_by="nightly")
    for workflow_id in recent[1:]:
        world.orders.run(workflow_id, scheduled_by="nightly")
    world.orders.delete(due(2))  # nobody has read it
    assert await rules_of(world) == {"of_a_schedule"}
    world.clock.advance(2 * GRACE)
    world.orders.described["nightly"] = [*recent, due(12)]
    world.orders.run(due(12), scheduled_by="nightly")
    assert await rules_of(world) == {"of_a_schedule"}
    # The schedule takes it in last of all.
    world.orders.not_taken_in.clear()
    assert await rules_of(world) == {"of_a_schedule"}
    # And then a later one.
    world.clock.advance(2 * GRACE)
    world.orders.described["nightly"] = [*recent, due(12), due(13)]
    world.orders.run(due(13), scheduled_by="nightly")
    assert await rules_of(world) == {"unreferenced"}


async def test_where_no_success_was_ever_read_nothing_of_its_action_is_swept(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    assert await rules_of(world) == {"of_a_schedule"}


async def test_other_workflows_are_swept_all_the_same(world, result):
    world.orders.schedule("nightly", action="another", recent=["another-2026-05-01T10:00:00Z"])
    assert await rules_of(world) == {"unreferenced"}


async def failing_since_it_was_renamed(world):
    """Nothing tells what the action was called when it last succeeded."""
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent)
    for workflow_id in recent:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")


async def test_of_a_schedule_whose_action_may_have_had_another_name_all_that_schedules_started_is_kept(world):
    await world.store("result", workflow_id="before-2026-05-01T10:00:00Z")
    world.clock.advance(2 * GRACE)
    await failing_since_it_was_renamed(world)
    assert await rules_of(world) == {"of_a_schedule"}
    # Once more is known of it, and of others what they are called, that ends.
    world.orders.described["nightly"].append(due(12))
    world.orders.run(due(12), scheduled_by="nightly")
    assert await rules_of(world) == {"unreferenced"}


async def test_a_schedule_that_always_fails_keeps_nothing_of_those_of_which_more_is_known(world):
    await world.store("garbage", workflow_id="sums-2026-05-01T10:00:00Z")
    world.clock.advance(2 * GRACE)
    await failing_since_it_was_renamed(world)
    world.orders.schedule("daily", action="sums", recent=["sums-2026-05-02T10:00:00Z"])
    world.orders.run("sums-2026-05-02T10:00:00Z", scheduled_by="daily")
    assert await rules_of(world) == {"unreferenced"}


async def test_what_is_kept_of_a_schedule_outlives_that_its_namespace_is_declared_once_more(world, result):
    """Another address, or profile, that leads to the same cluster: both are marked, each by itself."""
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    await world.collect("plan")
    world.orders.delete(due(1))
    recent = [due(day) for day in range(2, 12)]
    world.orders.described["nightly"] = recent
    for workflow_id in recent:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    world.clock.advance(2 * GRACE)
    assert await rules_of(world) == {"needed"}
    other = world.also_at("eu:7233")
    for _ in range(2):
        world.clock.advance(2 * GRACE)
        assert await rules_of(world) == {"needed"}
    del world.namespaces["orders at eu:7233"]
    other.runs.clear()
    world.clock.advance(2 * GRACE)
    assert await rules_of(world) == {"needed"}


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


async def test_a_schedule_that_is_there_and_is_not_listed_keeps_what_it_may_hand_on(world, result):
    world.orders.schedule("nightly", action="report", recent=[due(1)])
    world.orders.run(due(1), result, scheduled_by="nightly")
    await world.collect("plan")
    world.orders.delete(due(1))
    world.orders.hidden.add("nightly")
    for _ in range(3):
        assert await rules_of(world) == {"needed"}
        world.clock.advance(GRACE)
    world.orders.describing_fails = RPCStatusCode.UNAVAILABLE
    assert not (await world.collect()).complete
    world.orders.describing_fails = None
    assert await rules_of(world) == {"needed"}


async def test_a_schedule_that_cannot_be_described_keeps_everything(world, result):
    world.orders.schedule("nightly", action="another")
    world.orders.describing_fails = RPCStatusCode.UNAVAILABLE
    report = await world.collect()
    assert not report.complete
    assert "schedules that could not be read" in report.incomplete[0]


async def test_a_schedule_that_could_not_be_described_once_is_as_certain_as_before(world, result):
    recent = [due(day) for day in range(2, 12)]
    world.orders.schedule("nightly", action="report", recent=recent[:3])
    for workflow_id in recent[:3]:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"unreferenced"}
    world.orders.describing_fails = RPCStatusCode.UNAVAILABLE
    assert not (await world.collect("plan")).complete
    world.orders.describing_fails = None
    world.orders.described["nightly"] = recent
    for workflow_id in recent[3:]:
        world.orders.run(workflow_id, scheduled_by="nightly", status="FAILED")
    assert await rules_of(world) == {"unreferenced"}


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
