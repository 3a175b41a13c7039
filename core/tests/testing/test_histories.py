"""The assertions about histories, on histories made by hand."""

import dataclasses
import json
import re
from typing import Any, cast

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.references import MARKER
from temporal_payloads.testing import (
    TEST_KEY,
    PayloadsInMemory,
    assert_nothing_exceeds,
    assert_offloaded,
    assert_references_resolve,
)
from temporalio.api.common.v1 import Header, Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    HistoryEvent,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.common import RawValue
from temporalio.converter import DataConverter, PayloadCodec, WorkflowSerializationContext

ORDERS = [{"order": number, "secret": "hunter2"} for number in range(100)]
RECEIPT = {"receipt": ["hunter2", *range(1000, 1300)]}
SMALL = {"note": "hunter2"}


def in_memory():
    return PayloadsInMemory(
        PayloadSettings(codecs=["gzip"], storage={"threshold": 200, "drivers": {"s3": {"bucket": "orders"}}})
    )


@pytest.fixture
def payloads():
    return in_memory()


async def encode(converter, values):
    return Payloads(payloads=await converter.encode(values))


async def history_of(converter, *, input=(), result=(), header=None, failure=None):  # noqa: A002
    """Return the history of a workflow with this input, and an activity with this result and failure."""
    started = WorkflowExecutionStartedEventAttributes(
        input=await encode(converter, input), header=Header(fields=header or {})
    )
    events = [
        HistoryEvent(
            event_id=1,
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            workflow_execution_started_event_attributes=started,
        ),
        HistoryEvent(
            event_id=7,
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
            activity_task_completed_event_attributes=ActivityTaskCompletedEventAttributes(
                result=await encode(converter, result)
            ),
        ),
    ]
    if failure is not None:
        failed = ActivityTaskFailedEventAttributes(failure=failure)
        events.append(
            HistoryEvent(
                event_id=9,
                event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
                activity_task_failed_event_attributes=failed,
            )
        )
    return WorkflowHistory("order-1", events)


async def complaints_of(assertion):
    """Return the lines of the assertion's message, none of which shows what a payload holds."""
    with pytest.raises(AssertionError) as raised:
        await assertion
    message = str(raised.value)
    assert "hunter2" not in message
    head, *lines = message.splitlines()
    assert head.startswith("The workflow 'order-1' ")
    return [line.removeprefix("  - ") for line in lines]


# -- what was offloaded


async def test_just_what_was_offloaded_is_expected(payloads):
    history = await history_of(payloads.converter, input=[ORDERS, SMALL], result=[RECEIPT])
    await assert_offloaded(history, [RECEIPT, ORDERS], converter=payloads.converter)


async def test_a_value_in_several_places_is_given_once(payloads):
    history = await history_of(payloads.converter, input=[ORDERS], result=[ORDERS])
    await assert_offloaded(history, [ORDERS], converter=payloads.converter)


async def test_a_workflow_may_be_expected_to_offload_nothing(payloads):
    history = await history_of(payloads.converter, input=[SMALL])
    await assert_offloaded(history, [], converter=payloads.converter)


async def test_how_another_sdk_writes_the_same_json_does_not_count(payloads):
    order = {"a": "x" * 300, "b": list(range(300))}
    data = json.dumps(dict(reversed(order.items())), indent=1).encode()
    written = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
    history = await history_of(payloads.converter, input=[written])
    await assert_offloaded(history, [order], converter=payloads.converter)


async def test_what_was_offloaded_and_not_expected_is_told(payloads):
    history = await history_of(payloads.converter, input=[SMALL, ORDERS], result=[RECEIPT])
    [complaint] = await complaints_of(assert_offloaded(history, [RECEIPT], converter=payloads.converter))
    assert re.fullmatch(
        r"not expected: event 1 \(WorkflowExecutionStarted\), input\[1\]: \d{3} bytes, "
        r"driver 'aws\.s3driver', key 'v0/d/sha256/[0-9a-f]{64}'",
        complaint,
    )


