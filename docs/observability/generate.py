"""Write what is made of the metrics' catalogue: `python docs/observability/generate.py`.

That is the Grafana dashboard, and the table of metrics in docs/observability.md. With `--check` it only tells
whether they are as they would be written; a test does that.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporal_payloads._observe.catalogue import ATTRIBUTES, METRICS

HERE = Path(__file__).parent
DASHBOARD = HERE / "dashboard.json"
PAGE = HERE.parent / "observability.md"
WIDTH = 24
"""Columns of a Grafana dashboard."""

OF = 'namespace=~"$namespace"'
PER_SECOND = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """A panel, and what it asks Prometheus."""

    title: str
    queries: dict[str, str]
    """Each query by the legend of what it finds."""
    unit: str = "short"
    """In Grafana's words."""
    kind: str = "timeseries"
    width: int = 8
    description: str = ""
    stacked: bool = False
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    """From which value on it has which colour."""


def _rate(metric: str, by: str = "", labels: str = OF) -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{labels}}}{PER_SECOND}))"


def _quantile(quantile: float, metric: str, by: str, labels: str = OF) -> str:
    return f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', f'le, {by}', labels)})"


_OPERATIONS = "temporal_payloads_storage_duration_seconds"
_CODECS = "temporal_payloads_codec_duration_seconds"
_REQUESTS = "temporal_payloads_codec_server_duration_seconds"
_FAILED = f'{OF}, outcome="error"'
_RETRIEVED = f'{OF}, operation="retrieve"'
_ENCODED = f'{OF}, operation="encode"'

