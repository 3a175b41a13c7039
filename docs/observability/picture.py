"""Draw the dashboard: `python docs/observability/picture.py [--seconds 120]`.

Order batches run on real servers, with a codec server beside them; a real Prometheus scrapes both and answers
the queries of dashboard.json. Grafana itself is in none of the registries that this project builds from: the
panels are drawn from its file, where it puts them, with matplotlib. Needs `prometheus` (Debian's package).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import matplotlib as mpl
import matplotlib.dates
from google.protobuf.json_format import MessageToDict
from local_servers import S3Server, start_s3, start_temporal
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter
from order_batch.activities import fetch_orders, process_orders
from order_batch.models import OrderBatchRequest
from order_batch.workflows import OrderBatchWorkflow
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._serve import listening
from temporal_payloads.observability import prometheus_buckets
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

HERE = Path(__file__).parent
PICTURE = HERE.parent / "images/dashboard.png"
RATE_INTERVAL = "20s"
STEP = 2
COLUMNS, INCHES = 24, 0.8
COLORS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}
SCALES = {
    "s": ((1, 1, "s"), (1e-3, 1e3, "ms"), (0, 1e6, "µs")),
    "Bps": ((1e6, 1e-6, "MB/s"), (0, 1e-3, "kB/s")),
    "bytes": ((1e6, 1e-6, "MB"), (0, 1e-3, "kB")),
    "percentunit": ((0, 100, "%"),),
    "ops": ((0, 1, "/s"),),
    "reqps": ((0, 1, "/s"),),
    "short": ((0, 1, ""),),
}
"""For each of Grafana's units: from which value on what is shown, times what, and the text after it."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def settings(s3: S3Server, cache: str) -> PayloadSettings:
    """Return settings with gzip, encryption, a bucket and a cache of this size."""
    os.environ["PICTURE_KEY"] = base64.b64encode(bytes(32)).decode()
    return PayloadSettings.model_validate(
        {
            "codecs": ["gzip", "encryption"],
            "payload_converter": "msgspec",
            "codec": {"encryption": {"active": "2026-11", "keys": {"2026-11": {"env": "PICTURE_KEY"}}}},
            "storage": {
                "cache": {"max_size": cache},
                "drivers": {
                    "s3": {
                        "bucket": "payloads",
                        "endpoint_url": s3.endpoint_url,
                        "region": s3.region,
                        "access_key_id": s3.access_key_id,
                        "secret_access_key": s3.secret_access_key,
                    }
                },
            },
            "codec_server": {"port": 0, "namespaces": {"default": ""}},
        }
    )


async def run_batches(address: str, s3: S3Server, metrics: str, seconds: float, codec_server: str) -> None:
    """Run order batches of growing and shrinking number, and look at each as the Web UI would."""
    telemetry = PrometheusConfig(
        bind_address=metrics, counters_total_suffix=True, histogram_bucket_overrides=prometheus_buckets()
    )
    runtime = Runtime(telemetry=TelemetryConfig(metrics=telemetry))
    client = await Client.connect(address, plugins=[PayloadsPlugin(settings(s3, "64MiB"))], runtime=runtime)
    with ThreadPoolExecutor() as threads:
        async with (
            Worker(
                client,
                task_queue="picture",
                workflows=[OrderBatchWorkflow],
                activities=[fetch_orders, process_orders],
                activity_executor=threads,
            ),
            aiohttp.ClientSession() as session,
        ):
            end = time.monotonic() + seconds
            number = 0
            while time.monotonic() < end:
                at_once = 1 + number % 3
                await asyncio.gather(*(_batch(client, session, codec_server, number) for _ in range(at_once)))
                number += 1


async def _batch(client: Client, session: aiohttp.ClientSession, codec_server: str, number: int) -> None:
    handle = await client.start_workflow(
        OrderBatchWorkflow.run,
        OrderBatchRequest(f"BATCH-{uuid.uuid4()}", 100 + 60 * (number % 5)),
        id=f"batch-{uuid.uuid4()}",
        task_queue="picture",
    )
    await handle.result()
    for event in (await handle.fetch_history()).events:
        payloads = MessageToDict(event.activity_task_completed_event_attributes.result).get("payloads")
        if payloads:
            body, headers = {"payloads": payloads}, {"X-Namespace": "default"}
            async with session.post(f"{codec_server}/decode", json=body, headers=headers) as response:
                await response.read()