async def test_what_was_expected_and_not_offloaded_is_told(payloads):
    history = await history_of(payloads.converter, input=[SMALL, ORDERS])
    first, second = await complaints_of(
        assert_offloaded(history, [SMALL, ORDERS, RECEIPT], converter=payloads.converter)
    )
    assert re.fullmatch(
        r"expected\[0\], of type dict, is in the history itself, \d+ bytes at "
        r"event 1 \(WorkflowExecutionStarted\), input\[0\]",
        first,
    )
    assert second == "expected[2], of type dict, is not there"


async def test_a_value_that_was_offloaded_and_stands_in_the_history_too_is_told(payloads):
    inline = DataConverter(payload_codec=payloads.converter.payload_codec)
    history = await history_of(payloads.converter, input=[ORDERS])
    history.events.extend((await history_of(inline, result=[ORDERS])).events[1:])
    [complaint] = await complaints_of(assert_offloaded(history, [ORDERS], converter=payloads.converter))
    assert re.fullmatch(
        r"expected\[0\], of type list, is in a store, but in the history too, [\d,]+ bytes at "
        r"event 7 \(ActivityTaskCompleted\), result\[0\]",
        complaint,
    )


# -- what is large


async def test_nothing_exceeds_what_the_largest_payload_has(payloads):
    history = await history_of(payloads.converter, input=[SMALL, ORDERS])
    largest = max(
        payload.ByteSize()
        for payload in history.events[0].workflow_execution_started_event_attributes.input.payloads
    )
    await assert_nothing_exceeds(history, largest)
    [complaint] = await complaints_of(assert_nothing_exceeds(history, largest - 1))
    assert complaint == f"event 1 (WorkflowExecutionStarted), input[1]: {largest} bytes"


async def test_a_size_may_have_a_unit(payloads):
    header = {"trace": Payload(data=b"hunter2" * 200)}
    history = await history_of(payloads.converter, header=header)
    await assert_nothing_exceeds(history, "2KiB")
    [complaint] = await complaints_of(assert_nothing_exceeds(history, "1KiB"))
    assert complaint == "event 1 (WorkflowExecutionStarted), header.trace: 1,403 bytes"


async def test_the_texts_of_a_failure_count(payloads):
    failure = Failure(message="short", cause=Failure(message="hunter2" * 100, stack_trace="hunter2" * 200))
    history = await history_of(payloads.converter, failure=failure)
    complaints = await complaints_of(assert_nothing_exceeds(history, 500))
    assert complaints == [
        "event 9 (ActivityTaskFailed), failure.cause.message: 700 bytes",
        "event 9 (ActivityTaskFailed), failure.cause.stack_trace: 1,400 bytes",
    ]


# -- what can be read


async def test_references_resolve_where_their_payloads_are(payloads):
    history = await history_of(payloads.converter, input=[ORDERS, SMALL], result=[RECEIPT])
    await assert_references_resolve(history, converter=payloads.converter)


async def test_each_reference_that_does_not_resolve_is_told(payloads):
    history = await history_of(payloads.converter, input=[ORDERS, SMALL], result=[RECEIPT])
    first, second = await complaints_of(assert_references_resolve(history, converter=in_memory().converter))
    assert re.match(
        r"event 1 \(WorkflowExecutionStarted\), input\[0\] "
        r"\(driver 'aws\.s3driver', key 'v0/d/sha256/[0-9a-f]{64}'\): PayloadNotFoundError: ",
        first,
    )
    assert second.startswith("event 7 (ActivityTaskCompleted), result[0] (driver 'aws.s3driver', key ")
    complaint, _ = await complaints_of(assert_offloaded(history, [], converter=in_memory().converter))
    assert "input[0] cannot be read: PayloadNotFoundError" in complaint


async def test_a_reference_of_a_driver_that_is_not_configured_is_told(payloads):
    history = await history_of(payloads.converter, input=[ORDERS])
    without = PayloadsInMemory(PayloadSettings(codecs=["gzip"]))
    [complaint] = await complaints_of(assert_references_resolve(history, converter=without.converter))
    assert "UnknownDriverError: A payload was stored by the storage driver 'aws.s3driver'" in complaint


