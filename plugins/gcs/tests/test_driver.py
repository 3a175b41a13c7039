"""The driver as core uses it, on a real server and beside the SDK's own."""

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gcloud.aio.storage import Storage
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
)
from temporal_payloads_gcs._http import Http
from temporalio.api.common.v1 import Payload
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver
from temporalio.contrib.gcp.gcsdriver.gcloud_aio import new_gcloud_aio_client
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

VECTORS = json.loads((Path(__file__).parents[3] / "tests" / "vectors" / "storage_claims.json").read_text())
MIB = 1024 * 1024
EMPTY = StorageDriverRetrieveContext()


@pytest.fixture
async def sdk(gcs_server: Any, gcs_bucket: str) -> AsyncIterator[GCSStorageDriver]:
    """The SDK's driver with its own client, on the same bucket."""
    # fake-gcs-server may close a connection that was kept just when the next request is on its way, and the
    # SDK's client, unlike ours, does not send it again.
    session: Any = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
    async with session, Storage(session=session, api_root=gcs_server.endpoint_url) as storage:
        yield GCSStorageDriver(new_gcloud_aio_client(storage), gcs_bucket)


@pytest.fixture
def open_(gcs_server: Any, gcs_bucket: str, open_driver: Any) -> Any:
    """Opens our driver on that bucket."""
    return lambda **settings: open_driver(gcs_server.endpoint_url, gcs_bucket, **settings)


async def test_names_and_type_are_those_of_the_sdk(open_: Any) -> None:
    async with open_() as driver:
        assert isinstance(driver, GCSStorageDriver)
        assert driver.name() == "gcp.gcsdriver"
        assert driver.type() == "gcp.gcsdriver"


def target_of(case: dict[str, Any]) -> StorageDriverWorkflowInfo | StorageDriverActivityInfo | None:
    if case["target"] is None:
        return None
    target = dict(case["target"])
    kinds: dict[str, Any] = {"workflow": StorageDriverWorkflowInfo, "activity": StorageDriverActivityInfo}
    made: StorageDriverWorkflowInfo | StorageDriverActivityInfo = kinds[target.pop("kind")](**target)
    return made


async def test_whatever_a_workflow_is_called_its_claims_are_the_sdks(open_: Any, sdk: Any) -> None:
    payload = Payload.FromString(base64.b64decode(VECTORS["payload"]))
    async with open_() as driver:
        for case in VECTORS["cases"]:
            context = StorageDriverStoreContext(target=target_of(case))
            ours = await driver.store(context, [payload])
            assert await sdk.retrieve(EMPTY, ours) == [payload]
            assert await sdk.store(context, [payload]) == ours
            assert await driver.retrieve(EMPTY, ours) == [payload]


@pytest.mark.parametrize("size", [None, 0, 1000, 300_000, 9 * MIB, 20 * MIB])
async def test_what_the_sdk_stores_we_read_and_the_reverse(
    *,
    gcs_server: Any,
    gcs_bucket: str,
    open_: Any,
    sdk: Any,
    store_context: Any,
    payload: Any,
    size: int | None,
) -> None:
    value = Payload() if size is None else payload(1, size)
    async with open_() as driver:
        theirs = await sdk.store(store_context, [value])
        assert await driver.retrieve(EMPTY, theirs) == [value]
        gcs_server.delete(gcs_bucket, theirs[0].claim_data["object_name"])
        ours = await driver.store(store_context, [value])
        assert ours == theirs
        assert await sdk.retrieve(EMPTY, ours) == [value]


async def test_many_payloads_keep_their_order(open_: Any, store_context: Any, payload: Any) -> None:
    payloads = [payload(number % 40) for number in range(100)]
    async with open_() as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(EMPTY, claims) == payloads
        assert await driver.store(store_context, []) == []
        assert await driver.retrieve(EMPTY, []) == []


@pytest.mark.parametrize(("size", "off_loop"), [(1000, False), (MIB, True)])
async def test_large_payloads_are_hashed_off_the_event_loop(
    *,
    monkeypatch: pytest.MonkeyPatch,
    open_: Any,
    store_context: Any,
    payload: Any,
    size: int,
    off_loop: bool,
) -> None:
    threads: list[bool] = []
    sha256 = hashlib.sha256

    def seen(data: bytes) -> Any:
        if data:
            threads.append(threading.current_thread() is not threading.main_thread())
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", seen)
    async with open_() as driver:
        claims = await driver.store(store_context, [payload(1, size)])
        await driver.retrieve(EMPTY, claims)
    assert threads == [off_loop, off_loop]


