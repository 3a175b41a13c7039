"""The driver as core uses it, on a real server and beside the SDK's own."""

import asyncio
import base64
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
)
from temporalio.api.common.v1 import Payload
from temporalio.contrib.aws.s3driver import S3StorageDriver
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

VECTORS = json.loads((Path(__file__).parents[3] / "tests" / "vectors" / "storage_claims.json").read_text())
MIB = 1024 * 1024
EMPTY = StorageDriverRetrieveContext()


def target_of(case: dict[str, Any]) -> StorageDriverWorkflowInfo | StorageDriverActivityInfo | None:
    if case["target"] is None:
        return None
    target = dict(case["target"])
    kind: Any = {"workflow": StorageDriverWorkflowInfo, "activity": StorageDriverActivityInfo}[
        target.pop("kind")
    ]
    made: StorageDriverWorkflowInfo | StorageDriverActivityInfo = kind(**target)
    return made


async def test_names_and_type_are_those_of_the_sdk(s3_server: Any, open_driver: Any) -> None:
    async with open_driver(s3_server, "payloads") as driver:
        assert isinstance(driver, S3StorageDriver)
        assert driver.name() == "aws.s3driver"
        assert driver.type() == "aws.s3driver"


async def test_every_vector_is_stored_under_the_claim_that_it_gives(s3_server: Any, open_driver: Any) -> None:
    s3_server.create_bucket("payloads")
    payload = Payload.FromString(base64.b64decode(VECTORS["payload"]))
    async with open_driver(s3_server, "payloads") as driver:
        for case in VECTORS["cases"]:
            claims = await driver.store(StorageDriverStoreContext(target=target_of(case)), [payload])
            assert [claim.claim_data for claim in claims] == [case["s3_claim"]]
            assert await driver.retrieve(EMPTY, claims) == [payload]


