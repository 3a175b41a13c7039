"""What the library's own machinery costs a small payload, and what it adds to a program's start."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from functools import partial

from temporalio.converter import DataConverter

from benchmarks.access import S3Access
from benchmarks.codecs import codec
from benchmarks.data import json_payload
from benchmarks.harness import Config, Contestant, Line, Report, race
from benchmarks.servers import converter

CALLS = 200
CLIENT_LIBRARIES = ("aioboto3", "aiobotocore", "botocore", "redis", "aiohttp")
START = """
import json, sys, time
import temporalio.client
start = time.perf_counter()
from temporal_payloads import PayloadSettings, build_data_converter
build_data_converter(PayloadSettings(codecs=("gzip",)))
taken = time.perf_counter() - start
print(json.dumps([taken, [name for name in sys.argv[1:] if name in sys.modules]]))
"""


async def run(config: Config) -> Report:
    """Measure a small payload's way, and a program's start."""
    return Report(lines=[await _small_payload(config), _start(config)])


async def _small_payload(config: Config) -> Line:
    # The store is never reached: these payloads are below the threshold.
    store = S3Access("http://127.0.0.1:9", "unused", "unused", "us-east-1", "unused").options()
    ours = converter({"s3": store}, codecs=["gzip"], cache={"max_size": "64MiB"})
    bare = dataclasses.replace(DataConverter.default, payload_codec=codec("gzip"))
    value = json_payload(1_000).data.decode()

    async def there_and_back(one: DataConverter, _: object) -> None:
        for _number in range(CALLS):
            await one.decode(await one.encode([value]))

    times = await race(
        {
            "peer": Contestant(partial(there_and_back, bare)),
            "ours": Contestant(partial(there_and_back, ours)),
        },
        config.rounds(25),
        # Microseconds are looked for, and nothing is waited for.
        clock=time.process_time,
    )
    each = {name: seconds / CALLS for name, seconds in times.items()}
    more = each["ours"] - each["peer"]
    best = (times.best["ours"] - times.best["peer"]) / CALLS
    return Line(
        "a payload of 1 KB inline, there and back, beside the bare codec",
        f"{each['peer'] * 1e6:.0f} µs of processor time",
        f"{more * 1e6:+.1f} µs (best rounds {best * 1e6:+.1f} µs)",
        each["peer"] / each["ours"],
        "under 20 µs more",
        more < 20e-6,
    )


def _start(config: Config) -> Line:
    taken: list[float] = []
    imported: list[str] = []
    for _ in range(config.rounds(10) + 1):
        done = subprocess.run(
            [sys.executable, "-c", START, *CLIENT_LIBRARIES], capture_output=True, text=True, check=True
        )
        seconds, imported = json.loads(done.stdout)
        taken.append(seconds)
    median = statistics.median(taken[1:])  # the first one may compile
    libraries = f"; imports {', '.join(imported)}" if imported else ""
    return Line(
        "import and build with gzip, on top of temporalio.client",
        "-",
        f"{median:.2f} s (best {min(taken):.2f} s){libraries}",
        None,
        "under 0.4 s, no client library",
        median < 0.4 and not imported,
    )
