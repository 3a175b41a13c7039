"""A worker in a process of its own, as if deployed with another release of the SDK.

Arguments: the server's address, the task queue, and `encoded` or `clear`, the form in which this process
writes references. The settings come as a line of JSON on standard input; the worker runs until that ends.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support.workers import running_worker
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio.client import Client
from temporalio.converter import _extstore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer


@asynccontextmanager
async def worker_process(
    server: TemporalServer, task_queue: str, settings_json: str, *, encoded: bool
) -> AsyncIterator[None]:
    """Run a worker in a process of its own."""
    form = "encoded" if encoded else "clear"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.worker_process", server.address, task_queue, form),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(settings_json.encode() + b"\n")
        assert await process.stdout.readline() == b"running\n"
        yield
    finally:
        # A worker that ends by itself hands its workflows to the next one at once.
        process.stdin.close()
        async with asyncio.timeout(90):
            await process.communicate()


async def main(address: str, task_queue: str, form: str) -> None:
    """Run until standard input ends."""
    _extstore._ENCODE_STORAGE_REFERENCES = form == "encoded"
    plugin = PayloadsPlugin(PayloadSettings.model_validate_json(sys.stdin.readline()))
    client = await Client.connect(address, plugins=[plugin])
    async with running_worker(client, task_queue):
        sys.stdout.write("running\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
