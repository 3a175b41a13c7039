"""A directory on this machine's disk: the driver beside what one writes by hand, a thread for each file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from benchmarks.data import new_payloads
from benchmarks.harness import Config, Contestant, Report, Times, faster, race
from benchmarks.s3 import retrieve, store
from benchmarks.servers import Servers, converter, driver_of


class PlainFilesDriver(StorageDriver):
    """Writes each payload under a temporary name, flushes it and renames it; the folder is not flushed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def name(self) -> str:
        return "filesystem"

    def type(self) -> str:
        return "filesystem"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        del context
        return await asyncio.gather(*(asyncio.to_thread(self._write, payload) for payload in payloads))

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        del context
        return await asyncio.gather(*(asyncio.to_thread(self._read, claim) for claim in claims))

    def _write(self, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString()
        name = hashlib.sha256(data).hexdigest()
        with (self._directory / f"{name}.tmp").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (self._directory / f"{name}.tmp").rename(self._directory / name)
        return StorageDriverClaim(claim_data={"name": name})

    def _read(self, claim: StorageDriverClaim) -> Payload:
        name = claim.claim_data["name"]
        data = (self._directory / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != name:
            raise ValueError(name)
        return Payload.FromString(data)


async def run(config: Config, servers: Servers) -> Report:
    """Write and read one payload and a hundred."""
    plain, path = servers.directory / "plain-files", servers.directory / "files"
    plain.mkdir()
    drivers: dict[str, StorageDriver] = {
        "peer": PlainFilesDriver(plain),
        "ours": driver_of(converter({"filesystem": {"path": str(path), "create": True}})),
    }
    report = Report()
    for what, count, size, wanted in (
        # Ours also flushes the folder, without which a power cut can take the file's name away.
        ("one payload of 300 KB", 1, 300_000, 0.5),
        ("100 payloads of 1 KB", 100, 1_000, 1),
    ):
        into, out = await _there_and_back(config, drivers, partial(new_payloads, count, size))
        report.lines.append(faster(f"{what} to a directory", into, wanted))
        report.lines.append(faster(f"{what} from a directory", out, 1))
    return report


async def _there_and_back(
    config: Config, drivers: dict[str, StorageDriver], fresh: Callable[[], list[Payload]]
) -> tuple[Times, Times]:
    into = await race(
        {name: Contestant(partial(store, driver), fresh) for name, driver in drivers.items()},
        config.rounds(25),
    )
    claims = {name: await store(driver, fresh()) for name, driver in drivers.items()}
    out = await race(
        {
            name: Contestant(partial(retrieve, driver), partial(list, claims[name]))
            for name, driver in drivers.items()
        },
        config.rounds(25),
    )
    return into, out