async def test_a_payload_that_no_codec_decodes_does_not_resolve(payloads):
    history = await history_of(payloads.converter, input=[ORDERS, SMALL])
    without_gzip = PayloadsInMemory(payloads.settings.model_copy(update={"codecs": ()})).converter
    converter = dataclasses.replace(payloads.converter, payload_codec=without_gzip.payload_codec)
    [complaint] = await complaints_of(assert_references_resolve(history, converter=converter))
    assert "input[0]" in complaint
    assert "PayloadNotDecodedError: " in complaint


FOREIGN = RawValue(Payload(metadata={"encoding": b"json/foreign"}, data=json.dumps(RECEIPT).encode()))


@pytest.mark.parametrize("codec", ["none", "of settings"])
async def test_a_payload_that_the_payload_converter_does_not_read_does_not_resolve(payloads, codec):
    history = await history_of(payloads.converter, input=[FOREIGN if codec == "of settings" else ORDERS])
    converter = payloads.converter
    if codec == "none":
        converter = dataclasses.replace(converter, payload_codec=None)
    [complaint] = await complaints_of(assert_references_resolve(history, converter=converter))
    assert "input[0] (driver 'aws.s3driver', key 'v0/d/sha256/" in complaint
    encoding = "binary/gzip" if codec == "none" else "json/foreign"
    assert (
        f"after the codecs it is encoded as '{encoding}', which the payload converter does not" in complaint
    )


async def test_a_payload_that_workflows_take_as_it_is_resolves(payloads):
    history = await history_of(payloads.converter, input=[FOREIGN])
    raw = payloads.settings.model_copy(update={"raw_encodings": ("json/foreign",)})
    converter = build_data_converter(raw, registry=payloads.registry)
    await assert_references_resolve(history, converter=converter)


async def test_references_that_have_been_through_the_codecs_are_read(payloads, monkeypatch):
    monkeypatch.setattr("temporalio.converter._extstore._ENCODE_STORAGE_REFERENCES", True)
    history = await history_of(payloads.converter, input=[ORDERS])
    assert MARKER in history.events[0].workflow_execution_started_event_attributes.input.payloads[0].metadata
    await assert_offloaded(history, [ORDERS], converter=payloads.converter)
    await assert_references_resolve(history, converter=payloads.converter)
    [complaint] = await complaints_of(assert_references_resolve(history, converter=in_memory().converter))
    assert "driver 'aws.s3driver', key 'v0/d/sha256/" in complaint


class Leaking(PayloadCodec):
    async def encode(self, payloads):
        return list(payloads)

    async def decode(self, payloads):
        raise ValueError("hunter2")


async def test_the_text_of_a_foreign_error_is_not_shown(payloads):
    history = await history_of(payloads.converter, input=[ORDERS])
    converter = dataclasses.replace(payloads.converter, payload_codec=Leaking())
    [complaint] = await complaints_of(assert_references_resolve(history, converter=converter))
    assert complaint.endswith(": ValueError")


async def test_codecs_are_told_the_namespace(monkeypatch):
    monkeypatch.setenv("KEY", TEST_KEY)
    encryption = {"active": "one", "keys": {"one": {"env": "KEY"}}, "bind": "namespace"}
    storage = {"threshold": 200, "drivers": {"memory": {}}}
    payloads = PayloadsInMemory(
        PayloadSettings(codecs=["encryption"], codec={"encryption": encryption}, storage=storage)
    )
    context = WorkflowSerializationContext(namespace="orders", workflow_id="order-1")
    history = await history_of(payloads.converter.with_context(context), input=[ORDERS])
    await assert_offloaded(history, [ORDERS], converter=payloads.converter, namespace="orders")
    await assert_references_resolve(history, converter=payloads.converter, namespace="orders")
    [complaint] = await complaints_of(assert_references_resolve(history, converter=payloads.converter))
    assert "namespace" in complaint


async def test_a_handles_history_is_fetched(payloads):
    class Handle:
        async def fetch_history(self):
            return await history_of(payloads.converter, input=[ORDERS])

    handle = cast("WorkflowHandle[Any, Any]", Handle())
    await assert_offloaded(handle, [ORDERS], converter=payloads.converter)
    await assert_references_resolve(handle, converter=payloads.converter)
    await complaints_of(assert_nothing_exceeds(handle, 10))
