"""Codecs: speed, size, and what the event loop feels, beside `gzip.compress` on the loop."""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from temporal_payloads.plugin import PluginRegistry
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from benchmarks.data import json_payload, order_payload
from benchmarks.harness import Config, Contestant, Growth, Line, Report, StallWatch, faster, race
from benchmarks.peers import SampleGzipCodec

MEBIBYTE = 1024 * 1024


def codec(name: str, **settings: object) -> PayloadCodec:
    """A codec of ours by its name in the settings."""
    plugin = PluginRegistry().codec(name)
    return plugin.create(plugin.settings.model_validate(settings))


async def run(config: Config) -> Report:
    """Measure everything about codecs."""
    report = Report()
    await _speed(config, report)
    await _smallest(config, report)
    await _stall(config, report)
    await _growth(config, report)
    report.tables["levels"] = await _levels(config)
    return report


async def _speed(config: Config, report: Report) -> None:
    sizes = {"0.3 MB": 300_000, "3 MB": 3_000_000, "30 MB": 30_000_000}
    if config.quick:
        sizes = {"0.3 MB": 300_000}
    ours, peer = codec("gzip"), SampleGzipCodec()
    for kind, make in {"JSON": json_payload, "order batch": order_payload}.items():
        for label, size in sizes.items():
            payload = make(size)
            (encoded,) = await peer.encode([payload])
            rounds = config.rounds(max(3, min(30, 12_000_000 // size)))
            for what, batch, wanted in (("encode", payload, 15), ("decode", encoded, 2.5)):
                contestants = {
                    name: Contestant(partial(_each, getattr(one, what), [batch]))
                    for name, one in {"peer": peer, "ours": ours}.items()
                }
                times = await race(contestants, rounds)
                name = f"gzip {what}, {kind}, {label}"
                report.lines.append(faster(name, times, wanted, size=payload.ByteSize()))


async def _each(work: Any, payloads: Sequence[Payload], _: object) -> None:
    await work(payloads)


async def _smallest(config: Config, report: Report) -> None:
    """Is level 9 as small as what people have, and faster."""
    for kind, make in {"JSON": json_payload, "order batch": order_payload}.items():
        payload = make(300_000 if config.quick else 3_000_000)
        contestants = {"peer": SampleGzipCodec(), "ours": codec("gzip", level=9)}
        size = {name: len((await one.encode([payload]))[0].data) for name, one in contestants.items()}
        times = await race(
            {name: Contestant(partial(_each, one.encode, [payload])) for name, one in contestants.items()},
            config.rounds(3),
        )
        larger = size["ours"] / size["peer"]
        report.lines.append(
            Line(
                f"gzip at level = 9, {kind}: size",
                f"{size['peer'] / 1e3:,.0f} kB",
                f"{size['ours'] / 1e3:,.0f} kB",
                1 / larger,
                "at most 2 % larger",
                larger <= 1.02,
            )
        )
        report.lines.append(faster(f"gzip at level = 9, {kind}: time", times, 1, size=payload.ByteSize()))


async def _stall(config: Config, report: Report) -> None:
    payload = json_payload((4 if config.quick else 32) * MEBIBYTE)
    longest: dict[str, float] = {}
    worst: dict[str, float] = {}
    for name, one in {"peer": SampleGzipCodec(), "ours": codec("gzip")}.items():
        stalls = []
        for _ in range(1 if name == "peer" else config.rounds(7)):
            async with StallWatch() as watch:
                await one.decode(await one.encode([payload]))
            stalls.append(watch.longest)
        longest[name] = statistics.median(stalls)
        worst[name] = max(stalls)
    report.lines.append(
        Line(
            f"longest stall of the event loop, {payload.ByteSize() // MEBIBYTE} MB encoded and decoded",
            f"{longest['peer'] * 1e3:,.0f} ms",
            f"{longest['ours'] * 1e3:.1f} ms (worst round {worst['ours'] * 1e3:.1f} ms)",
            longest["peer"] / longest["ours"],
            "under 20 ms",
            longest["ours"] < 0.020,
        )
    )


async def _growth(config: Config, report: Report) -> None:
    ours, peer = codec("gzip"), SampleGzipCodec()
    sizes = [10_000, 100_000] if config.quick else [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
    points: list[dict[str, float]] = []
    for size in sizes:
        payload = json_payload(size)

        async def there_and_back(one: PayloadCodec, _: object, payload: Payload = payload) -> None:
            await one.decode(await one.encode([payload]))

        times = await race(
            {n: Contestant(partial(there_and_back, c)) for n, c in {"peer": peer, "ours": ours}.items()},
            config.rounds(max(1, min(5, 10_000_000 // size))),
            warm_up=size < 10_000_000,
        )
        points.append({"x": size, **times})
    report.growth.append(Growth("gzip there and back: JSON of growing size", "bytes", points))

    counts = []
    for count in (1, 10) if config.quick else (1, 10, 100, 1_000):
        batch = [json_payload(10_000)] * count

        async def batch_there_and_back(one: PayloadCodec, _: object, batch: list[Payload] = batch) -> None:
            await one.decode(await one.encode(batch))

        times = await race(
            {
                n: Contestant(partial(batch_there_and_back, c))
                for n, c in {"peer": peer, "ours": ours}.items()
            },
            config.rounds(5),
        )
        counts.append({"x": float(count), **times})
    report.growth.append(Growth("gzip there and back: payloads of 10 KB in one call", "payloads", counts))


async def _levels(config: Config) -> list[dict[str, Any]]:
    """What each level of each codec costs and saves."""
    levels: dict[str, Sequence[int]] = {
        "gzip": range(1, 10),
        "zlib": range(1, 10),
        "zstd": (1, 2, 3, 5, 7, 10, 13, 16, 19),
    }
    if config.quick:
        levels = {name: some[:5:4] for name, some in levels.items()}
    rows: list[dict[str, Any]] = []
    for kind, make in {"JSON": json_payload, "order batch": order_payload}.items():
        payload = make(300_000 if config.quick else 3_000_000)
        data = payload.SerializeToString()
        for name, some in levels.items():
            rows += [
                {
                    "codec": name,
                    "level": level,
                    "payload": kind,
                    **await _cost(codec(name, level=level), payload),
                }
                for level in some
            ]
        for level in (1, 6, 9):
            start = time.perf_counter()
            packed = gzip.compress(data, level)
            middle = time.perf_counter()
            gzip.decompress(packed)
            end = time.perf_counter()
            rows.append(
                {
                    "codec": "gzip.compress",
                    "level": level,
                    "payload": kind,
                    "share": len(packed) / len(data),
                    "encode": len(data) / (middle - start),
                    "decode": len(data) / (end - middle),
                }
            )
    return rows


async def _cost(one: PayloadCodec, payload: Payload) -> dict[str, float]:
    (encoded,) = await one.encode([payload])
    times = await race(
        {
            "encode": Contestant(partial(_each, one.encode, [payload])),
            "decode": Contestant(partial(_each, one.decode, [encoded])),
        },
        2,
        warm_up=False,
    )
    size = payload.ByteSize()
    return {
        "share": encoded.ByteSize() / size,
        "encode": size / times["encode"],
        "decode": size / times["decode"],
    }
