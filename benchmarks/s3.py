"""S3, a round trip of 20 ms away: the driver beside the SDK's own with its aioboto3 client."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from temporal_payloads.plugin import gather_bounded
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from benchmarks.data import new_payload, new_payloads
from benchmarks.harness import Config, Contestant, Growth, Line, Report, Times, faster, race
from benchmarks.peers import sdk_s3_driver
from benchmarks.servers import ROUND_TRIP, Servers, converter, driver_of

Drivers = dict[str, StorageDriver]


async def store(driver: StorageDriver, payloads: list[Payload]) -> list[StorageDriverClaim]:
    """Store payloads as the SDK does."""
    return await driver.store(StorageDriverStoreContext(), payloads)


async def retrieve(driver: StorageDriver, claims: list[StorageDriverClaim]) -> list[Payload]:
    """Retrieve payloads as the SDK does."""
    return await driver.retrieve(StorageDriverRetrieveContext(), claims)


async def run(config: Config, servers: Servers) -> Report:
    """Measure everything about S3."""
    report = Report()
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(sdk_s3_driver(servers.s3))
        ours = driver_of(
            converter(
                {"s3": servers.s3.options(max_payload_size="1GiB")},
                storage={"timeout": "10m"},
            )
        )
        drivers: Drivers = {"peer": peer, "ours": ours}
        for driver in drivers.values():  # connections are open, as in a worker that runs
            await retrieve(driver, await store(driver, new_payloads(10, 1_000)))
        await _one_new_payload(config, servers, drivers, report)
        await _large(config, drivers, report)
        await _growth(config, drivers, report)
    return report


async def _one_new_payload(config: Config, servers: Servers, drivers: Drivers, report: Report) -> None:
    requests: dict[str, int] = {}
    for name, driver in drivers.items():
        servers.s3_proxy.counts()
        await store(driver, [new_payload(300_000)])
        requests[name] = sum(servers.s3_proxy.counts().values())
    times = await race_store(drivers, [300_000], config.rounds(15))
    report.lines.append(
        Line(
            "one new payload of 300 KB to S3: requests",
            str(requests["peer"]),
            str(requests["ours"]),
            requests["peer"] / requests["ours"],
            "1",
            requests["ours"] == 1,
        )
    )
    line = faster(f"one new payload of 300 KB to S3, {ROUND_TRIP * 1e3:.0f} ms away", times, 1.3)
    report.lines.append(line)


async def _large(config: Config, drivers: Drivers, report: Report) -> None:
    size = 8_000_000 if config.quick else 40_000_000
    rounds = config.rounds(5)
    into = await race_store(drivers, [size], rounds)
    claims = {name: await store(driver, [new_payload(size)]) for name, driver in drivers.items()}
    out = await race_retrieve(drivers, claims, rounds)
    label = f"a payload of {size // 1_000_000} MB"
    report.lines.append(faster(f"{label} to S3", into, 2, size=size))
    report.lines.append(faster(f"{label} from S3", out, 2, size=size))


async def race_store(drivers: Drivers, sizes: list[int], rounds: int) -> Times:
    def fresh() -> list[Payload]:
        return [new_payload(size) for size in sizes]

    return await race(
        {name: Contestant(partial(store, driver), fresh) for name, driver in drivers.items()}, rounds
    )


async def race_retrieve(drivers: Drivers, claims: dict[str, list[StorageDriverClaim]], rounds: int) -> Times:
    return await race(
        {
            name: Contestant(partial(retrieve, driver), partial(list, claims[name]))
            for name, driver in drivers.items()
        },
        rounds,
    )


async def _growth(config: Config, drivers: Drivers, report: Report) -> None:
    rounds = config.rounds(3)

    async def both_ways(name: str, x: str, cases: dict[int, list[int]]) -> None:
        into: list[dict[str, float]] = []
        out: list[dict[str, float]] = []
        for number, sizes in cases.items():
            few = 1 if sum(sizes) > 20_000_000 or len(sizes) > 500 else rounds
            into.append({"x": number, **await race_store(drivers, sizes, few)})
            claims = {n: await store(d, [new_payload(size) for size in sizes]) for n, d in drivers.items()}
            out.append({"x": number, **await race_retrieve(drivers, claims, few)})
        report.growth.append(Growth(f"to S3: {name}", x, into))
        report.growth.append(Growth(f"from S3: {name}", x, out))

    counts = [1, 10] if config.quick else [1, 10, 100, 1_000]
    await both_ways("payloads of 10 KB in one call", "payloads", {n: [10_000] * n for n in counts})
    sizes = [10_000, 100_000] if config.quick else [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
    await both_ways("one payload of growing size", "bytes", {size: [size] for size in sizes})

    async def at_once(driver: StorageDriver, payloads: list[Payload]) -> None:
        await gather_bounded(lambda one: store(driver, [one]), payloads, len(payloads))

    points: list[dict[str, float]] = []
    for calls in (1, 4) if config.quick else (1, 4, 16, 64):
        times = await race(
            {
                name: Contestant(partial(at_once, driver), partial(new_payloads, calls, 300_000))
                for name, driver in drivers.items()
            },
            rounds,
        )
        points.append({"x": calls, **times})
    report.growth.append(Growth("to S3: calls with 300 KB each at once", "calls at once", points))