ROWS: dict[str, list[Panel]] = {
    "At a glance": [
        Panel(
            "Storage operations that fail",
            {
                "failed": f"({_rate(f'{_OPERATIONS}_count', labels=_FAILED)} or vector(0)) / "
                + _rate(f"{_OPERATIONS}_count")
            },
            "percentunit",
            "stat",
            6,
            "Of all stores and retrieves. Temporal tries them again.",
            steps=((None, "green"), (0.001, "orange"), (0.05, "red")),
        ),
        Panel(
            "Stores that cannot be used",
            {"open circuits": "sum(temporal_payloads_storage_circuit_open) or vector(0)"},
            "short",
            "stat",
            6,
            "Drivers whose circuit is open.",
            steps=((None, "green"), (1, "red")),
        ),
        Panel(
            "New bytes kept out of histories",
            {
                "stored": _rate("temporal_payloads_new_size_bytes_total", labels=f'{OF}, driver!="inline"')
                + " / "
                + _rate("temporal_payloads_new_size_bytes_total")
            },
            "percentunit",
            "stat",
            6,
        ),
        Panel(
            "Retrieved without the store",
            {
                "from the cache": _rate("temporal_payloads_storage_cache_hits_total")
                + " / "
                + _rate("temporal_payloads_storage_payloads_total", labels=_RETRIEVED)
            },
            "percentunit",
            "stat",
            6,
        ),
    ],
    "Storage": [
        Panel(
            "Operations",
            {"{{operation}} {{driver}}": _rate(f"{_OPERATIONS}_count", "operation, driver")},
            "ops",
        ),
        Panel(
            "Duration, 50th and 99th percentile",
            {
                "{{operation}} {{driver}} 50 %": _quantile(0.5, _OPERATIONS, "operation, driver"),
                "{{operation}} {{driver}} 99 %": _quantile(0.99, _OPERATIONS, "operation, driver"),
            },
            "s",
            description="With what the cache answered.",
        ),
        Panel(
            "Failures",
            {
                "{{operation}} {{driver}} {{error_type}}": _rate(
                    f"{_OPERATIONS}_count", "operation, driver, error_type", _FAILED
                )
            },
            "ops",
        ),
        Panel(
            "New payloads by where they go",
            {"{{driver}}": _rate("temporal_payloads_new_payloads_total", "driver")},
            "ops",
            description="`inline` is the history.",
            stacked=True,
        ),
        Panel(
            "Bytes",
            {
                "{{operation}} {{driver}}": _rate(
                    "temporal_payloads_storage_io_bytes_total", "operation, driver"
                )
            },
            "Bps",
        ),
        Panel(
            "Cache, duplicates and retries",
            {
                "retrieved from the cache": _rate("temporal_payloads_storage_cache_hits_total"),
                "not stored again": _rate("temporal_payloads_storage_dedupe_hits_total"),
                "called again": _rate("temporal_payloads_storage_retries_total"),
            },
            "ops",
        ),
    ],
    "Codecs and keys": [
        Panel(
            "Size after encoding",
            {
                "{{codec}}": _rate("temporal_payloads_codec_output_bytes_total", "codec", _ENCODED)
                + " / "
                + _rate("temporal_payloads_codec_input_bytes_total", "codec", _ENCODED)
            },
            "percentunit",
            description="As part of the size before.",
        ),
        Panel(
            "Duration, 99th percentile",
            {"{{operation}} {{codec}}": _quantile(0.99, _CODECS, "operation, codec")},
            "s",
        ),
        Panel(
            "Payloads by key",
            {"{{operation}} {{key}}": _rate("temporal_payloads_key_uses_total", "operation, key", "")},
            "ops",
            description="`other` is a key that is not configured.",
        ),
    ],
    "Codec server": [
        Panel(
            "Requests",
            {"{{operation}} {{status}}": _rate(f"{_REQUESTS}_count", "operation, status", "")},
            "reqps",
        ),
        Panel(
            "Duration, 99th percentile",
            {"{{operation}}": _quantile(0.99, _REQUESTS, "operation", "")},
            "s",
        ),
        Panel(
            "Bytes",
            {
                "received": _rate("temporal_payloads_codec_server_received_bytes_total", labels=""),
                "sent": _rate("temporal_payloads_codec_server_sent_bytes_total", labels=""),
            },
            "Bps",
        ),
    ],
    "Garbage collection": [
        Panel(
            "Payloads in the store",
            {"{{driver}} {{state}}": "sum by (driver, state) (temporal_payloads_gc_payloads)"},
            stacked=True,
        ),
        Panel(
            "Bytes in the store",
            {"{{driver}} {{state}}": "sum by (driver, state) (temporal_payloads_gc_size_bytes)"},
            "bytes",
            stacked=True,
        ),
        Panel(
            "Since the last complete collection",
            {"{{driver}}": "time() - max by (driver) (temporal_payloads_gc_completed_seconds)"},
            "s",
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        position = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": position, "panels": []}
        )
        y += 1
        x, height = 0, 4 if row[0].kind == "stat" else 8
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            position = {"h": height, "w": panel.width, "x": x, "y": y}
            panels.append({"id": len(panels) + 1, "gridPos": position, **_panel(panel)})
            x += panel.width
        y += height
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    of = f"label_values({_OPERATIONS}_count, namespace)"
    namespaces = {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": _SOURCE,
        "definition": of,
        "query": {"query": of, "refId": "namespace"},
        "multi": True,
        "includeAll": True,
        # Those of Nexus operations have none.
        "allValue": ".*",
        "refresh": 2,
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return {
        "title": "Temporal payloads",
        "uid": "temporal-payloads",
        "description": "Made from the metrics of temporal-payloads.",
        "tags": ["temporal"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, namespaces]},
        "panels": panels,
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panel(panel: Panel) -> dict[str, Any]:
    custom = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {"fillOpacity": 10}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"value": value, "color": color} for value, color in panel.steps],
                },
                **({"custom": custom} if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def tables() -> str:
    """Return the tables of metrics and attributes, as Markdown."""
    lines = ["| metric | in Prometheus | kind | unit | attributes | what it is |", "| --- " * 6 + "|"]
    for metric in METRICS:
        name = metric.name.removeprefix("temporal_payloads")
        cells = (
            f"`{name}`",
            f"`{metric.prometheus.removeprefix('temporal_payloads')}`",
            metric.kind,
            f"`{metric.unit}`" if metric.unit else "",
            ", ".join(f"`{attribute}`" for attribute in metric.attributes),
            metric.description,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| attribute | what it may be |", "| --- | --- |"]
    lines += [f"| `{name}` | {text} |" for name, text in ATTRIBUTES.items()]
    return "\n".join(lines)


def page() -> str:
    """Return the page with the tables as they are now."""
    marked = re.compile(r"(?<=<!-- metrics -->\n).*?(?=<!-- /metrics -->)", re.DOTALL)
    return marked.sub(lambda _: f"\n{tables()}\n\n", PAGE.read_text(encoding="utf-8"))


def main() -> None:
    """Write the files, or check them."""
    files = {DASHBOARD: json.dumps(dashboard(), indent=2) + "\n", PAGE: page()}
    for file, text in files.items():
        if "--check" not in sys.argv:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            sys.exit(f"{file.name} is out of date; run make generate")


if __name__ == "__main__":
    main()
