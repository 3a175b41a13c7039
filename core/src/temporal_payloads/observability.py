"""What shows how payloads fare: the catalogue of metrics, and log records as JSON.

Metrics and spans need nothing of this module: they go to OpenTelemetry's providers where the extra `otel` is
installed, and with `PayloadsPlugin` metrics go to the SDK's runtime too.
"""

from __future__ import annotations

from temporal_payloads._observe.catalogue import METRICS, Metric
from temporal_payloads._observe.logs import JsonFormatter

__all__ = ["METRICS", "JsonFormatter", "Metric", "prometheus_buckets"]


def prometheus_buckets() -> dict[str, list[float]]:
    """Return the buckets of this library's histograms, for the SDK's Prometheus endpoint.

    A library cannot tell the SDK's runtime which buckets its histograms have. Without them each duration, in
    seconds, falls into the first one.

    Example::

        PrometheusConfig(
            bind_address="127.0.0.1:9464",
            counters_total_suffix=True,
            histogram_bucket_overrides=prometheus_buckets(),
        )
    """
    return {metric.prometheus: list(metric.buckets) for metric in METRICS if metric.kind == "histogram"}
