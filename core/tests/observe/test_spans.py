"""Where spans are put; `tests/end_to_end/test_traces.py` has the SDK's own."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporal_payloads.plugin import PayloadNotFoundError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter


def headers_of_current_span():
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {"_tracer-data": PayloadConverter.default.to_payloads([carrier])[0]}


@pytest.fixture
def caller(spans):
    """The span of whoever started a workflow, and its headers."""
    with trace.get_tracer("test").start_as_current_span("caller") as span:
        headers = headers_of_current_span()
    return SimpleNamespace(headers=headers, span_id=span.get_span_context().span_id)


@pytest.fixture
def stored(build, bound, values):
    """An assembly, and a payload that it has stored without being traced."""
    assembly = build()
    return SimpleNamespace(
        assembly=assembly,
        converter=assembly.converter,
        payloads=lambda: bound(assembly.converter).encode([values.large]),
    )


def in_task(work):
    """Run as the SDK runs a task, in an asyncio task of its own."""
    return asyncio.create_task(work())


def ours(spans):
    return [
        span for span in spans.get_finished_spans() if span.instrumentation_scope.name == "temporal_payloads"
    ]


async def test_what_is_done_in_a_span_of_the_application_is_below_it(spans, build, bound, values):
    with trace.get_tracer("test").start_as_current_span("request") as request:
        converter = bound(build().converter)
        await converter.decode(await converter.encode([values.large]))
    names = ["encode gzip", "store example.memory", "retrieve example.memory", "decode gzip"]
    assert [span.name for span in ours(spans)] == names
    assert {span.parent.span_id for span in ours(spans)} == {request.get_span_context().span_id}


async def test_spans_have_the_key_the_sizes_and_whose_payloads_they_are(spans, build, bound, values):
    with trace.get_tracer("test").start_as_current_span("request"):
        [payload] = await bound(build().converter).encode([values.large])
    encoded, stored = (dict(span.attributes) for span in ours(spans))
    size = payload.external_payloads[0].size_bytes
    assert encoded["temporal_payloads.size_after"] == stored["temporal_payloads.size"] == size
    assert encoded["temporal_payloads.size_before"] > size
    [key] = stored["temporal_payloads.keys"]
    assert key.startswith("main/orders/")
    for attributes in (encoded, stored):
        assert attributes["temporalWorkflowID"] == "order-7"
        assert attributes["temporal_payloads.namespace"] == "orders"
        assert attributes["temporal_payloads.replaying"] is False


async def test_a_span_lasts_as_long_as_what_it_tells_of(spans, build, bound, values):
    with trace.get_tracer("test").start_as_current_span("request"):
        await bound(build().converter).encode([values.large])
    request = spans.get_finished_spans()[-1]
    for span in ours(spans):
        # Two clocks are asked, which may be a little apart.
        assert request.start_time - 1e8 <= span.start_time <= span.end_time <= request.end_time + 1e8


async def test_a_failure_is_an_error_of_its_span(spans, stored, bound, store):
    payloads = await stored.payloads()
    store.items.clear()
    with trace.get_tracer("test").start_as_current_span("request"), pytest.raises(PayloadNotFoundError):
        await bound(stored.converter).decode(payloads)
    [span] = ours(spans)
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes["error.type"] == "PayloadNotFoundError"


async def test_without_a_span_above_there_is_none(spans, build, bound, values):
    converter = bound(build().converter)
    await converter.decode(await converter.encode([values.large]))
    assert ours(spans) == []


async def test_what_a_workflow_task_decodes_waits_for_its_trace(spans, stored, bound, caller):
    payloads = await stored.payloads()
    traces = stored.assembly.observers

    async def task():
        converter = bound(stored.converter, run_id="run-1")
        [value] = await asyncio.gather(converter.decode(payloads))
        assert ours(spans) == []
        # The worker runs the workflow in another thread.
        await asyncio.to_thread(traces.workflow_task, "run-1", caller.headers, replaying=True)
        await bound(stored.converter).encode(value)

    await in_task(task)
    names = ["retrieve example.memory", "decode gzip", "encode gzip", "store example.memory"]
    assert [span.name for span in ours(spans)] == names
    assert {span.parent.span_id for span in ours(spans)} == {caller.span_id}
    assert {span.attributes["temporal_payloads.replaying"] for span in ours(spans)} == {True}
    assert {span.attributes["temporalRunID"] for span in ours(spans)} == {"run-1"}


async def test_a_child_workflows_input_is_below_the_parents_trace(spans, stored, bound, caller, values):
    async def task():
        bound(stored.converter, run_id="run-1")
        stored.assembly.observers.workflow_task("run-1", caller.headers, replaying=False)
        await bound(stored.converter, workflow_id="child").encode([values.large])

    await in_task(task)
    assert {span.parent.span_id for span in ours(spans)} == {caller.span_id}
    assert {span.attributes["temporalWorkflowID"] for span in ours(spans)} == {"child"}


async def test_a_span_that_is_current_in_the_whole_worker_is_not_that_of_its_tasks(
    spans, stored, bound, caller
):
    payloads = await stored.payloads()

    async def task():
        await bound(stored.converter, run_id="run-1").decode(payloads)
        stored.assembly.observers.workflow_task("run-1", caller.headers, replaying=False)

    with trace.get_tracer("test").start_as_current_span("the whole worker"):
        await in_task(task)
    assert {span.parent.span_id for span in ours(spans)} == {caller.span_id}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"_tracer-data": Payload(data=b"no JSON")},
        {"_tracer-data": PayloadConverter.default.to_payloads(["text"])[0]},
        {"_tracer-data": PayloadConverter.default.to_payloads([{"traceparent": "00-0-0-0"}])[0]},
        {"_tracer-data": PayloadConverter.default.to_payloads([{"traceparent": "0" * 10_000}])[0]},
    ],
)
async def test_a_workflow_that_nobody_traces_has_no_spans(spans, stored, bound, headers):
    payloads = await stored.payloads()

    async def task():
        await bound(stored.converter, run_id="run-1").decode(payloads)
        stored.assembly.observers.workflow_task("run-1", headers, replaying=False)
        await bound(stored.converter).decode(payloads)

    await in_task(task)
    assert ours(spans) == []


async def test_a_task_that_never_ran_is_forgotten(spans, stored, bound, caller):
    payloads = await stored.payloads()

    async def task():
        await bound(stored.converter, run_id="run-1").decode(payloads)

    await in_task(task)
    await asyncio.sleep(0)  # the loop lets go of the task
    gc.collect()
    stored.assembly.observers.workflow_task("run-1", caller.headers, replaying=False)
    assert ours(spans) == []


async def test_spans_can_be_turned_off(spans, build, bound, values):
    with trace.get_tracer("test").start_as_current_span("request"):
        await bound(build(observability={"spans": False}).converter).encode([values.large])
    assert ours(spans) == []
