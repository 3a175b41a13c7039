"""How much memory a large payload takes on its way, each measured in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from temporalio.converter import StorageDriver, StorageDriverClaim

from benchmarks.access import S3Access
from benchmarks.data import new_payload, new_payloads
from benchmarks.harness import MILLION, Line, Report
from benchmarks.peers import sdk_s3_driver
from benchmarks.s3 import retrieve, store
from benchmarks.servers import Servers, converter, driver_of


def run(servers: Servers) -> Report:
    """Measure the peak of each way, in both directions."""
    size = 40_000_000
    report = Report()
    for way in ("to", "from"):
        peaks = {name: _peak(name, way, size, servers.s3) / size for name in ("peer", "ours")}
        report.lines.append(
            Line(
                f"memory for a payload of {size // MILLION} MB {way} S3",
                f"{peaks['peer']:.2f} times the payload",
                f"{peaks['ours']:.2f} times the payload",
                peaks["peer"] / peaks["ours"],
                "at most 2.2 times",
                peaks["ours"] <= 2.2,
            )
        )
    return report


def _peak(name: str, way: str, size: int, access: S3Access) -> int:
    arguments = [name, way, str(size), json.dumps(asdict(access))]
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


async def measure(name: str, way: str, size: int, access: S3Access) -> int:
    """Return the bytes that the payload's way took at its peak, the payload itself included."""
    async with AsyncExitStack() as stack:
        driver: StorageDriver
        if name == "peer":
            driver = await stack.enter_async_context(sdk_s3_driver(access))
        else:
            driver = driver_of(converter({"s3": access.options()}, cache={"max_size": "64MiB"}))
        await retrieve(driver, await store(driver, new_payloads(3, 300_000)))
        claims: list[StorageDriverClaim] = []
        if way == "from":
            # What is stored by another process is in no cache of this one.
            claims = json.loads(_stored_elsewhere(size, access), object_hook=_claim)
        before = _memory("VmRSS")
        _forget_the_peak()
        if way == "to":
            await store(driver, [new_payload(size)])
        else:
            await retrieve(driver, claims)
        return _memory("VmHWM") - before


def _forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> int:
    """Bytes that the process has in memory now (`VmRSS`) or had at its peak (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _stored_elsewhere(size: int, access: S3Access) -> str:
    arguments = ["peer", "claim", str(size), json.dumps(asdict(access))]
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def _claim(data: dict[str, str]) -> StorageDriverClaim:
    return StorageDriverClaim(data)


async def _store_and_tell(size: int, access: S3Access) -> str:
    async with sdk_s3_driver(access) as driver:
        claims = await store(driver, [new_payload(size)])
    return json.dumps([dict(claim.claim_data) for claim in claims])


if __name__ == "__main__":
    who, direction, number, how = sys.argv[1:]
    bucket = S3Access(**json.loads(how))
    if direction == "claim":
        print(asyncio.run(_store_and_tell(int(number), bucket)))
    else:
        print(asyncio.run(measure(who, direction, int(number), bucket)))
