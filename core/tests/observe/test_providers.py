"""What is done of metrics and spans depends on the providers that the application has set, and when."""

import asyncio

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import NoOpMeter, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporal_payloads._observe.observers import Observers
from temporal_payloads._observe.provided import LOOK_EVERY
from temporal_payloads._plugins.events import StorageEvent
from temporal_payloads.plugin import hookimpl
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime


@pytest.fixture
def set_providers(monkeypatch):
    """Set the global providers, as an application can only once in a process."""

    def set_providers(meters=None, tracers=None):
        monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)

    set_providers()
    return set_providers


@pytest.fixture
def made(monkeypatch):
    """The events that are made and told."""
    events = []
    notify = Observers.notify

    def noting(self, event):
        events.append(event)
        notify(self, event)

    monkeypatch.setattr(Observers, "notify", noting)
    return events


async def there_and_back(converter, values):
    payloads = await converter.encode([values.large, values.small])
    assert await converter.decode(payloads) == [values.large, values.small]


@pytest.mark.parametrize("providers", [(), (NoOpMeterProvider(), NoOpTracerProvider())], ids=["none", "noop"])
async def test_as_long_as_no_provider_does_anything_no_event_is_made(
    set_providers, made, build, bound, values, providers
):
    set_providers(*providers)
    converter = bound(build().converter, run_id="run-1")
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))):
        await there_and_back(converter, values)
    assert made == []


async def test_a_provider_that_is_set_after_the_converter_was_built_and_used_is_told(
    set_providers, build, bound, values, request
):
    converter = bound(build().converter)
    await there_and_back(converter, values)
    measured = request.getfixturevalue("measured")
    await asyncio.sleep(LOOK_EVERY)
    await there_and_back(converter, values)
    for operation in ("store", "retrieve"):
        assert measured.of("storage.payloads", operation=operation) == 1


async def test_without_metrics_no_event_is_made_where_there_is_no_span_to_put_one_below(
    spans, made, build, bound, values
):
    converter = bound(build(observability={"metrics": False}).converter)
    await there_and_back(converter, values)
    assert made == []
    with trace.get_tracer("test").start_as_current_span("request"):
        await there_and_back(converter, values)
    assert [type(event) for event in made].count(StorageEvent) == 2
    assert len(spans.get_finished_spans()) == 5


async def test_observers_in_code_are_told_whatever_providers_there_are(
    set_providers, made, build, bound, values, registry
):
    class Seen:
        def __init__(self):
            self.events = []

        @hookimpl
        def temporal_payloads_storage_event(self, event):
            self.events.append(event)

    seen = Seen()
    registry.register_observer(seen)
    await there_and_back(bound(build().converter), values)
    assert [event.operation for event in seen.events] == ["store", "retrieve"]
    assert made == seen.events


class OfAnOlderApi:
    """A meter whose histograms take no buckets."""

    def create_histogram(self, name, unit="", description=""):
        return NoOpMeter("older").create_histogram(name, unit, description)

    def __getattr__(self, name):
        return getattr(NoOpMeter("older"), name)


class OlderMeters:
    def get_meter(self, *_):
        return OfAnOlderApi()


class NoMeters:
    def get_meter(self, *_):
        raise ValueError("no meters here")


class NoTracers:
    def get_tracer(self, *_):
        raise ValueError("no tracers here")


@pytest.mark.parametrize(
    ("meters", "tracers", "told"),
    [
        (OlderMeters(), None, "OfAnOlderApi"),
        (NoMeters(), None, "no metrics"),
        (None, NoTracers(), "no spans"),
    ],
)
async def test_a_provider_that_makes_no_instruments_is_named_once_and_payloads_go_on(
    set_providers, build, bound, values, caplog, meters, tracers, told
):
    set_providers(meters, tracers)
    converter = bound(build().converter, run_id="run-1")
    for _ in range(2):
        await there_and_back(converter, values)
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert told in record.getMessage()
    assert record.exc_info
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_runtimes_meter_that_makes_no_instruments_is_named_once_and_the_client_connects(
    monkeypatch, caplog, registry
):
    class NoHistograms:
        def create_histogram_float(self, *_):
            raise ValueError("no histograms here")

        def __getattr__(self, name):
            return getattr(MetricMeter.noop, name)

    plugin = PayloadsPlugin(PayloadSettings(), registry=registry)
    plugin._convert(None)
    runtime = Runtime.default()
    monkeypatch.setattr(type(runtime), "metric_meter", NoHistograms())
    plugin._measure(runtime)
    plugin._measure(runtime)
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "NoHistograms" in record.getMessage()
    assert "temporal_payloads.codec.duration" in record.getMessage()
    assert "temporal_payloads.codec.payloads" not in record.getMessage()