# The SDK's client hands its parts to aiohttp as bytes, which aiohttp warns of.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("size", [None, 0, 1000, 300_000, 9 * MIB, 20 * MIB])
async def test_what_the_sdk_stores_we_read_and_the_reverse(
    *,
    wire: Any,
    s3_server: Any,
    s3_bucket: str,
    open_driver: Any,
    store_context: Any,
    payload: Any,
    size: int | None,
) -> None:
    sdk = S3StorageDriver(new_aioboto3_client(wire.client), s3_bucket)
    value = Payload() if size is None else payload(1, size)
    async with open_driver(s3_server, s3_bucket) as driver:
        theirs = await sdk.store(store_context, [value])
        assert await driver.retrieve(EMPTY, theirs) == [value]
        await wire.client.delete_object(Bucket=s3_bucket, Key=theirs[0].claim_data["key"])
        ours = await driver.store(store_context, [value])
        assert ours == theirs
        assert await sdk.retrieve(EMPTY, ours) == [value]


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("name", [hashlib.sha256(b"").hexdigest(), "../@ é", "x" * 1100])
async def test_the_key_is_the_sdks_whatever_the_workflow_is_called(
    *, wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any, name: str
) -> None:
    target = StorageDriverWorkflowInfo(namespace="default", id=name, run_id=name, type=name)
    context = StorageDriverStoreContext(target=target)
    payloads = [Payload(), payload(1), payload(2, 600_000)]
    sdk = S3StorageDriver(new_aioboto3_client(wire.client), s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        ours = await driver.store(context, payloads)
        assert ours == await sdk.store(context, payloads)
        assert await driver.retrieve(EMPTY, ours) == payloads


async def test_many_payloads_keep_their_order(
    s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    payloads = [payload(number % 40) for number in range(100)]
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(EMPTY, claims) == payloads
        assert await driver.store(store_context, []) == []
        assert await driver.retrieve(EMPTY, []) == []


async def test_equal_payloads_of_one_call_are_one_request(
    s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    sent: list[str] = []
    async with open_driver(s3_server, s3_bucket) as driver:
        events = driver._requests.client.meta.events
        events.register("before-send.s3", lambda request, **_: sent.append(request.method))
        claims = await driver.store(store_context, [payload(1)] * 3)
        assert sent == ["PUT"]
        assert await driver.retrieve(EMPTY, claims) == [payload(1)] * 3
        assert sent == ["PUT", "GET"]


async def test_several_workers_may_store_the_same_payload_at_once(
    s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    large = payload(1, 17 * MIB)
    async with open_driver(s3_server, s3_bucket) as one, open_driver(s3_server, s3_bucket) as other:
        first, second = await asyncio.gather(
            one.store(store_context, [large]), other.store(store_context, [large])
        )
        assert first == second
        assert await one.retrieve(EMPTY, first) == [large]


@pytest.mark.parametrize(("size", "off_loop"), [(1000, False), (MIB, True)])
async def test_large_payloads_are_hashed_off_the_event_loop(
    *,
    monkeypatch: pytest.MonkeyPatch,
    s3_server: Any,
    s3_bucket: str,
    open_driver: Any,
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
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(store_context, [payload(1, size)])
        await driver.retrieve(EMPTY, claims)
    assert threads == [off_loop, off_loop]


async def test_a_payload_over_the_limit_is_refused_and_nothing_of_its_batch_stored(
    stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async with open_driver(stub.server, "payloads", max_payload_size=1000) as driver:
        with pytest.raises(PayloadTooLargeError, match=r"raise storage\.drivers\.s3\.max_payload_size"):
            await driver.store(store_context, [payload(1, 10), payload(2, 1000)])
    assert stub.requests == []


async def test_a_payload_that_is_gone_is_not_found(
    *, wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(store_context, [payload(1)])
        await wire.client.delete_object(Bucket=s3_bucket, Key=claims[0].claim_data["key"])
        with pytest.raises(
            PayloadNotFoundError, match="expired, was deleted, or is in another store"
        ) as caught:
            await driver.retrieve(EMPTY, claims)
    assert caught.value.non_retryable


@pytest.mark.parametrize("damage", [b"", b"something else", b"x" * 9 * MIB])
async def test_a_payload_that_was_changed_is_not_returned(
    *,
    wire: Any,
    s3_server: Any,
    s3_bucket: str,
    open_driver: Any,
    store_context: Any,
    payload: Any,
    damage: bytes,
) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(store_context, [payload(1)])
        await wire.client.put_object(Bucket=s3_bucket, Key=claims[0].claim_data["key"], Body=damage)
        with pytest.raises(PayloadIntegrityError, match="integrity check failed") as caught:
            await driver.retrieve(EMPTY, claims)
    assert not caught.value.non_retryable


async def test_an_object_that_is_no_payload_is_an_integrity_error(
    *, wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    garbage = b"\xff" * 50
    sha256 = hashlib.sha256(garbage).hexdigest()
    await wire.client.put_object(Bucket=s3_bucket, Key=f"v0/d/sha256/{sha256}", Body=garbage)
    async with open_driver(s3_server, s3_bucket) as driver:
        (claim,) = await driver.store(store_context, [payload(1)])
        claim.claim_data.update(key=f"v0/d/sha256/{sha256}", hash_value=sha256)
        with pytest.raises(PayloadIntegrityError):
            await driver.retrieve(EMPTY, [claim])


async def test_a_bucket_template_keeps_namespaces_apart(
    s3_server: Any, open_driver: Any, payload: Any
) -> None:
    s3_server.create_bucket("of-one")
    s3_server.create_bucket("of-two")
    async with open_driver(s3_server, "of-{namespace}") as driver:
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
    async with open_driver(stub.server, "of-{namespace}") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"storage\.drivers\.s3\.bucket") as caught:
            await driver.store(StorageDriverStoreContext(target=target), [payload(1)])
    assert reason in str(caught.value)
    assert not caught.value.store_asked


async def test_what_a_peer_with_a_higher_limit_wrote_is_read_unless_reads_have_a_limit(
    *, s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async with open_driver(s3_server, s3_bucket) as peer:
        claims = await peer.store(store_context, [payload(1, 3_000), payload(2, 1_000)])
    limit = {"max_payload_size": 2_000}
    async with open_driver(s3_server, s3_bucket, **limit) as worker:
        assert await worker.retrieve(None, claims) == [payload(1, 3_000), payload(2, 1_000)]
    async with open_driver(s3_server, s3_bucket, **limit, largest_read=2_000) as codec_server:
        with pytest.raises(PayloadTooLargeError, match=r"3\d\d\d bytes.*s3\.max_payload_size"):
            await codec_server.retrieve(None, claims[:1])
        assert await codec_server.retrieve(None, claims[1:]) == [payload(2, 1_000)]
