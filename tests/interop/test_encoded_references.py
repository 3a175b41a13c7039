"""Later releases of the SDK let references go through the codecs: with and without, all read each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.json_format import MessageToDict, ParseDict
from interop.peers import peer_converter
from support.history import REFERENCE_MARKER, driver_name, event_payloads, is_reference
from support.values import THRESHOLD, large
from support.worker_process import worker_process
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Mailbox
from temporal_payloads import build_data_converter
from temporal_payloads.codec_server import create_app
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, _extstore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from local_servers import TemporalServer
    from support.stores import Store

    Post = Callable[[str, Payload], Awaitable[Payload]]

NO_CACHE = {"max_size": 0}


@pytest.fixture(params=[["gzip"], []], ids=["gzip", "no codec"])
def codecs(request: pytest.FixtureRequest) -> list[str]:
    """With a codec and without."""
    assert isinstance(request.param, list)
    return request.param


@pytest.fixture(params=[True, False], ids=["encoded", "clear"])
def encoded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Which form this process writes."""
    monkeypatch.setattr(_extstore, "_ENCODE_STORAGE_REFERENCES", request.param)
    return bool(request.param)


def write_the_other_form(monkeypatch: pytest.MonkeyPatch, encoded: bool) -> None:
    monkeypatch.setattr(_extstore, "_ENCODE_STORAGE_REFERENCES", not encoded)


@pytest.fixture
def converter(store: Store, codecs: list[str]) -> DataConverter:
    """A converter that asks the store each time."""
    return build_data_converter(store.settings(codecs=codecs, cache=NO_CACHE))


def plain(value: str) -> Payload:
    return DataConverter.default.payload_converter.to_payload(value)


async def test_a_reference_of_either_form_is_read_by_a_converter_that_writes_the_other(
    converter: DataConverter, codecs: list[str], encoded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    [reference] = await converter.encode([large("order")])
    assert (REFERENCE_MARKER in reference.metadata) == encoded
    assert (reference.metadata["encoding"] == b"binary/gzip") == bool(encoded and codecs)
    write_the_other_form(monkeypatch, encoded)
    assert await converter.decode([reference]) == [large("order")]


async def test_a_reference_of_either_form_is_read_by_peers_and_theirs_by_us(
    store: Store, encoded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = build_data_converter(store.settings(cache=NO_CACHE))
    async with peer_converter(store) as theirs:
        [our_reference] = await ours.encode([large("ours")])
        [their_reference] = await theirs.encode([large("theirs")])
        write_the_other_form(monkeypatch, encoded)
        assert await theirs.decode([our_reference]) == [large("ours")]
        assert await ours.decode([their_reference]) == [large("theirs")]


class TestCodecServer:
    """The codec server serves both forms, and writes the one that its SDK would."""

    @pytest.fixture
    async def post(self, store: Store, codecs: list[str]) -> AsyncIterator[Post]:
        """Send one payload, get one back."""
        settings = store.settings(codecs=codecs, cache=NO_CACHE)
        # What a converter stores without a workflow around it has a key without a namespace.
        server = settings.codec_server.model_copy(update={"keys_without_namespace": True})
        settings = settings.model_copy(update={"codec_server": server})
        async with TestClient(TestServer(create_app(settings))) as client:

            async def send(operation: str, payload: Payload) -> Payload:
                body = {"payloads": [MessageToDict(payload)]}
                async with client.post(
                    f"/{operation}", json=body, headers={"X-Namespace": "default"}
                ) as answer:
                    assert answer.status == 200, await answer.text()
                    [got] = json.loads(await answer.read())["payloads"]
                return ParseDict(got, Payload())

            yield send

    async def test_a_reference_of_either_form_is_decoded(
        self, converter: DataConverter, post: Post, encoded: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [reference] = await converter.encode([large("order")])
        write_the_other_form(monkeypatch, encoded)
        assert await post("decode", reference) == plain(large("order"))
        assert await post("download", reference) == plain(large("order"))

    async def test_the_web_ui_is_given_the_reference_in_the_clear_to_download_it_by(
        self, converter: DataConverter, post: Post, encoded: bool
    ) -> None:
        [reference] = await converter.encode([large("order")])
        shown = await post("decode?preserveStorageRefs=true", reference)
        assert shown.metadata["encoding"] == b"json/protobuf"
        assert shown.external_payloads == reference.external_payloads
        assert await post("download?preserveStorageRefs=true", shown) == plain(large("order"))

    async def test_what_it_encodes_is_what_the_sdk_would_write_and_is_read_either_way(
        self,
        converter: DataConverter,
        codecs: list[str],
        post: Post,
        encoded: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        reference = await post("encode", plain(large("order")))
        [as_the_sdk_does] = await converter.encode([large("order")])
        assert is_reference(reference)
        assert set(reference.metadata) == set(as_the_sdk_does.metadata)
        assert reference.metadata["encoding"] == as_the_sdk_does.metadata["encoding"]
        assert reference.external_payloads == as_the_sdk_does.external_payloads
        write_the_other_form(monkeypatch, encoded)
        assert await converter.decode([reference]) == [large("order")]


async def test_a_workflow_goes_on_between_workers_of_which_one_writes_encoded_references(
    temporal_server: TemporalServer, store: Store, codecs: list[str], encoded: bool
) -> None:
    """A process of the other form begins it; this one replays that and ends it, and the client reads both."""
    settings = {
        "codecs": codecs,
        "storage": {"threshold": THRESHOLD, "cache": NO_CACHE, "drivers": {store.type: store.table()}},
    }
    client = await connect(
        temporal_server, build_data_converter(store.settings(codecs=codecs, cache=NO_CACHE))
    )
    task_queue = new_id("queue")
    handle = await client.start_workflow(
        Mailbox.run, large("first"), id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    async with worker_process(temporal_server, task_queue, json.dumps(settings), encoded=not encoded):
        assert await handle.execute_update(Mailbox.swap_slowly, large("second")) == large("second")
    async with running_worker(client, task_queue):
        assert await handle.execute_update(Mailbox.swap_slowly, large("third")) == large("third")
        await handle.signal(Mailbox.close)
        assert await handle.result() == large("third")
    references = [
        payload
        for payloads in event_payloads(await handle.fetch_history()).values()
        for payload in payloads
        if is_reference(payload)
    ]
    assert {REFERENCE_MARKER in reference.metadata for reference in references} == {True, False}
    assert {driver_name(reference) for reference in references} == {store.driver_name}
