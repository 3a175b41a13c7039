"""What a workflow carries beside its arguments: memos, schedules, search attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.assertions import assert_history, assert_nowhere, assert_stands_for
from support.schedules import described_once_started
from support.values import large, small
from support.workers import new_id
from support.workflows import KEYWORD, Echo, KeepsMemo, SetsSearchAttribute
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

if TYPE_CHECKING:
    from end_to_end.conftest import App

Sized = Callable[[str], str]
sizes = pytest.mark.parametrize("sized", [large, small])


@sizes
async def test_memos_of_a_client_and_of_the_workflow_itself(app: App, sized: Sized) -> None:
    note, added = sized("note"), sized("added")
    handle = await app.start(KeepsMemo.run, added, memo={"note": note})
    assert await handle.result() == note
    description = await handle.describe()
    assert await description.memo() == {"note": note, "added": added}
    assert_stands_for(description.raw_info.memo.fields["note"], note, app.store)
    assert_stands_for(description.raw_info.memo.fields["added"], added, app.store)
    history = await handle.fetch_history()
    assert_history(history, note, app.store, "workflow_execution_started.memo.fields.note")
    assert_history(history, added, app.store, "workflow_properties_modified.upserted_memo.fields.added")


@sizes
async def test_schedules_hold_arguments_and_memos_and_hand_them_on(app: App, sized: Sized) -> None:
    value, note = sized("value"), sized("note")
    # The schedule's own memo is an argument of a workflow inside the server, which fails on references.
    about = small("about")
    handle = await app.client.create_schedule(
        new_id("schedule"),
        Schedule(
            action=ScheduleActionStartWorkflow(
                Echo.run, value, id=new_id("wf"), task_queue=app.task_queue, memo={"note": note}
            ),
            spec=ScheduleSpec(),
        ),
        memo={"about": about},
        trigger_immediately=True,
    )
    try:
        description = await described_once_started(handle)
        assert await description.memo() == {"about": about}
        assert_stands_for(description.raw_description.memo.fields["about"], about, app.store)
        scheduled = description.raw_description.schedule.action.start_workflow
        assert_stands_for(scheduled.input.payloads[0], value, app.store)
        assert_stands_for(scheduled.memo.fields["note"], note, app.store)
        for kept in (value, note, about):
            assert_nowhere([description.raw_description], kept)
        [started] = description.info.recent_actions
        assert isinstance(started.action, ScheduleActionExecutionStartWorkflow)
        workflow = app.client.get_workflow_handle(started.action.workflow_id)
    finally:
        await handle.delete()
    assert await workflow.result() == value
    assert await (await workflow.describe()).memo() == {"note": note}


async def test_search_attributes_stay_as_the_server_reads_them(app: App) -> None:
    await app.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            search_attributes={KEYWORD.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
            namespace=app.client.namespace,
        )
    )
    before, after = small("before"), small("after")
    handle = await app.start(
        SetsSearchAttribute.run,
        after,
        search_attributes=TypedSearchAttributes([SearchAttributePair(KEYWORD, before)]),
    )
    assert await handle.result() == before
    description = await handle.describe()
    assert description.typed_search_attributes[KEYWORD] == after
    found = description.raw_info.search_attributes.indexed_fields[KEYWORD.name]
    assert found.metadata["encoding"] == b"json/plain"
    assert after.encode() in found.data
