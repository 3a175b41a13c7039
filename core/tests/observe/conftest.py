"""OpenTelemetry's SDK as an application sets it up, for one test."""

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporalio.converter import (
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
)


class Measured:
    """What was measured, as an exporter gets it."""

    def __init__(self, reader):
        self._reader = reader

    def points(self):
        """Return each metric's data points by the metric's name."""
        found: dict[str, list[Any]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def of(self, name, **attributes):
        """Return the value, or the count of a histogram, of the only series that has these attributes."""
        [point] = [
            point
            for point in self.points().get(f"temporal_payloads.{name}", [])
            if attributes.items() <= dict(point.attributes).items()
        ]
        return getattr(point, "value", None) if hasattr(point, "value") else point.count


@pytest.fixture
def measured(monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    # The global one can be set once in a process.
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", provider)
    yield Measured(reader)
    provider.shutdown()


@pytest.fixture
def spans(monkeypatch):
    """What was traced, in the order in which it ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def build(registry):
    """Build a converter with gzip and a store in memory; all values of 2,000 bytes and more are stored."""

    def build(*, driver=None, storage=None, **settings):
        drivers = {"memory": driver or {}}
        return assemble(
            PayloadSettings(
                codecs=settings.pop("codecs", ["gzip"]),
                storage={"drivers": drivers, "threshold": 2000, "cache": {"max_size": 0}, **(storage or {})},
                **settings,
            ),
            registry=registry,
        )

    return build


@pytest.fixture
def bound():
    """Bind a converter as a worker does for a workflow task, or without a run as a client does."""

    def bind(converter, run_id=None, *, workflow_id="order-7", namespace="orders"):
        return converter._with_contexts(
            WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id),
            StorageDriverStoreContext(
                target=StorageDriverWorkflowInfo(
                    id=workflow_id, run_id=run_id, type="Order", namespace=namespace
                )
            ),
        )

    return bind


@pytest.fixture
def values():
    """Two values: one that stays in the history, and one that does not, even compressed."""
    noise = "".join(str(number * number) for number in range(2500))
    return SimpleNamespace(small="small", large=noise)
