"""A worker's own Prometheus endpoint shows the payloads' metrics too, under the same names."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from support.values import large
from support.workers import RUN_TIMEOUT, new_id, running_worker
from support.workflows import Echo
from temporal_payloads import PayloadsPlugin
from temporal_payloads.observability import METRICS, prometheus_buckets
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.stores import S3Store


@pytest.fixture(scope="module")
def endpoint() -> tuple[Runtime, str]:
    """A runtime with an endpoint, and its address. Runtimes live as long as the process."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    metrics = PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        histogram_bucket_overrides=prometheus_buckets(),
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics)), address


def scraped(address: str) -> dict[str, list[dict[str, str]]]:
    """Return the labels of each series of ours, by its name."""
    with urlopen(f"http://{address}/metrics", timeout=30) as response:  # our own
        text = response.read().decode()
    found: dict[str, list[dict[str, str]]] = {}
    for name, labels, value in re.findall(r"^(temporal_payloads_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found.setdefault(name, []).append({**pairs, "value": value})
    return found


async def run(server: TemporalServer, runtime: Runtime, *plugins: Any) -> None:
    client = await Client.connect(server.address, plugins=plugins, runtime=runtime)
    async with running_worker(client) as task_queue:
        value = large("order")
        result = await client.execute_workflow(
            Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert result == value


async def test_the_endpoint_shows_what_the_worker_and_the_client_did(
    temporal_server: TemporalServer, s3_store: S3Store, endpoint: tuple[Runtime, str]
) -> None:
    runtime, address = endpoint
    await run(temporal_server, runtime, PayloadsPlugin(s3_store.settings()))
    found = scraped(address)
    stored = [
        each
        for each in found["temporal_payloads_storage_payloads_total"]
        if each["operation"] == "store" and each["driver"] == "aws.s3driver"
    ]
    # Argument, activity's argument, activity's result, result; each is counted once, though twice configured.
    assert [each["value"] for each in stored] == ["4"]
    assert stored[0]["namespace"] == temporal_server.namespace
    known = {metric.prometheus: set(metric.attributes) for metric in METRICS}
    for name, series in found.items():
        metric = re.sub(r"_(bucket|count|sum)$", "", name)
        labels = {*series[0]} - {"value", "le", "service_name"}
        assert labels == known[metric], name
    buckets = {
        float(each["le"])
        for each in found["temporal_payloads_codec_duration_seconds_bucket"]
        if each["le"] != "+Inf"
    }
    assert buckets == set(prometheus_buckets()["temporal_payloads_codec_duration_seconds"])


async def test_it_can_be_turned_off(
    temporal_server: TemporalServer, s3_store: S3Store, endpoint: tuple[Runtime, str]
) -> None:
    runtime, address = endpoint
    before = scraped(address)
    settings = s3_store.settings(observability={"runtime_metrics": False})
    await run(temporal_server, runtime, PayloadsPlugin(settings))
    assert scraped(address) == before
