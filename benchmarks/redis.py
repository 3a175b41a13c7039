"""Redis, close by: the driver beside the sample's way, one connection for each payload of a call."""

from __future__ import annotations

from functools import partial

import redis.asyncio
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverClaim

from benchmarks.data import new_payloads
from benchmarks.harness import Config, Contestant, Growth, Line, Report, Times, duration, race
from benchmarks.peers import SampleRedisDriver
from benchmarks.s3 import retrieve, store
from benchmarks.servers import Servers, converter, driver_of

SIZE = 1_000


async def run(config: Config, servers: Servers) -> Report:
    """Measure everything about Redis."""
    report = Report(lines=[await _first_call(config, servers.redis_url)])
    ours = driver_of(converter({"redis": {"url": servers.redis_url}}))
    await store(ours, new_payloads(1, SIZE))
    client = redis.asyncio.Redis.from_url(servers.redis_url)
    try:
        peer = SampleRedisDriver(client)
        await _hundred(config, {"peer": peer, "ours": ours}, report)
        report.lines.append(await _two_thousand(peer, ours))
    finally:
        await client.aclose()
    return report


async def _first_call(config: Config, url: str) -> Line:
    """The first hundred payloads of a process: the sample's way opens a hundred connections for them."""
    clients: list[redis.asyncio.Redis] = []
    payloads = iter(lambda: new_payloads(100, SIZE), None)

    def peer() -> StorageDriver:
        clients.append(redis.asyncio.Redis.from_url(url))
        return SampleRedisDriver(clients[-1])

    async def first(driver: StorageDriver) -> None:
        await store(driver, next(payloads))

    try:
        times = await race(
            {
                "peer": Contestant(first, peer),
                "ours": Contestant(first, lambda: driver_of(converter({"redis": {"url": url}}))),
            },
            config.rounds(10),
        )
    finally:
        for client in clients:
            await client.aclose()
    return _rate("100 payloads of 1 KB to Redis, first call of a process", times, 100)


async def _hundred(config: Config, drivers: dict[str, StorageDriver], report: Report) -> None:
    into: list[dict[str, float]] = []
    out: list[dict[str, float]] = []
    for count in (1, 10, 100, 1_000):
        racers = drivers if count <= 100 else {"ours": drivers["ours"]}  # the sample's way fails beyond
        stored = await race(
            {
                name: Contestant(partial(store, driver), partial(new_payloads, count, SIZE))
                for name, driver in racers.items()
            },
            config.rounds(25),
        )
        claims = {name: await store(driver, new_payloads(count, SIZE)) for name, driver in racers.items()}
        retrieved = await race(
            {
                name: Contestant(partial(retrieve, driver), partial(list, claims[name]))
                for name, driver in racers.items()
            },
            config.rounds(25),
        )
        into.append({"x": count, **stored})
        out.append({"x": count, **retrieved})
        if count == 100:
            report.lines.append(_rate(f"{count} payloads of 1 KB to Redis, connections open", stored, count))
            report.lines.append(
                _rate(f"{count} payloads of 1 KB from Redis, connections open", retrieved, count)
            )
    report.growth.append(Growth("to Redis: payloads of 1 KB in one call", "payloads", into))
    report.growth.append(Growth("from Redis: payloads of 1 KB in one call", "payloads", out))


def _rate(what: str, times: Times, count: int) -> Line:
    ratio = times["peer"] / times["ours"]
    peer, ours = (f"{count / times[name]:,.0f}/s" for name in ("peer", "ours"))
    return Line(what, peer, ours, ratio, "5 times", ratio >= 5, times.best_ratio())


async def _two_thousand(peer: StorageDriver, ours: StorageDriver) -> Line:
    async def there_and_back(driver: StorageDriver, payloads: list[Payload]) -> None:
        claims: list[StorageDriverClaim] = await store(driver, payloads)
        assert await retrieve(driver, claims) == payloads

    try:
        await there_and_back(peer, new_payloads(2_000, SIZE))
        told = "works"
    except Exception as error:  # noqa: BLE001  # whatever the peer fails with is the result
        told = f"fails: {error}"
    times = await race(
        {"ours": Contestant(partial(there_and_back, ours), partial(new_payloads, 2_000, SIZE))}, 3
    )
    return Line(
        "2,000 payloads of 1 KB to Redis and back", told, duration(times["ours"]), None, "works", True
    )
