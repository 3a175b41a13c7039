"""Run the benchmarks: `python -m benchmarks [--quick] [--only TOPIC ...]`.

Prints the table, and writes the results and figures that the documentation shows. Needs the servers of
`examples/local_servers`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import temporalio.service

from benchmarks import (
    azure_blob,
    breakdown,
    chain,
    codec_server,
    codecs,
    collection,
    converter,
    disk,
    encryption,
    exports,
    filesystem,
    gcs,
    memory,
    moving,
    observability,
    postgres,
    redis,
    s3,
    workflows,
)
from benchmarks.harness import Config, Line, Report
from benchmarks.page import RESULTS, write_pages
from benchmarks.servers import ROUND_TRIP, Servers, start_servers
from benchmarks.whole import matrix, replays

Topic = Callable[[Config, Servers], Awaitable[Report]]


async def _converter(config: Config, _: Servers) -> Report:
    return await converter.run(config)


async def _codecs(config: Config, _: Servers) -> Report:
    return await codecs.run(config)


async def _chain(config: Config, _: Servers) -> Report:
    return await chain.run(config)


async def _memory(_: Config, servers: Servers) -> Report:
    return await asyncio.to_thread(memory.run, servers)


TOPICS: dict[str, Topic] = {
    "whole": matrix.run,
    "replays": replays.run,
    "converter": _converter,
    "codecs": _codecs,
    "encryption": encryption.run,
    "chain": _chain,
    "s3": s3.run,
    "memory": _memory,
    "redis": redis.run,
    "azure_blob": azure_blob.run,
    "filesystem": filesystem.run,
    "gcs": gcs.run,
    "postgres": postgres.run,
    "moving": moving.run,
    "workflows": workflows.run,
    "codec_server": codec_server.run,
    "exports": exports.run,
    "disk": disk.run,
    "collection": collection.run,
    "breakdown": breakdown.run,
    # The last one: the providers that it sets are the process's, and there are none for the others.
    "observability": observability.run,
}


NOT_QUICK = ("memory", "collection")
"""Topics that start a process for each figure: they are left out of a quick run unless they are named."""


def main() -> None:
    """Measure, tell, and keep the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="once each, smaller, no memory; in one or two minutes"
    )
    parser.add_argument("--only", nargs="+", choices=TOPICS, help="these topics alone; nothing is written")
    parser.add_argument(
        "--update", action="store_true", help="with --only: put these topics' lines among the published ones"
    )
    parser.add_argument("--output", type=Path, help="where results go; benchmarks/results for a full run")
    arguments = parser.parse_args()
    if arguments.update and not arguments.only:
        parser.error("--update goes with --only")
    start = time.monotonic()
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    left_out = NOT_QUICK if arguments.quick else ()
    topics = arguments.only or [topic for topic in TOPICS if topic not in left_out]
    report = asyncio.run(_measure(Config(arguments.quick), topics))
    seconds = time.monotonic() - start
    _print(report.lines, seconds)
    output = arguments.output or (None if arguments.quick or arguments.only else RESULTS)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        _write(_results(report, seconds), output)
    elif arguments.update:
        _write(_updated(report, topics), RESULTS)


async def _measure(config: Config, topics: list[str]) -> Report:
    report = Report()
    with tempfile.TemporaryDirectory() as directory, start_servers(Path(directory)) as servers:
        for topic in topics:
            start = time.monotonic()
            print(f"{topic} ...", end=" ", flush=True)
            try:
                report.add(await TOPICS[topic](config, servers))
            except Exception:  # noqa: BLE001  # the other topics took half an hour
                print("FAILED", flush=True)
                traceback.print_exc()
                continue
            print(f"{time.monotonic() - start:.0f} s", flush=True)
    return report


def _print(lines: list[Line], seconds: float) -> None:
    rows = [("what", "peer", "ours", "ratio", "to reach", "")]
    for line in lines:
        ratio = f"{line.ratio:.2f}" if line.ratio else "-"
        rows.append((line.what, line.peer, line.ours, ratio, line.wanted, "yes" if line.reached else "NO"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"{seconds:.0f} s; peer = 1")


def _results(report: Report, seconds: float) -> dict[str, Any]:
    return {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "temporalio": temporalio.service.__version__,
            "round_trip_ms": ROUND_TRIP * 1000,
        },
        "seconds": round(seconds),
        "later": [],
        **asdict(report),
    }


def _updated(report: Report, topics: list[str]) -> dict[str, Any]:
    """Return the published results with what was measured now in its place."""
    results: dict[str, Any] = json.loads((RESULTS / "results.json").read_text())
    for name, key in (("lines", "what"), ("growth", "name")):
        known = {one[key]: one for one in results[name]} | {one[key]: one for one in asdict(report)[name]}
        results[name] = list(known.values())
    results["tables"] |= report.tables
    results["later"] = [topic for topic in TOPICS if topic in {*results["later"], *topics}]
    return results


def _write(results: dict[str, Any], output: Path) -> None:
    from benchmarks.plots import draw  # noqa: PLC0415  # the only part that needs matplotlib

    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, output)
    if output == RESULTS:
        write_pages(results)


if __name__ == "__main__":
    main()
