"""Log records that say whose payloads they are about."""

import asyncio
import json
import logging

import pytest
from temporal_payloads._observe.belonging import current_belonging
from temporal_payloads.observability import JsonFormatter
from temporalio.converter import (
    ActivitySerializationContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.testing import ActivityEnvironment

logger = logging.getLogger("temporal_payloads")


@pytest.fixture
def line(caplog):
    """Return the only record as JSON."""

    def of_the_only_record():
        [record] = caplog.records
        return json.loads(JsonFormatter().format(record))

    return of_the_only_record


async def test_a_record_of_a_workflow_task_has_the_workflow_and_the_run(build, bound, store, values, line):
    converter = build().converter
    store.on_writing = lambda shelf, items: logger.warning("the store is slow")

    async def task():
        bound(converter, run_id="run-1")
        await bound(converter).encode([values.large])

    await asyncio.create_task(task())
    known = {"namespace": "orders", "workflow_id": "order-7", "run_id": "run-1"}
    found = line()
    assert known.items() <= found.items()
    assert "activity_id" not in found
    assert (found["message"], found["level"]) == ("the store is slow", "WARNING")


async def test_a_record_of_an_activity_has_its_id_too(build, store, values, line):
    converter = build().converter._with_contexts(
        ActivitySerializationContext(
            namespace="orders",
            workflow_id="order-7",
            workflow_type="Order",
            activity_type="ship",
            activity_id="3",
            activity_task_queue="queue",
            is_local=False,
        ),
        StorageDriverStoreContext(
            target=StorageDriverWorkflowInfo(id="order-7", run_id="run-1", type="Order", namespace="orders")
        ),
    )
    store.on_writing = lambda shelf, items: logger.warning("the store is slow")
    await asyncio.create_task(converter.encode([values.large]))
    known = {"workflow_id": "order-7", "run_id": "run-1", "activity_id": "3"}
    assert known.items() <= line().items()


def test_a_record_of_the_activitys_own_code_has_them(build, line):
    build()
    environment = ActivityEnvironment()
    environment.run(lambda: logger.warning("in an activity"))
    assert line()["activity_id"] == environment.info.activity_id


def test_a_record_of_no_task_has_none_of_them(build, line):
    build()
    logger.warning("at start")
    assert set(line()) == {"time", "level", "logger", "message"}


def test_a_plain_format_can_name_them(build, caplog):
    build()
    logger.warning("at start")
    [record] = caplog.records
    assert logging.Formatter("%(workflow_id)s %(message)s").format(record) == "None at start"


async def test_nothing_is_known_any_more_afterwards(build, bound, values):
    await bound(build().converter).encode([values.large])
    assert current_belonging().workflow_id is None
