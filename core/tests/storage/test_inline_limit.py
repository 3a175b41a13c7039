"""A value that the history cannot hold fails in words that tell what it is."""

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.inline_limit import InlineLimit
from temporal_payloads.plugin import PayloadTooLargeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    NexusSerializationContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
)
from temporalio.testing import ActivityEnvironment

ACTIVITY = ActivitySerializationContext(
    namespace="default",
    activity_id="7",
    activity_type="Ship",
    activity_task_queue="queue",
    workflow_id="order-1",
    workflow_type="Order",
    is_local=False,
)
WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="order-1")
NEXUS = NexusSerializationContext(endpoint="e", service="Carriers", operation="book")
TARGET = StorageDriverStoreContext(
    target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="r", type="Order")
)


@pytest.fixture
def make_converter(registry):
    def make(inline_limit=1000, **storage):
        settings = {"inline_limit": inline_limit, "cache": {"max_size": 0}} | storage
        root = {name: settings.pop(name) for name in ("codecs",) if name in settings}
        return build_data_converter(PayloadSettings(**root, storage=settings), registry=registry)

    return make


async def refusal(converter, *values):
    with pytest.raises(PayloadTooLargeError) as raised:
        await converter.encode(list(values))
    return raised.value


async def test_by_default_the_server_decides(make_converter):
    await make_converter(inline_limit=None).encode(["x" * 3_000_000])


async def test_a_value_of_just_the_limit_is_let_through(make_converter):
    [payload] = await make_converter().encode(["x" * 900])
    assert payload.ByteSize() < 1000
    limit = payload.ByteSize()
    await make_converter(inline_limit=limit).encode(["x" * 900])
    await refusal(make_converter(inline_limit=limit - 1), "x" * 900)


async def test_the_values_of_one_message_count_together(make_converter):
    """As the server counts them."""
    converter = make_converter()
    await converter.encode(["x" * 400, "y" * 400])
    error = await refusal(converter, "x" * 400, "y" * 500, "z" * 400)
    assert "a value 2 of 3 has" in error.message
    assert "bytes together" in error.message


async def test_what_counts_is_the_size_after_the_codecs(make_converter):
    await make_converter(codecs=["gzip"]).encode(["x" * 100_000])


async def test_what_a_driver_has_taken_does_not_count_but_for_its_reference(make_converter):
    converter = make_converter(drivers={"memory": {}}, threshold=500)
    payloads = await converter.encode(["x" * 5000, "y" * 100])
    assert sum(payload.ByteSize() for payload in payloads) < 1000
    error = await refusal(converter, *("x" * 5000 + str(n) for n in range(10)))
    assert "Pass fewer values in one call" in error.message


@pytest.mark.parametrize(
    ("storage", "advice"),
    [
        ({}, "Configure a storage driver"),
        ({"drivers": {"memory": {}}, "driver": "inline"}, "see storage.driver, storage.routes"),
        ({"drivers": {"memory": {}}, "threshold": 5000}, "storage.threshold"),
    ],
)
async def test_the_error_says_what_to_do(make_converter, storage, advice):
    error = await refusal(make_converter(**storage), "x" * 2000)
    assert advice in error.message
    assert "storage.inline_limit is 1000 bytes" in error.message


@pytest.mark.parametrize(
    ("context", "told"),
    [
        (ACTIVITY, "the argument of activity 'Ship' (id '7') in workflow 'Order' (id 'order-1')"),
        (WORKFLOW, "a value of workflow 'Order' (id 'order-1')"),
        (NEXUS, "a value of the Nexus operation 'book' of service 'Carriers'"),
    ],
)
async def test_the_error_says_what_the_value_belongs_to(make_converter, context, told):
    converter = make_converter()._with_contexts(context, TARGET)
    error = await refusal(converter, "x" * 2000)
    assert f"Too large for the history: {told} has 2" in error.message
    assert "(encoding json/plain)" in error.message


async def test_it_says_which_argument_it_is(make_converter):
    converter = make_converter().with_context(ACTIVITY)
    assert "the argument 2 of 2 of activity 'Ship'" in (await refusal(converter, 1, "x" * 2000)).message


async def test_it_is_final_in_an_activity_which_would_return_the_same_again(make_converter):
    converter = make_converter().with_context(ACTIVITY)
    error = await ActivityEnvironment().run(refusal, converter, "x" * 2000)
    assert error.non_retryable
    assert "the result, heartbeat or failure of activity 'Ship'" in error.message


async def test_anywhere_else_it_is_retried(make_converter):
    assert not (await refusal(make_converter(), "x" * 2000)).non_retryable


def test_the_type_of_a_message_is_told():
    payload = Payload(metadata={"encoding": b"json/protobuf", "messageType": b"orders.Batch"}, data=b"x" * 99)
    with pytest.raises(PayloadTooLargeError, match=r"encoding json/protobuf, type orders\.Batch"):
        InlineLimit(10).require_kept([payload], None, None)


def test_names_from_outside_do_not_fill_the_log():
    payload = Payload(metadata={"encoding": b"x" * 5000}, data=b"x" * 5000)
    context = WorkflowSerializationContext(namespace="default", workflow_id="y" * 5000)
    with pytest.raises(PayloadTooLargeError) as raised:
        InlineLimit(10).require_kept([payload], context, None)
    assert len(raised.value.message) < 1000
