"""Whole workflows on a Temporal server: what a batch asks of the store, and what its replay costs."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from local_servers import start_temporal
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.worker import Replayer, Worker

from benchmarks.harness import Config, Contestant, Line, Report, duration, race

with workflow.unsafe.imports_passed_through():
    from order_batch.activities import fetch_orders, process_orders
    from order_batch.models import OrderBatchRequest
    from order_batch.workflows import OrderBatchWorkflow
    from temporal_payloads import PayloadSettings, PayloadsPlugin

    from benchmarks.peers import SampleGzipCodec, sdk_s3_driver
    from benchmarks.servers import Servers, converter
    from benchmarks.whole.pieces import PIECE_THRESHOLD, ManyPieces, history_of

ORDERS = 200
PIECES = 200
TIMEOUT = timedelta(minutes=2)


async def run(config: Config, servers: Servers) -> Report:
    """Run the batch and the replays, the peer's and ours."""
    report = Report()
    with start_temporal(servers.directory / "temporal") as server:
        report.lines.append(await _batch(servers, server.address))
        report.lines += await _replay(config, servers, server.address)
    return report


@asynccontextmanager
async def _peer_converter(servers: Servers, threshold: int = 256 * 1024) -> AsyncIterator[DataConverter]:
    async with sdk_s3_driver(servers.s3) as driver:
        yield dataclasses.replace(
            DataConverter.default,
            payload_codec=SampleGzipCodec(),
            external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=threshold),
        )


async def _batch(servers: Servers, address: str) -> Line:
    requests: dict[str, dict[str, int]] = {}
    settings = {"codecs": ["gzip"], "storage": {"drivers": {"s3": servers.s3.options()}}}
    for name in ("peer", "ours"):
        async with AsyncExitStack() as stack:
            if name == "peer":
                data_converter = await stack.enter_async_context(_peer_converter(servers))
                client = await Client.connect(address, data_converter=data_converter)
            else:
                plugin = PayloadsPlugin(PayloadSettings.model_validate(settings))
                client = await Client.connect(address, plugins=[plugin])
            queue = str(uuid.uuid4())
            worker = Worker(
                client,
                task_queue=queue,
                workflows=[OrderBatchWorkflow],
                activities=[fetch_orders, process_orders],
                activity_executor=stack.enter_context(ThreadPoolExecutor()),
            )
            async with worker:
                for count in (1, ORDERS):  # the first one waits for the worker, which checks its store once
                    servers.s3_proxy.counts()
                    await client.execute_workflow(
                        OrderBatchWorkflow.run,
                        OrderBatchRequest(queue, count),
                        id=f"{queue}-{count}",
                        task_queue=queue,
                        execution_timeout=TIMEOUT,
                    )
                requests[name] = servers.s3_proxy.counts()
    peer, ours = (sum(requests[name].values()) for name in ("peer", "ours"))
    return Line(
        "an order batch, one worker: requests to S3",
        _tell(requests["peer"]),
        _tell(requests["ours"]),
        peer / ours if ours else None,
        "1 PUT, 0 GET",
        requests["ours"] == {"PUT": 1},
    )


def _tell(requests: dict[str, int]) -> str:
    return ", ".join(f"{count} {method}" for method, count in sorted(requests.items())) or "none"


async def _replay(config: Config, servers: Servers, address: str) -> list[Line]:
    pieces = 20 if config.quick else PIECES
    storage = {"threshold": PIECE_THRESHOLD}
    drivers = {"s3": servers.s3.options()}
    disk = {"max_size": "64MiB", "dir": servers.directory / "cache"}

    def ours(cache: dict[str, Any]) -> DataConverter:
        return converter(drivers, codecs=["gzip"], storage=dict(storage), cache=cache)

    history = await history_of(address, ours({"max_size": 0}), pieces)
    warm = ours({"max_size": "100MiB"})
    for one in (warm, ours(disk)):  # the second one puts everything on disk
        await _replay_with(one, history)
    # A cache of another size is another cache: what a new process has. The peer opens its client too.
    sizes = iter(range(64_000_000, 65_000_000))

    async def peer(_: object) -> None:
        async with _peer_converter(servers, PIECE_THRESHOLD) as one:
            await _replay_with(one, history)

    async def mine(one: DataConverter) -> None:
        await _replay_with(one, history)

    def plugin() -> PayloadsPlugin:
        cache = {"max_size": next(sizes)}
        settings = {"codecs": ["gzip"], "storage": {**storage, "drivers": drivers, "cache": cache}}
        return PayloadsPlugin(PayloadSettings.model_validate(settings))

    async def with_plugin(one: PayloadsPlugin) -> None:
        await Replayer(workflows=[ManyPieces], plugins=[one]).replay_workflow(history)

    times = await race(
        {
            "peer": Contestant(peer),
            "plugin": Contestant(with_plugin, plugin),
            "from disk": Contestant(mine, lambda: ours({**disk, "max_size": next(sizes)})),
            "again": Contestant(mine, lambda: warm),
        },
        config.rounds(3),
        warm_up=False,
    )
    lines = []
    for name, what, wanted in (
        ("plugin", "fetched ahead by the plugin, nothing cached", 8),
        ("from disk", "first in a process, with storage.cache.dir", 5),
        ("again", "again in the same process", 20),
    ):
        ratio = times["peer"] / times[name]
        lines.append(
            Line(
                f"replay of a workflow with {pieces} offloaded payloads: {what}",
                duration(times["peer"]),
                duration(times[name]),
                ratio,
                f"{wanted} times",
                ratio >= wanted,
                times.best_ratio(name),
            )
        )
    return lines


async def _replay_with(data_converter: DataConverter, history: WorkflowHistory) -> None:
    replayer = Replayer(workflows=[ManyPieces], data_converter=data_converter)
    await replayer.replay_workflow(history)
