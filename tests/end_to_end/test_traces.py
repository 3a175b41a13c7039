"""A trace shows where payloads are encoded, stored, retrieved and decoded, among the SDK's own spans."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from order_batch.activities import fetch_orders, process_orders
from order_batch.models import OrderBatchRequest
from order_batch.workflows import OrderBatchWorkflow
from support.values import large
from support.workers import RUN_TIMEOUT, new_id, running_worker
from support.workflows import Mailbox
from temporal_payloads import PayloadsPlugin
from temporalio.client import Client
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, TracingInterceptor, create_tracer_provider
from temporalio.worker import Replayer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local_servers import TemporalServer
    from opentelemetry.sdk.trace import ReadableSpan
    from support.stores import S3Store
    from temporalio.client import WorkflowHandle

ORDERS = 200


class Trace:
    """The spans that were exported, and what is above each."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def spans(self) -> list[ReadableSpan]:
        """Return all of them, in the order in which they began."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def ours(self) -> list[ReadableSpan]:
        """Return those of this library."""
        return [span for span in self.spans() if _scope(span) == "temporal_payloads"]

    def above(self, span: ReadableSpan) -> str:
        """Return the name of the span above one."""
        [name] = [each.name for each in self.spans() if each.context.span_id == _parent(span)]
        return name

    def clear(self) -> None:
        """Forget what was exported."""
        self._exporter.clear()


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


def _parent(span: ReadableSpan) -> int:
    return span.parent.span_id if span.parent else 0


@pytest.fixture(params=["interceptor", "plugin"])
def tracing(request: pytest.FixtureRequest) -> str:
    """Which of the SDK's two ways to trace is used."""
    return str(request.param)


@pytest.fixture
def exported(tracing: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trace]:
    """Collect spans as an application would."""
    provider = create_tracer_provider() if tracing == "plugin" else TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # It can be set once in a process.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield Trace(exporter)
    provider.shutdown()


@pytest.fixture
def connect(temporal_server: TemporalServer, s3_store: S3Store, tracing: str, exported: Trace) -> Any:
    """Connect a client that is traced, with this library and without a cache of its own."""

    async def connect(**settings: Any) -> Client:
        payloads = PayloadsPlugin(s3_store.settings(encode_failures=False, **settings))
        if tracing == "plugin":
            plugins = [payloads, OpenTelemetryPlugin(add_temporal_spans=True)]
            return await Client.connect(temporal_server.address, plugins=plugins)
        return await Client.connect(
            temporal_server.address, plugins=[payloads], interceptors=[TracingInterceptor()]
        )

    return connect


@asynccontextmanager
async def batch_worker(client: Client) -> AsyncIterator[str]:
    with ThreadPoolExecutor(2) as threads:
        async with running_worker(
            client,
            workflows=[OrderBatchWorkflow],
            activities=[fetch_orders, process_orders],
            activity_executor=threads,
        ) as task_queue:
            yield task_queue


async def run_batch(client: Client, task_queue: str) -> WorkflowHandle[Any, Any]:
    with trace.get_tracer("application").start_as_current_span("order"):
        handle = await client.start_workflow(
            OrderBatchWorkflow.run,
            OrderBatchRequest("BATCH-1", ORDERS),
            id=new_id("batch"),
            task_queue=task_queue,
            run_timeout=RUN_TIMEOUT,
        )
        await handle.result()
    return handle


