"""Azure Blob Storage, 20 ms away: the driver beside a plain `upload_blob` and `download_blob`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit

from azure.storage.blob.aio import ContainerClient
from local_servers import start_azurite
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from benchmarks.data import new_payload, new_payloads
from benchmarks.harness import Config, Contestant, Report, Times, faster, race
from benchmarks.proxy import start_proxy
from benchmarks.s3 import Drivers, retrieve, store
from benchmarks.servers import ROUND_TRIP, Servers, converter, driver_of

CONTAINER = "benchmarks"
AWAY = f"{ROUND_TRIP * 1e3:.0f} ms away"


class PlainDriver(StorageDriver):
    """What one writes in an afternoon: serialize, hash, `upload_blob`; `download_blob`, parse."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def name(self) -> str:
        """Return the name."""
        return "plain"

    def type(self) -> str:
        """Return the type."""
        return "plain"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Upload them all at once."""
        del context

        async def upload(payload: Payload) -> StorageDriverClaim:
            data = payload.SerializeToString(deterministic=True)
            key = hashlib.sha256(data).hexdigest()
            await self._container.upload_blob(key, data, overwrite=True)
            return StorageDriverClaim({"key": key})

        return await asyncio.gather(*map(upload, payloads))

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Download them all at once."""
        del context

        async def download(claim: StorageDriverClaim) -> Payload:
            blob = await self._container.download_blob(claim.claim_data["key"])
            return Payload.FromString(await blob.readall())

        return await asyncio.gather(*map(download, claims))


async def run(config: Config, servers: Servers) -> Report:
    """Measure everything about Azure Blob Storage."""
    report = Report()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(start_azurite(servers.directory / "azurite"))
        server.create_container(CONTAINER)
        port = urlsplit(server.account_url).port
        assert port is not None
        proxy = stack.enter_context(start_proxy(port, round_trip=ROUND_TRIP))
        url = f"http://127.0.0.1:{proxy.port}/{server.account_name}"
        credential = {"account_name": server.account_name, "account_key": server.account_key}
        options = {"container": CONTAINER, "account_url": url, "account_key": server.account_key}
        peer = await stack.enter_async_context(ContainerClient(url, CONTAINER, credential))
        drivers: Drivers = {
            "peer": PlainDriver(peer),
            "ours": driver_of(
                converter({"azure_blob": options | {"max_payload_size": "1GiB"}}, storage={"timeout": "10m"})
            ),
        }
        for driver in drivers.values():  # connections are open, as in a worker that runs
            await retrieve(driver, await store(driver, new_payloads(10, 1_000)))
        times = await _race_store(drivers, [300_000], config.rounds(15))
        report.lines.append(faster(f"one new payload of 300 KB to Azure Blob, {AWAY}", times, 1))
        times = await _race_store(drivers, [1_000] * 100, config.rounds(5))
        report.lines.append(faster(f"100 payloads of 1 KB to Azure Blob, {AWAY}", times, 1))
        size = 8_500_000 if config.quick else 40_000_000
        label = f"a payload of {size / 1e6:.0f} MB"
        into = await _race_store(drivers, [size], config.rounds(5))
        claims = {name: await store(driver, [new_payload(size)]) for name, driver in drivers.items()}
        out = await race(
            {
                name: Contestant(partial(retrieve, driver), partial(list, claims[name]))
                for name, driver in drivers.items()
            },
            config.rounds(5),
        )
        report.lines.append(faster(f"{label} to Azure Blob", into, 1, size=size))
        report.lines.append(faster(f"{label} from Azure Blob", out, 1, size=size))
    return report


async def _race_store(drivers: Drivers, sizes: list[int], rounds: int) -> Times:
    return await race(
        {
            name: Contestant(partial(store, driver), lambda: [new_payload(size) for size in sizes])
            for name, driver in drivers.items()
        },
        rounds,
    )
