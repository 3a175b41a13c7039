"""Google Cloud Storage, 20 ms away: the driver beside the SDK's own with its gcloud-aio client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from gcloud.aio.storage import Storage
from local_servers import start_gcs
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver
from temporalio.contrib.gcp.gcsdriver.gcloud_aio import new_gcloud_aio_client

from benchmarks.data import new_payload, new_payloads
from benchmarks.harness import Config, Line, Report, faster
from benchmarks.proxy import start_proxy
from benchmarks.s3 import Drivers, race_retrieve, race_store, retrieve, store
from benchmarks.servers import ROUND_TRIP, Servers, converter, driver_of

BUCKET = "benchmarks"
AWAY = f"{ROUND_TRIP * 1e3:.0f} ms away"


async def run(config: Config, servers: Servers) -> Report:
    """Measure everything about GCS."""
    report = Report()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(start_gcs(servers.directory / "gcs"))
        server.create_bucket(BUCKET)
        port = urlsplit(server.endpoint_url).port
        assert port is not None
        proxy = stack.enter_context(start_proxy(port, round_trip=ROUND_TRIP))
        url = f"http://127.0.0.1:{proxy.port}"
        options = {"bucket": BUCKET, "endpoint_url": url, "anonymous": True, "max_payload_size": "1GiB"}
        drivers: Drivers = {
            "peer": await stack.enter_async_context(_peer(url)),
            "ours": driver_of(converter({"gcs": options}, storage={"timeout": "10m"})),
        }
        requests: dict[str, int] = {}
        for name, driver in drivers.items():  # connections are open, as in a worker that runs
            await retrieve(driver, await store(driver, new_payloads(10, 1_000)))
            proxy.counts()
            await store(driver, [new_payload(300_000)])
            requests[name] = sum(proxy.counts().values())
        report.lines.append(
            Line(
                "one new payload of 300 KB to GCS: requests",
                str(requests["peer"]),
                str(requests["ours"]),
                requests["peer"] / requests["ours"],
                "1",
                requests["ours"] == 1,
            )
        )
        times = await race_store(drivers, [300_000], config.rounds(15))
        report.lines.append(faster(f"one new payload of 300 KB to GCS, {AWAY}", times, 1.3))
        await _large(config, drivers, report)
    return report


async def _large(config: Config, drivers: Drivers, report: Report) -> None:
    size = 8_000_000 if config.quick else 40_000_000
    into = await race_store(drivers, [size], config.rounds(5))
    claims = {name: await store(driver, [new_payload(size)]) for name, driver in drivers.items()}
    out = await race_retrieve(drivers, claims, config.rounds(5))
    label = f"a payload of {size // 1_000_000} MB"
    report.lines.append(faster(f"{label} to GCS", into, 1, size=size))
    report.lines.append(faster(f"{label} from GCS", out, 1.3, size=size))


@asynccontextmanager
async def _peer(url: str) -> AsyncIterator[GCSStorageDriver]:
    async with Storage(api_root=url) as storage:
        yield GCSStorageDriver(new_gcloud_aio_client(storage), BUCKET, max_payload_size=2**30)
