"""Applications on the plain SDK and ours complete the same workflow on GCS, both ways round."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from interop.peers import peer_converter
from support.history import claim_of, event_payloads
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Parent
from temporal_payloads import build_data_converter

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.stores import GCSStore


@pytest.mark.parametrize("peer_works", [True, False], ids=["ours starts", "theirs starts"])
async def test_either_side_reads_what_the_other_has_stored(
    temporal_server: TemporalServer, gcs_store: GCSStore, peer_works: bool
) -> None:
    value = large("order")
    ours = build_data_converter(gcs_store.settings(cache={"max_size": 0}))
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(peer_converter(gcs_store))
        starter, worker = (ours, theirs) if peer_works else (theirs, ours)
        task_queue = await stack.enter_async_context(running_worker(await connect(temporal_server, worker)))
        client = await connect(temporal_server, starter)
        handle = await client.start_workflow(
            Parent.run, value, id=new_id("größe/1"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.result() == value
        payloads = event_payloads(await handle.fetch_history())
    for place in ("workflow_execution_started.input", "workflow_execution_completed.result"):
        claim = claim_of(payloads[place][0])
        assert claim.keys() == {"bucket", "object_name", "hash_algorithm", "hash_value"}
        assert "/wi/größe%2F1-" in claim["object_name"]
