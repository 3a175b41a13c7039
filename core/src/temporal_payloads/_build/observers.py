"""Who is told of what a converter does: observers in code, and OpenTelemetry where it is installed."""

from __future__ import annotations

import logging
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from temporal_payloads._observe.metrics import Metrics, as_it_is, only_listed
from temporal_payloads._observe.observers import Observers

if TYPE_CHECKING:
    from collections.abc import Collection

    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.observability import ObservabilitySettings

logger = logging.getLogger("temporal_payloads")

OLDEST_OTEL = (1, 30)
"""The first release of OpenTelemetry's API in which a library can say which buckets a histogram has."""


def observers(
    settings: ObservabilitySettings, registry: PluginRegistry, *, namespaces: Collection[str] | None = None
) -> Observers:
    """Return those whom the settings and the registry name. OpenTelemetry is imported if it is installed.

    Args:
        settings: What is turned on.
        registry: Whose observers are told.
        namespaces: The only ones that metrics name, where whoever asks may name any.
    """
    if not (settings.metrics or settings.spans) or not has_otel():
        return Observers(registry)
    from temporal_payloads._observe.otel_metrics import OTelRecorder  # noqa: PLC0415  # it may be missing
    from temporal_payloads._observe.spans import Spans  # noqa: PLC0415  # it may be missing

    spans = Spans() if settings.spans else None
    told = Observers(registry, spans)
    if spans is not None:
        told.add(spans, is_heard=spans.is_heard)
    if settings.metrics:
        recorder = OTelRecorder()
        label = as_it_is if namespaces is None else only_listed(namespaces)
        told.add(Metrics(recorder, label), is_heard=recorder.is_heard)
    return told


def has_otel() -> bool:
    """Tell whether OpenTelemetry's API is installed, by the extra `otel` or otherwise, and new enough."""
    try:
        found = version("opentelemetry-api")
    except PackageNotFoundError:
        return False
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:2])
    if numbers < OLDEST_OTEL:
        logger.warning(
            "opentelemetry-api %s is installed, and metrics and spans need %s or newer: install "
            "'temporal-payloads[otel]', or set observability.metrics and observability.spans to false",
            found,
            ".".join(map(str, OLDEST_OTEL)),
        )
    return numbers >= OLDEST_OTEL
