"""What activities hand to the server on their way: heartbeats, completion from elsewhere, standalone ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.activities import echo
from support.assertions import assert_history, assert_stands_for
from support.history import claim_of, is_reference
from support.values import large, small
from support.workers import new_id
from support.workflows import Beats, CompletedElsewhere

if TYPE_CHECKING:
    from end_to_end.conftest import App

pytestmark = pytest.mark.parametrize("sized", [large, small])

Sized = Callable[[str], str]


async def test_heartbeat_details_reach_the_next_attempt(app: App, sized: Sized) -> None:
    value = sized("progress")
    handle = await app.start(Beats.run, value)
    await app.gate.reached.wait()
    [pending] = (await handle.describe()).raw_description.pending_activities
    [kept] = pending.heartbeat_details.payloads
    assert_stands_for(kept, value, app.store)
    app.gate.opened.set()
    assert await handle.result() == value


async def test_an_activity_completed_from_elsewhere(app: App, sized: Sized) -> None:
    value = sized("result")
    handle = await app.start(CompletedElsewhere.run)
    await app.gate.reached.wait()
    activity = app.client.get_async_activity_handle(task_token=app.gate.task_token)
    await activity.heartbeat(value)
    [pending] = (await handle.describe()).raw_description.pending_activities
    assert_stands_for(pending.heartbeat_details.payloads[0], value, app.store)
    await activity.complete(value)
    assert await handle.result() == value
    assert_history(await handle.fetch_history(), value, app.store, "activity_task_completed.result")


async def test_an_activity_without_a_workflow(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.client.start_activity(
        echo,
        value,
        id=new_id("act"),
        task_queue=app.task_queue,
        start_to_close_timeout=timedelta(seconds=30),
    )
    assert await handle.result() == value
    description = await handle.describe(include_input=True, include_outcome=True)
    assert description.raw_input is not None
    assert description.raw_outcome is not None
    [given] = description.raw_input.payloads
    [returned] = description.raw_outcome.result.payloads
    for payload in (given, returned):
        assert_stands_for(payload, value, app.store)
    if is_reference(given):
        assert f"{handle.id}" in claim_of(given)["key"]
