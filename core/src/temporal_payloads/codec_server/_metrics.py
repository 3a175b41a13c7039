"""`/metrics`: what the server did, and what codecs and stores did for it, in Prometheus' text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from temporal_payloads._observe.catalogue import (
    METRICS,
    REQUEST_DURATION,
    REQUEST_RECEIVED,
    REQUEST_SENT,
    Metric,
)
from temporal_payloads._observe.metrics import Metrics, only_listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads.codec_server._auth import Authenticator
    from temporal_payloads.codec_server._profiles import Profiles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text format that every Prometheus reads."""
ROUTE = "metrics"
"""The route's name, wherever a service has mounted the application."""


class PrometheusRecorder:
    """Keeps measurements until somebody asks for them; see `temporal_payloads._observe.recorder.Recorder`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics = {metric.name: _collector(metric, self._registry) for metric in METRICS}

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Record a measurement."""
        series = self._metrics[metric.name].labels(*(attributes.get(name, "") for name in metric.attributes))
        match metric.kind:
            case "counter":
                series.inc(value)
            case "gauge":
                series.set(value)
            case "histogram":
                series.observe(value)

    def text(self) -> bytes:
        """Return what there is, in Prometheus' text format."""
        return generate_latest(self._registry)


class ServerMetrics:
    """Measures the server's requests, and tells what was measured.

    Args:
        profiles: What serves namespaces. Only those that are listed have series of their own.
        authenticator: Who may ask: with authentication, everybody who has a token.
    """

    def __init__(self, profiles: Profiles, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._recorder = PrometheusRecorder()
        self._label = only_listed(profiles.listed)
        metrics = Metrics(self._recorder, self._label)
        for profile in profiles.all:
            profile.assembly.observers.add(metrics)

    async def show(self, request: web.Request) -> web.Response:
        """`GET /metrics`.

        Raises:
            RequestError: The request needs a token, and has none that is accepted.
        """
        await self._authenticator.identify(request.headers.get(hdrs.AUTHORIZATION))
        return web.Response(
            body=self._recorder.text(),
            headers={hdrs.CONTENT_TYPE: CONTENT_TYPE, hdrs.CACHE_CONTROL: "no-store"},
        )

    def add(self, story: Mapping[str, object], status: int | None, seconds: float) -> None:
        """Measure a request.

        Args:
            story: What the access log tells of it.
            status: Of the response; None if the request was aborted.
            seconds: How long it took.
        """
        operation = story.get("operation")
        if not isinstance(operation, str):
            return
        labels = {"operation": operation, "namespace": self._label(str(story.get("namespace", "")))}
        self._recorder.record(REQUEST_DURATION, seconds, {**labels, "status": str(status or "aborted")})
        for metric, name in ((REQUEST_RECEIVED, "bytes_in"), (REQUEST_SENT, "bytes_out")):
            size = story.get(name)
            if isinstance(size, int):
                self._recorder.record(metric, size, labels)


def _collector(metric: Metric, registry: CollectorRegistry) -> Any:
    name, labels = metric.prometheus_base, metric.attributes
    match metric.kind:
        case "counter":  # it adds `_total` itself
            return Counter(name, metric.description, labels, registry=registry)
        case "gauge":
            return Gauge(name, metric.description, labels, registry=registry)
        case "histogram":
            return Histogram(name, metric.description, labels, registry=registry, buckets=metric.buckets)
