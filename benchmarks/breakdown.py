"""Where a workflow's time goes: order batches in one worker, by layer."""

from __future__ import annotations

import dataclasses
import functools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from local_servers import start_temporal
from temporalio import workflow
from temporalio.client import Client
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.worker import Worker

from benchmarks.harness import Config, Report
from benchmarks.sampling import COLLECTOR, Profile, Sampler

with workflow.unsafe.imports_passed_through():
    from order_batch.activities import fetch_orders, process_orders
    from order_batch.models import OrderBatchRequest
    from order_batch.workflows import OrderBatchWorkflow
    from temporal_payloads import PayloadSettings, PayloadsPlugin
    from temporal_payloads._storage.managed_driver import ManagedDriver
    from temporal_payloads.plugin import gather_bounded
    from temporalio.contrib.aws.s3driver import S3StorageDriver

    from benchmarks.peers import SampleGzipCodec, sdk_s3_driver
    from benchmarks.servers import Servers

ORDERS = 400
AT_ONCE = 10
CONVERTER = "msgspec"

STORE, TEMPORAL = "waiting for the store", "waiting for Temporal, or a processor"
CORE, LOOP = "core (Rust)", "event loop, threads"
OWN = "the activities' own work"
ANY = ""
LAYERS = [
    ("codec", r"/benchmarks/peers\.py", r"gzip"),  # on the line that serializes, too
    # What takes long is a function in C, which has no frame: its line tells.
    ("hash", ANY, r"sha256\(|\bdigest\.update\(|checksum\.update\("),
    ("protobuf", ANY, r"\.(SerializeToString|ParseFromString|FromString|CopyFrom|MergeFrom|ByteSize)\("),
    (OWN, r"/order_batch/", ANY),
    ("payload converter", r"msgspec_converter/|/temporalio/converter/_payload_converter|my_msgspec", ANY),
    ("workflow sandbox", r"/temporalio/worker/workflow_sandbox/", ANY),
    ("codec", r"/temporal_payloads/_codecs/|_codec/_codec\.py", ANY),
    ("storage: around the driver", r"/temporal_payloads/", ANY),
    ("storage: driver", r"/temporal_payloads_s3/|/temporalio/contrib/aws/", ANY),
    ("storage: client library", r"/(aioboto3|aiobotocore|botocore|aiohttp)/", ANY),
    ("SDK: data converter and walk over payloads", r"_visitor|/temporalio/converter/", ANY),
    ("SDK: activations and activities", r"/temporalio/", ANY),
]
ORDER = list(dict.fromkeys([OWN, *(name for name, _, _ in LAYERS), COLLECTOR, LOOP, CORE, STORE, TEMPORAL]))


async def run(config: Config, servers: Servers) -> Report:
    """Profile the peer, ours without the converter, and ours."""
    ours = {"codecs": ["gzip"], "storage": {"drivers": {"s3": servers.s3.options()}}}
    ways = {
        "SDK, sample's codec": functools.partial(_peer, servers),
        "ours, SDK's converter": functools.partial(_ours, ours),
        "ours": functools.partial(_ours, {**ours, "payload_converter": CONVERTER}),
    }
    count = AT_ONCE if config.quick else 3 * AT_ONCE
    rows: list[dict[str, Any]] = []
    with start_temporal(servers.directory / "temporal-breakdown") as server:
        for way, connected in ways.items():
            async with connected(server.address) as client:
                seconds, profile = await _profile(client, count)
            rows.append(
                {
                    "way": way,
                    "batches a second": count / seconds,
                    "cpu": {layer: profile.cpu[layer] / count for layer in ORDER if profile.cpu[layer]},
                    "wall": {layer: profile.wall[layer] / count for layer in ORDER if profile.wall[layer]},
                }
            )
    return Report(tables={"breakdown": rows})


@asynccontextmanager
async def _peer(servers: Servers, address: str) -> AsyncIterator[Client]:
    async with sdk_s3_driver(servers.s3) as driver:
        data_converter = dataclasses.replace(
            DataConverter.default,
            payload_codec=SampleGzipCodec(),
            external_storage=ExternalStorage(drivers=[driver]),
        )
        yield await Client.connect(address, data_converter=data_converter)


@asynccontextmanager
async def _ours(settings: dict[str, Any], address: str) -> AsyncIterator[Client]:
    yield await Client.connect(address, plugins=[PayloadsPlugin(PayloadSettings.model_validate(settings))])


