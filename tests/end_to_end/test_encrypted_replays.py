"""What was stored encrypted is not stored again when a workflow is replayed or an activity is tried again.

Each encryption takes a new nonce, so that equal payloads become different bytes, which a store cannot know to
be the same. The codec gives the very same payload the nonce that it had before.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from support.activities import echo
from support.events import StorageEvents
from support.keys import encryption, put_keys_into_environment
from support.values import large
from support.worker_process import worker_process
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import AT_ONCE, QUICK, Mailbox
from temporal_payloads import build_data_converter
from temporalio import activity, workflow

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.stores import S3Store
    from temporal_payloads import PayloadSettings

STEPS = 3
LARGE = 60_000
"""Characters: about 34 kB when they are compressed, which is well above what the codec remembers."""
cache_sizes = itertools.count(30_000_000)


@activity.defn
async def beat_until_third_attempt(value: str) -> str:
    """Heartbeat the value and fail, twice; then return it."""
    activity.heartbeat(value)
    if activity.info().attempt < 3:
        raise RuntimeError("this attempt ends here")
    return value


@workflow.defn(sandboxed=False)
class InSteps:
    """One activity after the other, each with a large argument of its own."""

    @workflow.run
    async def run(self, tag: str) -> int:
        """Return how much came back."""
        size = 0
        for number in range(STEPS):
            value = large(f"{tag}-{number}", LARGE)
            size += len(await workflow.execute_activity(echo, value, start_to_close_timeout=QUICK))
        return size


@workflow.defn(sandboxed=False)
class Beats:
    """An activity that is tried three times."""

    @workflow.run
    async def run(self, tag: str) -> int:
        """Return how much came back."""
        value = large(tag, LARGE)
        return len(
            await workflow.execute_activity(
                beat_until_third_attempt, value, start_to_close_timeout=QUICK, retry_policy=AT_ONCE
            )
        )


def encrypted(store: S3Store, **settings: Any) -> PayloadSettings:
    return store.settings(
        codecs=["gzip", "encryption"],
        codec={"encryption": encryption("key-1", **settings)},
        cache={"max_size": next(cache_sizes)},
    )


def sent(events: StorageEvents) -> int:
    """Return how many payloads went to the store."""
    return sum(event.payloads - event.dedupe_hits for event in events.seen if event.operation == "store")


def objects_of(store: S3Store, workflow_id: str) -> int:
    pages = store.admin.get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    return sum(f"/wi/{workflow_id}/" in found["Key"] for page in pages for found in page.get("Contents", ()))


async def run_without_cached_workflows(
    server: TemporalServer, settings: PayloadSettings, events: StorageEvents
) -> str:
    """Run the workflow; each of its tasks replays it from the start. Return its id."""
    client = await connect(server, build_data_converter(settings, registry=events.registry))
    workflow_id = new_id("steps")
    async with running_worker(client, workflows=[InSteps], max_cached_workflows=0) as task_queue:
        size = await client.execute_workflow(
            InSteps.run, workflow_id, id=workflow_id, task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
    assert size == STEPS * LARGE
    return workflow_id


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    variables: dict[str, str] = {}
    put_keys_into_environment(variables)
    for name, key in variables.items():
        monkeypatch.setenv(name, key)


async def test_a_replay_stores_nothing_again_encrypted_or_not(
    temporal_server: TemporalServer, s3_store: S3Store
) -> None:
    in_clear, in_secret = StorageEvents(), StorageEvents()
    plain = await run_without_cached_workflows(
        temporal_server, s3_store.settings(cache={"max_size": next(cache_sizes)}), in_clear
    )
    secret = await run_without_cached_workflows(temporal_server, encrypted(s3_store), in_secret)
    # Each step's argument, which comes back from the activity, was encoded again by each replay after it.
    assert in_secret.payloads("store") == in_clear.payloads("store") > 2 * STEPS
    assert sent(in_secret) == sent(in_clear) == STEPS
    assert objects_of(s3_store, secret) == objects_of(s3_store, plain) == STEPS


async def test_an_activity_that_is_tried_again_stores_nothing_again(
    temporal_server: TemporalServer, s3_store: S3Store, storage_events: StorageEvents
) -> None:
    client = await connect(
        temporal_server, build_data_converter(encrypted(s3_store), registry=storage_events.registry)
    )
    workflow_id = new_id("beats")
    async with running_worker(client, workflows=[Beats], activities=[beat_until_third_attempt]) as task_queue:
        await client.execute_workflow(
            Beats.run, workflow_id, id=workflow_id, task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
    # The argument, two or three heartbeats (the last one may be overtaken by the result), and the result.
    assert storage_events.payloads("store") >= 4
    assert objects_of(s3_store, workflow_id) == 1


@pytest.mark.parametrize("deterministic", [True, False])
async def test_a_replay_in_another_process_stores_nothing_again_if_encryption_is_deterministic(
    temporal_server: TemporalServer, s3_store: S3Store, deterministic: bool
) -> None:
    settings = encrypted(s3_store, deterministic=deterministic)
    client = await connect(temporal_server, build_data_converter(settings))
    task_queue, as_json = new_id("queue"), settings.model_dump_json(exclude_unset=True)
    handle = await client.start_workflow(
        Mailbox.run, id=new_id("mailbox"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    async with worker_process(temporal_server, task_queue, as_json, encoded=False):
        # The workflow hands the value to an activity.
        await handle.execute_update(Mailbox.swap_slowly, large("update", LARGE))
    before = objects_of(s3_store, handle.id)
    assert before > 0
    async with worker_process(temporal_server, task_queue, as_json, encoded=False):
        await handle.signal(Mailbox.close)
        assert await handle.result() == large("update", LARGE)
    assert (objects_of(s3_store, handle.id) == before) == deterministic