@pytest.mark.usefixtures("references_in_clear")
async def test_an_order_batch_shows_where_its_payloads_went(connect: Any, exported: Trace) -> None:
    # Without the small values, which stay as they are: the orders alone are compressed and stored.
    client = await connect(threshold="256KiB", cache={"max_size": 0})
    async with batch_worker(client) as task_queue:
        handle = await run_batch(client, task_queue)
    started = f"StartWorkflow:{OrderBatchWorkflow.__name__}"
    found = Counter((span.name, exported.above(span)) for span in exported.ours())
    assert found == {
        # The activity's result, which the activity's worker stores ...
        ("encode gzip", "StartActivity:fetch_orders"): 1,
        ("store aws.s3driver", "StartActivity:fetch_orders"): 1,
        # ... the workflow's worker retrieves, and stores again as the next activity's argument ...
        ("retrieve aws.s3driver", started): 1,
        ("decode gzip", started): 1,
        ("encode gzip", started): 1,
        ("store aws.s3driver", started): 1,
        # ... and that activity's worker retrieves.
        ("retrieve aws.s3driver", "StartActivity:process_orders"): 1,
        ("decode gzip", "StartActivity:process_orders"): 1,
    }
    [run] = {span.context.trace_id for span in exported.spans()}
    assert run
    for span in exported.ours():
        assert span.attributes is not None
        assert span.attributes["temporalWorkflowID"] == handle.id
        assert span.attributes["temporalRunID"] == handle.first_execution_run_id
        assert span.attributes["temporal_payloads.replaying"] is False
    [stored, again] = [span.attributes for span in exported.ours() if span.name.startswith("store")]
    assert stored
    assert again
    assert stored["temporal_payloads.keys"] == again["temporal_payloads.keys"]
    assert again["temporal_payloads.dedupe_hits"] == 1


async def test_what_a_client_sends_and_gets_is_below_its_own_spans(connect: Any, exported: Trace) -> None:
    client = await connect()
    async with running_worker(client) as task_queue:
        with trace.get_tracer("application").start_as_current_span("order"):
            handle = await client.start_workflow(
                Mailbox.run,
                large("order"),
                id=new_id("wf"),
                task_queue=task_queue,
                run_timeout=RUN_TIMEOUT,
            )
            await handle.signal(Mailbox.put, large("signal"))
            await handle.signal(Mailbox.close)
            await handle.result()
    found = {(span.name, exported.above(span)) for span in exported.ours()}
    assert found >= {
        ("store aws.s3driver", "StartWorkflow:Mailbox"),
        ("store aws.s3driver", "SignalWorkflow:put"),
        # Nothing of the SDK's spans a client's reading of the result.
        ("retrieve aws.s3driver", "order"),
        ("decode gzip", "order"),
    }


async def test_a_replay_tells_that_it_is_one(connect: Any, exported: Trace) -> None:
    client = await connect(threshold="256KiB")
    async with batch_worker(client) as task_queue:
        handle = await run_batch(client, task_queue)
    history = await handle.fetch_history()
    exported.clear()
    config = client.config()
    replayer = Replayer(
        workflows=[OrderBatchWorkflow],
        plugins=config["plugins"],
        interceptors=[] if len(config["plugins"]) > 1 else [TracingInterceptor()],
    )
    assert (await replayer.replay_workflow(history)).replay_failure is None
    spans = exported.ours()
    assert {span.name for span in spans} >= {"retrieve aws.s3driver", "decode gzip"}
    # Nothing is stored, and what the last task decodes is at the end of the history and not behind it.
    assert not [span for span in spans if span.name.startswith("store")]
    attributes = [span.attributes for span in spans if span.attributes]
    assert {each["temporal_payloads.replaying"] for each in attributes} == {True}
    assert {each["temporalRunID"] for each in attributes} == {handle.first_execution_run_id}


async def test_a_worker_that_has_lost_a_workflow_tells_of_its_replay(connect: Any, exported: Trace) -> None:
    client = await connect(cache={"max_size": 0})
    with trace.get_tracer("application").start_as_current_span("order"):
        handle = await client.start_workflow(
            Mailbox.run, large("order"), id=new_id("wf"), task_queue=new_id("queue"), run_timeout=RUN_TIMEOUT
        )
    task_queue = (await handle.describe()).task_queue
    for step in (Mailbox.put, Mailbox.close):
        exported.clear()
        async with running_worker(client, task_queue):
            await handle.signal(step, *([large("signal")] if step == Mailbox.put else []))
            if step == Mailbox.put:
                await _until_answered(handle)
            else:
                await handle.result()
        attributes = [span.attributes for span in exported.ours() if span.attributes]
        replays = {each["temporal_payloads.replaying"] for each in attributes}
        assert replays == ({False} if step == Mailbox.put else {False, True})


async def _until_answered(handle: WorkflowHandle[Any, Any]) -> None:
    while True:
        events = (await handle.fetch_history()).events
        if any(event.HasField("workflow_task_completed_event_attributes") for event in events):
            return
        await asyncio.sleep(0.05)