async def _profile(client: Client, count: int) -> tuple[float, Profile]:
    """Run so many batches, and return how long that took and where the time went."""
    queue = str(uuid.uuid4())
    with ThreadPoolExecutor() as executor, _storage_watched() as waiting:
        worker = Worker(
            client,
            task_queue=queue,
            workflows=[OrderBatchWorkflow],
            activities=[fetch_orders, process_orders],
            activity_executor=executor,
        )
        _never_a_deadlock(worker)
        async with worker:
            await _batches(client, queue, "first", AT_ONCE)  # connections, imports, caches
            with Sampler(LAYERS, elsewhere=LOOP, outside=CORE, waiting=waiting) as profile:
                start = time.perf_counter()
                await _batches(client, queue, "then", count)
                seconds = time.perf_counter() - start
    return seconds, profile


def _never_a_deadlock(worker: Worker) -> None:
    """Let the SDK's converter take its time: tasks that are failed for it would be done, and count, twice."""
    assert worker._workflow_worker is not None  # noqa: SLF001  # `debug_mode` changes more
    worker._workflow_worker._deadlock_timeout_seconds = None  # noqa: SLF001  # as above


async def _batches(client: Client, queue: str, name: str, count: int) -> None:
    async def batch(number: int) -> None:
        await client.execute_workflow(
            OrderBatchWorkflow.run,
            OrderBatchRequest(f"{queue}-{name}-{number}", ORDERS),
            id=f"{queue}-{name}-{number}",
            task_queue=queue,
            execution_timeout=timedelta(minutes=5),
        )

    await gather_bounded(batch, range(count), AT_ONCE)


@contextmanager
def _storage_watched() -> Iterator[Callable[[], str]]:
    """Yield what tells whether a storage operation is under way."""
    under_way = 0

    def watched(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(method)
        async def watching(*arguments: Any) -> Any:
            nonlocal under_way
            under_way += 1
            try:
                return await method(*arguments)
            finally:
                under_way -= 1

        return watching

    with ExitStack() as stack:
        for driver in (ManagedDriver, S3StorageDriver):
            for name in ("store", "retrieve"):
                method = getattr(driver, name)
                stack.enter_context(mock.patch.object(driver, name, watched(method)))
        yield lambda: STORE if under_way else TEMPORAL


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Write the figure: what a batch takes of processors and of time, by layer."""
    from matplotlib import pyplot as plt  # noqa: PLC0415  # nothing else here needs matplotlib
    from matplotlib.patches import Patch  # noqa: PLC0415  # likewise

    figure, axes = plt.subplots(2, 1, figsize=(11, 5.6), layout="constrained")
    colours = {layer: plt.get_cmap("tab20")(number) for number, layer in enumerate(ORDER)}
    titles = {
        "cpu": "processor time of one batch, ms",
        "wall": f"elapsed time for each batch, {AT_ONCE} at once, ms",
    }
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        for row_number, row in enumerate(rows):
            left = 0.0
            for layer in ORDER:
                taken = row[kind].get(layer, 0.0) * 1000
                axis.barh(row_number, taken, left=left, color=colours[layer], height=0.7)
                left += taken
        axis.set_yticks(range(len(rows)), [row["way"] for row in rows])
        axis.invert_yaxis()
        axis.set_xlabel(title)
        axis.grid(axis="x", alpha=0.3)
    used = [layer for layer in ORDER if any(layer in row["wall"] for row in rows)]
    patches = [Patch(color=colours[layer]) for layer in used]
    figure.legend(patches, used, loc="outside right center", fontsize=8)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def table(results: dict[str, Any]) -> str:
    """Return the table of the documentation: milliseconds of processors for one batch."""
    rows = results["tables"]["breakdown"]
    lines = [
        f"| layer | {' | '.join(row['way'] for row in rows)} |",
        f"| --- |{' ---: |' * len(rows)}",
    ]
    for layer in ORDER:
        if any(layer in row["cpu"] for row in rows):
            cells = [f"{row['cpu'].get(layer, 0.0) * 1000:.1f}" for row in rows]
            lines.append(f"| {layer} | {' | '.join(cells)} |")
    sums = [f"**{sum(row['cpu'].values()) * 1000:.0f}**" for row in rows]
    rates = [f"{row['batches a second']:.1f}" for row in rows]
    lines += [f"| **all, ms of CPU** | {' | '.join(sums)} |", f"| batches a second | {' | '.join(rates)} |"]
    return "\n".join(lines)