async def test_a_payload_over_the_limit_is_refused_and_nothing_of_its_batch_stored(
    stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async with open_driver(stub.endpoint_url, "payloads", max_payload_size=1000) as driver:
        with pytest.raises(PayloadTooLargeError, match=r"raise storage\.drivers\.gcs\.max_payload_size"):
            await driver.store(store_context, [payload(1, 10), payload(2, 1000)])
    assert stub.requests == []


async def test_a_payload_that_is_gone_is_not_found(
    *, gcs_server: Any, gcs_bucket: str, open_: Any, store_context: Any, payload: Any
) -> None:
    async with open_() as driver:
        claims = await driver.store(store_context, [payload(1)])
        gcs_server.delete(gcs_bucket, claims[0].claim_data["object_name"])
        with pytest.raises(PayloadNotFoundError, match="expired, was deleted, or is in another store"):
            await driver.retrieve(EMPTY, claims)


@pytest.mark.parametrize("damage", [b"", b"something else", b"x" * 9 * MIB])
async def test_a_payload_that_was_changed_is_not_returned(
    *, gcs_server: Any, gcs_bucket: str, open_: Any, store_context: Any, payload: Any, damage: bytes
) -> None:
    async with open_() as driver:
        claims = await driver.store(store_context, [payload(1)])
        gcs_server.write(gcs_bucket, claims[0].claim_data["object_name"], damage)
        with pytest.raises(PayloadIntegrityError, match="integrity check failed") as caught:
            await driver.retrieve(EMPTY, claims)
    assert not caught.value.non_retryable


async def test_an_object_that_is_no_payload_is_an_integrity_error(
    *, gcs_server: Any, gcs_bucket: str, open_: Any, store_context: Any, payload: Any
) -> None:
    garbage = b"\xff" * 50
    sha256 = hashlib.sha256(garbage).hexdigest()
    gcs_server.write(gcs_bucket, f"v0/d/sha256/{sha256}", garbage)
    async with open_() as driver:
        (claim,) = await driver.store(store_context, [payload(1)])
        claim.claim_data.update(object_name=f"v0/d/sha256/{sha256}", hash_value=sha256)
        with pytest.raises(PayloadIntegrityError):
            await driver.retrieve(EMPTY, [claim])


async def test_a_bucket_template_keeps_namespaces_apart(
    gcs_server: Any, open_driver: Any, payload: Any
) -> None:
    gcs_server.create_bucket("of-one")
    gcs_server.create_bucket("of-two")
    async with open_driver(gcs_server.endpoint_url, "of-{namespace}") as driver:
        await driver.check()
        for namespace in ("one", "two"):
            target = StorageDriverWorkflowInfo(namespace=namespace, id="w")
            claims = await driver.store(StorageDriverStoreContext(target=target), [payload(1)])
            assert claims[0].claim_data["bucket"] == f"of-{namespace}"
            assert await driver.retrieve(EMPTY, claims) == [payload(1)]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (None, "the payload has none"),
        (StorageDriverWorkflowInfo(namespace="", id="w"), "the payload has none"),
        (StorageDriverWorkflowInfo(namespace="a/b", id="w"), "'a/b' is not a bucket's name"),
    ],
)
async def test_a_bucket_template_says_what_it_lacks(
    stub: Any, open_driver: Any, payload: Any, target: StorageDriverWorkflowInfo | None, reason: str
) -> None:
    async with open_driver(stub.endpoint_url, "of-{namespace}") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"storage\.drivers\.gcs\.bucket") as caught:
            await driver.store(StorageDriverStoreContext(target=target), [payload(1)])
    assert reason in str(caught.value)
    assert not caught.value.store_asked


@dataclass
class Uploads:
    """What is of more than one chunk is held up after the first."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def held(self, chunks: AsyncIterator[memoryview]) -> AsyncIterator[memoryview]:
        yield await anext(chunks)
        async for chunk in chunks:
            self.begun.set()
            await self.go_on.wait()
            yield chunk


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    uploads = Uploads()
    send = Http.send

    async def sent(self: Http, *args: Any, body: Any = None, **options: Any) -> Any:
        held = body and (lambda: uploads.held(body()))
        return await send(self, *args, body=held, **options)

    monkeypatch.setattr(Http, "send", sent)
    return uploads


async def test_who_gives_up_takes_nothing_from_the_others(
    *, open_: Any, store_context: Any, payload: Any, uploads: Uploads
) -> None:
    large = [payload(number, 10 * MIB) for number in (1, 2)]
    async with open_() as driver:
        given_up = asyncio.create_task(driver.store(store_context, large))
        other = asyncio.create_task(driver.store(store_context, [payload(3)]))
        await uploads.begun.wait()
        await other
        given_up.cancel()
        uploads.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await driver.retrieve(EMPTY, other.result()) == [payload(3)]
        claims = await driver.store(store_context, large)
        assert await driver.retrieve(EMPTY, claims) == large


async def test_a_connection_keeps_nothing_of_whoever_made_it(
    *, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    secret: ContextVar[str] = ContextVar("secret", default="")
    async with open_driver(stub.endpoint_url, "payloads") as driver:

        async def caller() -> None:
            secret.set("of the caller")
            await driver.store(store_context, [payload(1)])

        await asyncio.create_task(caller())
        connector = driver._requests._http._session.connector
        ((protocol, _),) = (kept[:2] for pool in connector._conns.values() for kept in pool)
        selector_key = asyncio.get_running_loop()._selector.get_key(protocol.transport._sock_fd)  # type: ignore[attr-defined]  # asyncio's own
        reader, _ = selector_key.data
        assert secret not in reader._context


async def test_what_a_peer_with_a_higher_limit_wrote_is_read_unless_reads_have_a_limit(
    *, gcs_server: Any, gcs_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as peer:
        claims = await peer.store(store_context, [payload(1, 3_000), payload(2, 1_000)])
    limit = {"max_payload_size": 2_000}
    async with open_driver(gcs_server.endpoint_url, gcs_bucket, **limit) as worker:
        assert await worker.retrieve(None, claims) == [payload(1, 3_000), payload(2, 1_000)]
    async with open_driver(gcs_server.endpoint_url, gcs_bucket, **limit, largest_read=2_000) as codec_server:
        with pytest.raises(PayloadTooLargeError, match=r"3\d\d\d bytes.*gcs\.max_payload_size"):
            await codec_server.retrieve(None, claims[:1])
        assert await codec_server.retrieve(None, claims[1:]) == [payload(2, 1_000)]