@asynccontextmanager
async def prometheus(directory: Path, targets: list[str]) -> AsyncIterator[str]:
    """Run Prometheus; yield its address."""
    config = {
        "global": {"scrape_interval": "2s"},
        "scrape_configs": [{"job_name": "picture", "static_configs": [{"targets": targets}]}],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    with (directory / "prometheus.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def ask(session: aiohttp.ClientSession, address: str, query: str, since: float, until: float) -> Any:
    """Return what a query finds in this time."""
    query = query.replace("$__rate_interval", RATE_INTERVAL).replace("$namespace", ".*")
    parameters: dict[str, str | float] = {"query": query, "start": since, "end": until, "step": STEP}
    async with session.get(f"{address}/api/v1/query_range", params=parameters) as response:
        answer = await response.json()
    if answer["status"] != "success":
        raise RuntimeError(f"Prometheus refuses {query}: {answer}")
    return answer["data"]["result"]


async def collect(seconds: float) -> dict[int, list[tuple[str, Any]]]:
    """Return what each panel of the dashboard shows, by the panel's id."""
    dashboard = json.loads((HERE / "dashboard.json").read_text())
    with tempfile.TemporaryDirectory() as name, start_temporal(Path(name) / "temporal") as temporal:
        directory = Path(name)
        with start_s3(directory / "s3") as s3:
            s3.create_bucket("payloads")
            metrics = f"127.0.0.1:{free_port()}"
            chosen = settings(s3, "0")
            async with listening(create_app(chosen), chosen.codec_server) as codec_server:
                targets = [metrics, codec_server.removeprefix("http://")]
                async with prometheus(directory, targets) as address, aiohttp.ClientSession() as session:
                    since = time.time()
                    await run_batches(temporal.address, s3, metrics, seconds, codec_server)
                    await asyncio.sleep(5)
                    found: dict[int, list[tuple[str, Any]]] = {}
                    for panel in dashboard["panels"]:
                        found[panel["id"]] = [
                            (target["legendFormat"], one)
                            for target in panel.get("targets", ())
                            for one in await ask(session, address, target["expr"], since, time.time())
                        ]
                    return found


def draw(found: dict[int, list[tuple[str, Any]]]) -> None:
    """Draw the panels where the dashboard has them."""
    dashboard = json.loads((HERE / "dashboard.json").read_text())
    mpl.rcParams.update(
        {
            "text.color": "#ccccdc",
            "axes.labelcolor": "#ccccdc",
            "xtick.color": "#8e8e9e",
            "ytick.color": "#8e8e9e",
            "axes.edgecolor": "#33363d",
            "font.size": 8,
            "svg.fonttype": "none",
        }
    )
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(COLUMNS * INCHES, height * 0.42), facecolor="#111217")
    for panel in panels:
        position = panel["gridPos"]
        x, y = position["x"] / COLUMNS, 1 - (position["y"] + position["h"]) / height
        width, tall = position["w"] / COLUMNS, position["h"] / height
        if panel["type"] == "row":
            figure.text(x + 0.004, y + tall * 0.3, panel["title"], fontsize=12, weight="bold")
            continue
        axes = figure.add_axes((x + 0.045, y + 0.022, width - 0.055, tall - 0.042), facecolor="#181b1f")
        figure.text(x + 0.006, y + tall - 0.011, panel["title"], fontsize=9.5)
        show = partial(shown, panel["fieldConfig"]["defaults"]["unit"])
        if panel["type"] == "stat":
            _stat(axes, panel, found[panel["id"]], show)
        else:
            _series(axes, found[panel["id"]], show)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=80, facecolor=figure.get_facecolor())


def shown(unit: str, value: float) -> str:
    """Return a value as a person reads it."""
    factor, text = next((factor, text) for least, factor, text in SCALES[unit] if value >= least)
    return f"{value * factor:.3g} {text}".strip()


def _stat(axes: Any, panel: dict[str, Any], found: list[tuple[str, Any]], show: Any) -> None:
    axes.set_axis_off()
    values = [float(value) for _, one in found for _, value in one["values"] if value != "NaN"]
    if not values:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", fontsize=16, color="#8e8e9e")
        return
    color = "green"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or values[-1] >= step["value"]:
            color = step["color"]
    axes.text(0.45, 0.5, show(values[-1]), ha="center", va="center", fontsize=30, color=COLORS[color])


def _series(axes: Any, found: list[tuple[str, Any]], show: Any) -> None:
    axes.grid(color="#2a2d33", linewidth=0.6)

    def on_axis(value: float, position: int | None) -> str:
        del position
        return str(show(max(value, 0)))

    dates: Any = matplotlib.dates  # it has no types
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))
    axes.yaxis.set_major_formatter(FuncFormatter(on_axis))
    lines = []
    for legend, one in found:
        name = legend
        for label in re.findall(r"\{\{(\w+)\}\}", legend):
            name = name.replace(f"{{{{{label}}}}}", one["metric"].get(label, ""))
        points = [(datetime.fromtimestamp(at, UTC), float(value)) for at, value in one["values"]]
        lines.append((name, [at for at, _ in points], [value for _, value in points]))
    if not lines:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", transform=axes.transAxes, color="#8e8e9e")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for name, times, values in lines:
        [line] = axes.plot(times, values, label=name, linewidth=1.4)
        axes.fill_between(times, values, alpha=0.12, color=line.get_color())
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", nbins=5)
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=5))
    axes.legend(loc="upper left", fontsize=7, frameon=False, ncols=2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    draw(asyncio.run(collect(parser.parse_args().seconds)))
