"""Payloads that are moved to S3, a round trip of 20 ms away, from a Redis close by: read before and after."""

from __future__ import annotations

import time
from functools import partial

from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.migration.migration import Migration
from temporal_payloads._operate.migration.move import move_between
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

from benchmarks.data import new_payloads
from benchmarks.harness import Config, Contestant, Line, Report, Times, duration, race
from benchmarks.s3 import retrieve
from benchmarks.servers import Servers

SIZE = 10_000
TARGET = StorageDriverWorkflowInfo(namespace="orders", id="w", run_id="r", type="Order")


async def run(config: Config, servers: Servers) -> Report:
    """Measure what a moved payload costs until it is copied, and after, and how fast it is copied."""
    report = Report()
    redis = {"url": servers.redis_url, "key_prefix": "moving"}
    s3 = servers.s3.options()

    def settings(**old: object) -> PayloadSettings:
        drivers = {"redis": {**redis, **old}, "s3": s3}
        storage = {"driver": "s3", "drivers": drivers, "cache": {"max_size": 0}}
        state = {"state": str(servers.directory / "moving")}
        return PayloadSettings.model_validate({"storage": storage, "gc": state})

    before = build(settings(retrieve_only=True)).drivers["redis"]
    moved = build(settings(moved_to="s3"))
    context = StorageDriverStoreContext(target=TARGET)
    claims = {count: await before.store(context, new_payloads(count, SIZE)) for count in (1, 100)}

    async def measure() -> dict[int, Times]:
        drivers = {"peer": before, "ours": moved.drivers["redis"]}
        return {
            count: await race(
                {
                    name: Contestant(partial(retrieve, driver), partial(list, claims[count]))
                    for name, driver in drivers.items()
                },
                config.rounds(15),
            )
            for count in claims
        }

    not_yet = await measure()
    start = time.perf_counter()
    async with stores_open(moved) as stores:
        move = move_between(moved, "redis", "s3", copies=True)
        copied = await Migration(moved, stores, move, {}, listed=["orders"]).copy(everything=True)
    rate = copied.payloads / (time.perf_counter() - start)
    after = await measure()
    for count in claims:
        what = f"{count} payload{'s' if count > 1 else ''} of 10 KB, moved from Redis to S3"
        for state, times in (("not copied yet", not_yet[count]), ("copied", after[count])):
            report.lines.append(_told(f"{what}, {state}", times))
    report.lines.append(
        Line(
            "payloads of 10 KB copied from Redis to S3, and verified", "-", f"{rate:,.0f}/s", None, "-", True
        )
    )
    return report


def _told(what: str, times: Times) -> Line:
    """The peer is Redis before anything is moved; nothing is to be reached."""
    return Line(what, duration(times["peer"]), duration(times["ours"]), None, "-", reached=True)
