"""Settings change while workflows run: what was written before stays readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.assertions import assert_stands_for
from support.history import claim_of, driver_name, event_payloads, is_reference
from support.values import THRESHOLD, large, small
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Echo, Mailbox
from temporal_payloads import PayloadSettings, build_data_converter

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import TemporalServer
    from support.stores import RedisStore, S3Store, Store

NO_CACHE = {"max_size": 0}
"""So that a value comes from the store, and not from what this process remembers of it."""


def moved_settings(s3_store: S3Store, redis_store: RedisStore, *, new: str) -> PayloadSettings:
    """Redis under the key `old`, retrieve_only once S3 is new."""
    drivers: dict[str, Any] = {"old": {"type": "redis", "driver_name": "redis"} | redis_store.table()}
    if new == "s3":
        drivers["old"]["retrieve_only"] = True
        drivers["s3"] = s3_store.table()
    return PayloadSettings.model_validate(
        {
            "codecs": ["gzip"],
            "storage": {"driver": new, "drivers": drivers, "threshold": THRESHOLD, "cache": NO_CACHE},
        }
    )


async def test_a_workflow_that_was_started_with_one_store_finishes_with_another(
    temporal_server: TemporalServer, s3_store: S3Store, redis_store: RedisStore
) -> None:
    first, last = large("first"), large("last")
    task_queue = new_id("queue")
    before = await connect(
        temporal_server, build_data_converter(moved_settings(s3_store, redis_store, new="old"))
    )
    async with running_worker(before, task_queue):
        handle = await before.start_workflow(
            Mailbox.run, first, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.execute_update(Mailbox.swap_slowly, first) == first

    after = await connect(
        temporal_server, build_data_converter(moved_settings(s3_store, redis_store, new="s3"))
    )
    async with running_worker(after, task_queue):
        handle = after.get_workflow_handle_for(Mailbox.run, handle.id)
        assert await handle.execute_update(Mailbox.swap, last) == first
        await handle.signal(Mailbox.close)
        assert await handle.result() == last

    payloads = event_payloads(await handle.fetch_history())
    drivers = {
        place: [driver_name(payload) for payload in found if is_reference(payload)]
        for place, found in payloads.items()
    }
    assert drivers["workflow_execution_started.input"] == ["redis"]
    assert drivers["activity_task_completed.result"] == ["redis"]
    assert drivers["workflow_execution_update_completed.outcome.success"] == ["redis", "aws.s3driver"]
    assert drivers["workflow_execution_completed.result"] == ["aws.s3driver"]


async def test_references_under_an_earlier_driver_name_are_read_through_an_alias(
    temporal_server: TemporalServer, store: Store
) -> None:
    value = large("order")
    earlier = await connect(
        temporal_server, build_data_converter(store.settings(driver={"driver_name": "archive-2025"}))
    )
    task_queue = new_id("queue")
    handle = await earlier.start_workflow(
        Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    now = await connect(
        temporal_server,
        build_data_converter(store.settings(driver={"read_aliases": ["archive-2025"]}, cache=NO_CACHE)),
    )
    async with running_worker(now, task_queue):
        handle = now.get_workflow_handle_for(Echo.run, handle.id)
        assert await handle.result() == value
    payloads = event_payloads(await handle.fetch_history())
    assert driver_name(payloads["workflow_execution_started.input"][0]) == "archive-2025"
    assert_stands_for(payloads["workflow_execution_completed.result"][0], value, store)


async def test_a_profile_chooses_where_payloads_go(
    temporal_server: TemporalServer,
    redis_store: RedisStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "temporal-payloads.toml"
    file.write_text(
        f"""
        codecs = ["gzip"]
        [storage]
        threshold = {THRESHOLD}
        [storage.drivers.redis]
        url = "{redis_store.server.url}"
        [profile.eu.storage.drivers.redis]
        key_prefix = "eu"
        """
    )
    monkeypatch.chdir(tmp_path)
    claims = {}
    for profile in ("", "eu"):
        monkeypatch.setenv("TEMPORAL_PAYLOADS_PROFILE", profile)
        client = await connect(temporal_server, build_data_converter())
        async with running_worker(client) as task_queue:
            handle = await client.start_workflow(
                Echo.run, large("order"), id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
            )
            assert await handle.result() == large("order")
        payloads = event_payloads(await handle.fetch_history())
        claims[profile] = claim_of(payloads["workflow_execution_completed.result"][0])["key"]
    assert claims[""].startswith("temporalio:payloads:v0:")
    assert claims["eu"].startswith("eu:v0:")


@pytest.mark.parametrize("value", ["", "x", small("order"), large("order")], ids=len)
async def test_a_threshold_of_zero_leaves_nothing_in_the_history(
    temporal_server: TemporalServer, store: Store, value: str
) -> None:
    client = await connect(temporal_server, build_data_converter(store.settings(threshold=0)))
    async with running_worker(client) as task_queue:
        handle = await client.start_workflow(
            Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.result() == value
    payloads = event_payloads(await handle.fetch_history())
    assert len(payloads) == 4
    for place, found in payloads.items():
        assert all(is_reference(payload) for payload in found), place
