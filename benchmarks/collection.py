"""Garbage collection: what the first collection of a store takes, and the one after it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from local_servers import start_temporal
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._cli.gc.collecting import collector_open
from temporal_payloads._cli.temporal import connection_asked_for
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.harness import Config, Line, Report
from benchmarks.servers import Servers

NAMESPACE = "collection"
AGE = timedelta(days=30)
VALUES = 10
"""Payloads of each workflow's input."""
MOST_MEMORY = 300 * 1024 * 1024
READ_AGAIN = 0.05
"""Part of the histories that a second collection may read."""


@workflow.defn
class Takes:
    """Has ten arguments that are stored."""

    @workflow.run
    async def run(  # noqa: PLR0917  # each is a payload of its own
        self, a: str, b: str, c: str, d: str, e: str, f: str, g: str, h: str, i: str, j: str
    ) -> str:
        """Return one of them."""
        return a[:10] + "".join(one[:1] for one in (b, c, d, e, f, g, h, i, j))


async def run(config: Config, servers: Servers) -> Report:
    """Measure in processes of their own."""
    histories, objects = (100, 10_000) if config.quick else (1_000, 100_000)
    directory = servers.directory / "collection"
    with start_temporal(directory / "temporal", namespaces=[NAMESPACE]) as server:
        settings = _settings(directory / "payloads", server.address)
        await _fill(settings, server.address, histories, objects)
        first = await asyncio.to_thread(_collect, settings)
        second = await asyncio.to_thread(_collect, settings)
    what = f"{objects:,} objects and {histories:,} histories"
    return Report(
        lines=[
            _line(f"the first collection of {what}", first, "under 300 MiB", first["memory"] < MOST_MEMORY),
            _line(
                "the second collection of the same",
                second,
                "reads under 5 % of the histories",
                second["read"] < READ_AGAIN * histories and second["memory"] < MOST_MEMORY,
            ),
        ]
    )


def _line(what: str, took: dict[str, Any], wanted: str, reached: bool) -> Line:
    mib = took["memory"] / 1024**2
    ours = f"{took['seconds']:.0f} s, {mib:.0f} MiB, {took['read']:,} histories read"
    return Line(what, "", ours, None, wanted, reached)


def _settings(directory: Path, address: str) -> dict[str, Any]:
    return {
        "storage": {
            "threshold": 500,
            "drivers": {"filesystem": {"path": str(directory), "create": True}},
            "cache": {"max_size": 0},
        },
        "gc": {"owners": [{"namespaces": [NAMESPACE], "address": address}]},
    }


async def _fill(settings: dict[str, Any], address: str, histories: int, objects: int) -> None:
    """Run workflows, and store what nothing refers to; all of it is old."""
    assembly = build(PayloadSettings.model_validate(settings))
    async with assembly.drivers_open():
        client = await Client.connect(address, namespace=NAMESPACE, data_converter=assembly.converter)
        async with Worker(
            client,
            task_queue="collection",
            workflows=[Takes],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=100,
        ):
            for start in range(0, histories, 50):
                await asyncio.gather(*(_run(client, start + number) for number in range(50)))
        driver = assembly.drivers["filesystem"]
        for start in range(histories * VALUES, objects, 200):
            target = StorageDriverWorkflowInfo(
                namespace=NAMESPACE, id=f"gone-{start}", run_id=str(uuid.uuid4()), type="Gone"
            )
            payloads = [Payload(data=os.urandom(600)) for _ in range(200)]
            await driver.store(StorageDriverStoreContext(target=target), payloads)
    then = time.time() - AGE.total_seconds()
    for folder, _, files in os.walk(settings["storage"]["drivers"]["filesystem"]["path"]):
        for file in files:
            os.utime(Path(folder) / file, (then, then))


async def _run(client: Client, number: int) -> None:
    values = [os.urandom(300).hex() for _ in range(VALUES)]
    await client.execute_workflow(Takes.run, args=values, id=f"w-{number}", task_queue="collection")


def _collect(settings: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.collection", json.dumps(settings)]
    took: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return took


async def _measure(settings: dict[str, Any]) -> dict[str, Any]:
    connection = connection_asked_for(None, None, None)
    start = time.monotonic()
    async with collector_open(PayloadSettings.model_validate(settings), connection) as collector:
        report = await collector.collect("put-aside")
    assert report.complete, report.incomplete
    return {
        "seconds": time.monotonic() - start,
        # Of the whole process, Python and all libraries with it.
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "read": sum(one["read"] for one in report.namespaces),
        "listed": sum(store["listed"] for store in report.stores.values()),
        "outcomes": {key: store["outcomes"] for key, store in report.stores.items()},
    }


def main(arguments: Sequence[str]) -> None:
    """Collect once, and tell what it took."""
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    print(json.dumps(asyncio.run(_measure(json.loads(arguments[0])))))


if __name__ == "__main__":
    main(sys.argv[1:])
