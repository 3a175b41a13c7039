"""One converter in several event loops, and what is left open afterwards: nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from support.proxy import TcpProxy
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Echo
from temporal_payloads import build_data_converter, open_data_converter

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import Store
    from temporalio.converter import DataConverter

NO_CACHE = {"max_size": 0}
SCRIPT = """
import asyncio, sys
from temporal_payloads import PayloadSettings, build_data_converter

converter = build_data_converter(PayloadSettings.model_validate_json(sys.stdin.read()))

async def main() -> None:
    payloads = await converter.encode(["=" * 6000])
    assert await converter.decode(payloads) == ["=" * 6000]

asyncio.run(main())
asyncio.run(main())
"""


async def run_echo(server: TemporalServer, converter: DataConverter, value: str) -> str:
    """Run a workflow with a client and a worker of this event loop."""
    client = await connect(server, converter)
    async with running_worker(client) as task_queue:
        return await client.execute_workflow(
            Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )


async def test_one_converter_serves_two_event_loops_in_two_threads(
    temporal_server: TemporalServer, store: Store
) -> None:
    converter = build_data_converter(store.settings(cache=NO_CACHE))
    async with asyncio.timeout(60):
        first, second = await asyncio.gather(
            asyncio.to_thread(lambda: asyncio.run(run_echo(temporal_server, converter, large("first")))),
            asyncio.to_thread(lambda: asyncio.run(run_echo(temporal_server, converter, large("second")))),
        )
    assert (first, second) == (large("first"), large("second"))


def test_one_converter_serves_two_consecutive_runs(temporal_server: TemporalServer, store: Store) -> None:
    converter = build_data_converter(store.settings(cache=NO_CACHE))
    for value in (large("first"), large("second")):
        assert asyncio.run(run_echo(temporal_server, converter, value)) == value


async def test_no_connection_to_the_store_outlives_its_event_loop(store: Store) -> None:
    async with TcpProxy(*store.address) as proxy:
        converter = build_data_converter(store.through(proxy.port).settings(cache=NO_CACHE))

        async def round_trip() -> None:
            payloads = await converter.encode([large("order")])
            assert await converter.decode(payloads) == [large("order")]

        await asyncio.to_thread(lambda: asyncio.run(round_trip()))
        assert proxy.traffic
        await proxy.idle()


async def test_no_connection_to_the_store_outlives_an_opened_converter(store: Store) -> None:
    async with TcpProxy(*store.address) as proxy:
        settings = store.through(proxy.port).settings(cache=NO_CACHE)
        async with open_data_converter(settings) as converter:
            assert proxy.connections
            payloads = await converter.encode([large("order")])
            assert await converter.decode(payloads) == [large("order")]
        await proxy.idle()


async def test_a_converter_that_is_dropped_in_a_running_loop_leaves_its_driver_usable_until_it_ends(
    store: Store, storage_events: StorageEvents
) -> None:
    async def round_trip() -> None:
        converter = build_data_converter(store.settings(cache=NO_CACHE), registry=storage_events.registry)
        payloads = await converter.encode([large("order")])
        assert await converter.decode(payloads) == [large("order")]

    async def main() -> None:
        await round_trip()
        gc.collect()  # what the loop does not hold is gone now, and would warn

    await asyncio.to_thread(lambda: asyncio.run(main()))
    assert storage_events.payloads("retrieve") == 1


async def test_a_process_ends_in_silence_with_every_warning_shown(store: Store) -> None:
    settings = {
        "codecs": ["gzip"],
        "storage": {"threshold": 0, "cache": NO_CACHE, "drivers": {store.type: store.table()}},
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", SCRIPT],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
