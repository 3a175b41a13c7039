"""The `[observability]` section."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ObservabilitySettings(BaseModel):
    """What this process tells of its payloads, where somebody listens."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    metrics: bool = Field(
        True,
        description="Metrics go to the application's OpenTelemetry meter provider, if OpenTelemetry's API is "
        "installed (the extra `otel`).",
    )
    spans: bool = Field(
        True,
        description="Spans go to the application's OpenTelemetry tracer provider, likewise, where the SDK's "
        "tracing or the application itself has a span to put them under.",
    )
    runtime_metrics: bool = Field(
        True,
        description="With `PayloadsPlugin`, metrics go to the SDK runtime of the client, and so to the "
        "worker's Prometheus endpoint, if that runtime exports any.",
    )
