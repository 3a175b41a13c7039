"""A value that the history cannot hold fails in words that tell what it is."""

import dataclasses
import random

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.external_storage import MOST_KEPT
from temporal_payloads._storage.inline_limit import InlineLimit
from temporal_payloads.plugin import PayloadTooLargeError, StorageUnavailableError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    NexusSerializationContext,
    PayloadCodec,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError
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
    assert "(encoding json/plain, type text)" in error.message


async def test_it_says_which_argument_it_is(make_converter):
    converter = make_converter().with_context(ACTIVITY)
    assert "the argument 2 of 2 of activity 'Ship'" in (await refusal(converter, 1, "x" * 2000)).message


async def test_it_is_final_in_an_activity_which_would_return_the_same_again(make_converter):
    converter = make_converter().with_context(ACTIVITY)
    error = await ActivityEnvironment().run(refusal, converter, "x" * 2000)
    assert error.non_retryable
    assert "the result or heartbeat of activity 'Ship'" in error.message


@pytest.mark.parametrize("encode_failures", [False, True])
async def test_failures_are_not_measured_for_the_server_cuts_them_down(install, encode_failures):
    """And what is final stays so."""
    install("reverse")
    settings = PayloadSettings(
        codecs=["reverse"], encode_failures=encode_failures, storage={"inline_limit": 1000}
    )
    error = ApplicationError("no" * 1000, "x" * 2000, type="Refused", non_retryable=True)
    error.__cause__ = ApplicationError("for a reason", "y" * 2000)
    failure = Failure()
    await ActivityEnvironment().run(build_data_converter(settings).encode_failure, error, failure)
    assert failure.ByteSize() > 4000
    assert failure.application_failure_info.type == "Refused"
    assert failure.application_failure_info.non_retryable


async def test_what_a_failure_tells_is_stored_as_any_value_is(make_converter, store):
    converter = make_converter(drivers={"memory": {}}, threshold=500)
    failure = Failure()
    await converter.encode_failure(ApplicationError("no", "x" * 5000, "small", "y" * 5000), failure)
    assert failure.ByteSize() < 2000
    assert len(store.items) == 2
    assert (await converter.decode_failure(failure)).details == ("x" * 5000, "small", "y" * 5000)


async def test_what_a_failure_tells_stays_in_it_where_it_is_too_large_for_its_driver(
    make_converter, store, caplog
):
    """And what is final stays so."""
    converter = make_converter(drivers={"memory": {"max_payload_size": 6000}}, threshold=500)
    error = ApplicationError("no", "x" * 5000, "y" * 9000, type="Refused", non_retryable=True)
    failure = Failure()
    await ActivityEnvironment().run(converter.encode_failure, error, failure)
    assert failure.application_failure_info.non_retryable
    assert len(store.items) == 1
    first, second = failure.application_failure_info.details.payloads
    assert first.external_payloads
    assert second.ByteSize() > 9000
    assert (await converter.decode_failure(failure)).details == ("x" * 5000, "y" * 9000)
    [told] = [each.getMessage() for each in caplog.records]
    assert "the failure of activity 'unknown' (id 'test') in workflow 'test' (id 'test')" in told
    assert "max_payload_size of 6000 bytes of storage driver 'example.memory'" in told


async def test_it_does_not_where_the_server_would_not_even_hear_of_the_failure(make_converter):
    converter = make_converter(drivers={"memory": {"max_payload_size": 6000}}, threshold=500)
    with pytest.raises(PayloadTooLargeError, match="max_payload_size of 6000 bytes"):
        await converter.encode_failure(ApplicationError("no", "x" * (MOST_KEPT + 1)), Failure())


async def test_a_failure_waits_for_a_store_that_is_down(make_converter, store):
    """The activity is run again. What the failure tells is not given up for it."""
    store.fail_writing = StorageUnavailableError("the store is down")
    converter = make_converter(drivers={"memory": {"max_payload_size": 6000}}, threshold=500)
    error = ApplicationError("no", "x" * 5000, "y" * 9000, non_retryable=True)
    with pytest.raises(StorageUnavailableError):
        await ActivityEnvironment().run(converter.encode_failure, error, Failure())


async def test_anywhere_else_it_is_retried(make_converter):
    assert not (await refusal(make_converter(), "x" * 2000)).non_retryable


async def test_the_type_of_a_message_is_told():
    payload = Payload(metadata={"encoding": b"json/protobuf", "messageType": b"orders.Batch"}, data=b"x" * 99)
    with pytest.raises(PayloadTooLargeError, match=r"encoding json/protobuf, type orders\.Batch"):
        await InlineLimit(10).require_kept([payload], None, None)


async def test_names_from_outside_do_not_fill_the_log():
    payload = Payload(metadata={"encoding": b"x" * 5000}, data=b"x" * 5000)
    context = WorkflowSerializationContext(namespace="default", workflow_id="y" * 5000)
    with pytest.raises(PayloadTooLargeError) as raised:
        await InlineLimit(10).require_kept([payload], context, None)
    assert len(raised.value.message) < 1000


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([{"name": "hunter2"}] * 400, "encoding json/plain, type list of 400"),
        (
            {str(number): "hunter2" for number in range(300)},
            "encoding json/plain, type object with 300 fields",
        ),
        ("hunter2" * 1000, "encoding json/plain, type text"),
        (10**2000, "encoding json/plain, type one number or word"),
        (b"hunter2" * 1000, "encoding binary/plain"),
        (Failure(message="hunter2" * 1000), "encoding json/protobuf, type temporal.api.failure.v1.Failure"),
    ],
)
async def test_the_type_of_the_value_is_told_and_nothing_of_its_content(make_converter, value, kind):
    message = (await refusal(make_converter(), value)).message
    assert f"({kind})" in message
    assert "hunter2" not in message


async def test_the_type_is_told_also_of_what_codecs_have_encoded(make_converter):
    message = (await refusal(make_converter(codecs=["gzip"]), [random.random() for _ in range(500)])).message
    assert "(encoding binary/gzip of json/plain, type list of 500)" in message


async def test_what_cannot_be_read_back_is_told_as_it_is():
    class OneWay(PayloadCodec):
        async def encode(self, payloads):
            return [Payload(metadata={"encoding": b"binary/dust"}, data=each.data) for each in payloads]

        async def decode(self, payloads):
            raise ValueError("no way back")

    converter = build_data_converter(
        PayloadSettings(storage={"inline_limit": 1000}),
        base=dataclasses.replace(DataConverter.default, payload_codec=OneWay()),
    )
    assert "(encoding binary/dust)" in (await refusal(converter, "x" * 2000)).message
