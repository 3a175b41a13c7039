"""What metrics and spans cost an order batch: the same batches with and without, in turns."""

from __future__ import annotations

import gc
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from local_servers import start_temporal
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from order_batch.activities import fetch_orders, process_orders
from order_batch.models import OrderBatchRequest
from order_batch.workflows import OrderBatchWorkflow
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Worker

from benchmarks.harness import Config, Line, Report
from benchmarks.servers import Servers

ORDERS = 400
BATCHES = 4
"""In a turn, one after the other: at once they would wait for each other, and turns would differ by more."""
ROUNDS = 30
MOST = 0.03
"""What metrics and spans may add."""
TIMEOUT = timedelta(minutes=2)
WHAT = f"an order batch of {ORDERS}, processor time: without and with metrics and spans"

RunBatches = Callable[[], Awaitable[None]]


async def run(config: Config, servers: Servers) -> Report:
    """Measure batches in pairs.

    Both sides have the SDK's own tracing, which is not what is measured here. What is compared is the
    processor's time of the whole process, worker and starter: what else the machine does counts little.
    """
    _provide()
    taken: dict[bool, list[float]] = {False: [], True: []}
    async with AsyncExitStack() as stack:
        server = stack.enter_context(start_temporal(servers.directory / "temporal-observed"))
        run_batches = {
            observed: await stack.enter_async_context(_batches(servers, server.address, observed=observed))
            for observed in (False, True)
        }
        for number in range(-1, config.rounds(ROUNDS)):
            for observed in (False, True) if number % 2 else (True, False):
                gc.collect()
                start = time.process_time()
                await run_batches[observed]()
                if number >= 0:  # the first ones wait for the workers and their stores
                    taken[observed].append((time.process_time() - start) / BATCHES)
    pairs = [more / less for less, more in zip(taken[False], taken[True], strict=True)]
    more = statistics.median(pairs) - 1
    quarters = statistics.quantiles(pairs, n=4) if len(pairs) > 1 else [pairs[0]] * 3
    less, much = (statistics.median(taken[each]) for each in (False, True))
    return Report(
        lines=[
            Line(
                WHAT,
                f"{less * 1000:.1f} ms",
                f"{much * 1000:.1f} ms ({more:+.1%}; half of the pairs {quarters[0] - 1:+.1%} to "
                f"{quarters[2] - 1:+.1%})",
                less / much,
                f"under {MOST:.0%} more",
                more < MOST,
                min(taken[False]) / min(taken[True]),
            )
        ]
    )


def claim(results: dict[str, Any]) -> str:
    """Say what was measured."""
    [line] = [line for line in results["lines"] if line["what"] == WHAT]
    return (
        f"An order batch of {ORDERS} orders (gzip, msgspec and S3; worker and starter in one process) takes "
        f"{line['peer']} of\nprocessor time without metrics and spans, and with both {line['ours']}.\n"
        "The SDK's own tracing is on in either case; the batches took turns, "
        f"{ROUNDS} times {BATCHES} of each.\n"
    )


def _provide() -> None:
    """Set up OpenTelemetry as applications do; what is exported goes nowhere."""
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


@asynccontextmanager
async def _batches(servers: Servers, address: str, *, observed: bool) -> AsyncIterator[RunBatches]:
    """Run a worker; yield what runs some batches on it."""
    settings = {
        "codecs": ["gzip"],
        # The fastest there is: beside it, what is added shows most.
        "payload_converter": "msgspec",
        "storage": {"drivers": {"s3": servers.s3.options()}, "cache": {"max_size": "64MiB"}},
        "observability": {"metrics": observed, "spans": observed, "runtime_metrics": observed},
    }
    client = await Client.connect(
        address,
        plugins=[PayloadsPlugin(PayloadSettings.model_validate(settings))],
        interceptors=[TracingInterceptor()],
    )
    queue = str(uuid.uuid4())

    async def batches() -> None:
        for _ in range(BATCHES):
            batch = str(uuid.uuid4())
            with trace.get_tracer("benchmark").start_as_current_span("batch"):
                await client.execute_workflow(
                    OrderBatchWorkflow.run,
                    OrderBatchRequest(batch, ORDERS),
                    id=batch,
                    task_queue=queue,
                    execution_timeout=TIMEOUT,
                )

    with ThreadPoolExecutor() as threads:
        worker = Worker(
            client,
            task_queue=queue,
            workflows=[OrderBatchWorkflow],
            activities=[fetch_orders, process_orders],
            activity_executor=threads,
        )
        async with worker:
            yield batches
