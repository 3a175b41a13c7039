"""A bucket is listed, and its payloads are put aside, restored and deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from botocore.exceptions import HTTPClientError
from support.lossy_proxy import LossyProxy, Queue
from temporal_payloads.plugin import (
    ListedPayload,
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_s3._claims import confine
from temporal_payloads_s3._settings import S3Settings
from temporalio.api.common.v1 import Payload
from temporalio.contrib.aws.s3driver import S3StorageDriver
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

GRACE = timedelta(days=7)
EMPTY = StorageDriverRetrieveContext()
MIB = 1024 * 1024


def of(namespace: str | None, id_: str = "w", type_: str = "Order") -> StorageDriverStoreContext:
    target = namespace and StorageDriverWorkflowInfo(namespace=namespace, id=id_, run_id="r", type=type_)
    return StorageDriverStoreContext(target=target or None)


async def listed(driver: Any, *namespaces: str | None) -> list[ListedPayload]:
    return [
        one
        for shard in driver.shards(namespaces)
        async for page in driver.list_payloads(shard)
        for one in page.payloads
    ]


def keys_of(claims: Any) -> list[str]:
    return sorted(claim.claim_data["key"] for claim in claims)


async def everything(wire: Any, bucket: str) -> list[str]:
    found = await wire.client.list_object_versions(Bucket=bucket)
    return [one["Key"] for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]]


async def keep_versions(wire: Any, bucket: str, status: str = "Enabled") -> None:
    await wire.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def list_in_small_pages(driver: Any) -> None:
    for operation in ("ListObjectsV2", "ListObjectVersions"):
        driver._requests.client.meta.events.register(
            f"provide-client-params.s3.{operation}", lambda params, **_: params.update(MaxKeys=2)
        )


@pytest.fixture(params=["no versions", "versions", "versions no longer"])
async def any_bucket(request: Any, wire: Any, s3_bucket: str) -> str:
    """A bucket in each state of versioning."""
    if request.param != "no versions":
        await keep_versions(wire, s3_bucket)
    if request.param == "versions no longer":
        await keep_versions(wire, s3_bucket, "Suspended")
    return s3_bucket


@pytest.fixture(params=["no versions", "versions"])
async def collected_bucket(request: Any, wire: Any, s3_bucket: str) -> str:
    """A bucket in each state of versioning in which it is collected."""
    if request.param != "no versions":
        await keep_versions(wire, s3_bucket)
    return s3_bucket


async def test_every_payload_of_the_namespaces_is_listed_and_nothing_else(
    wire: Any, s3_server: Any, any_bucket: str, open_driver: Any, payload: Any
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    activity = StorageDriverActivityInfo(namespace="a", id="a", run_id="r", type="Ship")
    contexts = [of("a", "../ü %"), of("a", "x" * 1100), of(None), StorageDriverStoreContext(target=activity)]
    contexts += [of("a", type_=f"type-{number}") for number in range(20)]
    async with open_driver(s3_server, any_bucket) as driver:
        claims = [claim for context in contexts for claim in await driver.store(context, [payload(1)])]
        await driver.store(of("b"), [payload(1)])
        await driver.store(of("ab"), [payload(1)])
        list_in_small_pages(driver)
        found = await listed(driver, "a", None)
        assert await listed(driver, "c") == []
    assert keys_of(one.claim for one in found) == keys_of(claims)
    settings = S3Settings(bucket=any_bucket)
    for one in found:
        assert confine(settings, one.claim).claim == one.claim
        assert (one.size, one.aside) == (len(payload(1).SerializeToString()), False)
        assert one.stored
        assert one.stored >= before - timedelta(minutes=1)
    assert {one.key.namespace for one in found} == {"a", None}
    assert {one.key.id for one in found} >= {"../ü %", None, "a"}


async def test_what_is_not_of_our_layout_is_counted_and_left_alone(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any
) -> None:
    folder = "v0/ns/a/wt/Order/"
    for key in (f"{folder}README", f"{folder}wi/w/ri/r/d/sha256/no-hash", "v0/ns/b/wt/Order/odd", "other"):
        await wire.client.put_object(Bucket=s3_bucket, Key=key, Body=b"x")
    async with open_driver(s3_server, s3_bucket) as driver:
        pages = [page for shard in driver.shards(["a"]) async for page in driver.list_payloads(shard)]
    assert [one for page in pages for one in page.payloads] == []
    assert sum(page.others for page in pages) == 2


async def test_a_bucket_for_each_namespace_is_listed_by_itself(
    s3_server: Any, open_driver: Any, payload: Any
) -> None:
    s3_server.create_bucket("listed-one")
    async with open_driver(s3_server, "listed-{namespace}") as driver:
        claims = await driver.store(of("one"), [payload(1)])
        assert [one.claim for one in await listed(driver, "one", "not-there", None)] == claims
        assert driver.shards(["with space"]) == []
        with pytest.raises(StorageMisconfiguredError, match=r"set gc\.state to a directory"):
            driver.state()


async def test_a_bucket_that_is_not_there_is_an_error_and_not_an_empty_list(
    s3_server: Any, open_driver: Any
) -> None:
    async with open_driver(s3_server, "mistyped") as driver:
        with pytest.raises(StorageMisconfiguredError, match="create bucket mistyped"):
            await listed(driver, "one")


@pytest.mark.parametrize("namespace", ["orders", "a/b ü", "null", "", None])
async def test_a_payload_that_is_moved_lies_where_the_sdk_would_store_it(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any, namespace: str | None
) -> None:
    target = None if namespace is None else StorageDriverWorkflowInfo(namespace=namespace)
    sdk = S3StorageDriver(new_aioboto3_client(wire.client), s3_bucket)
    (claim,) = await sdk.store(StorageDriverStoreContext(target=target), [payload(1)])
    async with open_driver(s3_server, s3_bucket) as driver:
        assert driver.claim_for(namespace, claim.claim_data["hash_value"]) == claim
        assert [one.claim for one in await listed(driver, namespace)] == [claim]


async def test_a_payload_without_a_namespace_has_no_place_in_a_bucket_of_a_namespace(
    s3_server: Any, open_driver: Any
) -> None:
    async with open_driver(s3_server, "payloads-{namespace}") as driver:
        with pytest.raises(StorageMisconfiguredError, match="bucket a fixed name"):
            driver.claim_for(None, "0" * 64)


async def test_what_is_put_aside_can_be_restored_or_deleted(
    wire: Any, s3_server: Any, collected_bucket: str, open_driver: Any, payload: Any
) -> None:
    payloads = [Payload(), payload(1), payload(2, 17 * MIB)]
    async with open_driver(s3_server, collected_bucket) as driver:
        claims = await driver.store(of("a"), payloads)
        for last in (driver.restore, driver.delete):
            assert await driver.put_aside(await listed(driver, "a"), grace=GRACE) == ["done"] * 3
            aside = await listed(driver, "a")
            assert [one.aside for one in aside] == [True] * 3
            assert sorted(one.size for one in aside) == sorted(
                map(len, map(Payload.SerializeToString, payloads))
            )
            assert await last(aside) == ["done"] * 3
            if last == driver.restore:
                assert not [one for one in await listed(driver, "a") if one.aside]
                assert await driver.retrieve(EMPTY, claims) == payloads
        assert await listed(driver, "a") == []
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(EMPTY, claims)


async def test_only_what_is_still_as_it_was_listed_is_changed(
    wire: Any, s3_server: Any, collected_bucket: str, open_driver: Any, payload: Any
) -> None:
    async with open_driver(s3_server, collected_bucket) as driver:
        claims = await driver.store(of("a"), [payload(1)])
        plain = await listed(driver, "a")
        assert await driver.delete(plain) == ["changed"]
        assert await driver.restore(plain) == ["changed"]
        await driver.put_aside(plain, grace=GRACE)
        aside = await listed(driver, "a")
        assert await driver.put_aside(aside, grace=GRACE) == ["changed"]
        await driver.store(of("a"), [payload(1)])
        assert await driver.delete(aside) == ["changed"]
        assert await driver.restore(aside) == ["changed"]
        assert await driver.retrieve(EMPTY, claims) == [payload(1)]
        assert [one.aside for one in await listed(driver, "a")] == [False]


async def test_a_payload_that_is_gone_is_told(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    await keep_versions(wire, s3_bucket)  # without versions the conformance kit tells
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.store(of("a"), [payload(1)])
        plain = await listed(driver, "a")
        await driver.put_aside(plain, grace=GRACE)
        aside = await listed(driver, "a")
        await driver.delete(aside)
        assert await driver.put_aside(plain, grace=GRACE) == ["gone"]
        assert await driver.restore(aside) == ["gone"]
        assert await driver.delete(aside) == ["gone"]


async def test_what_is_deleted_leaves_no_version_and_no_marker(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    await keep_versions(wire, s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.probe()
        list_in_small_pages(driver)
        for _ in range(3):
            await driver.store(of("a"), [payload(1)])
            await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        (aside,) = await listed(driver, "a")
        assert len(await everything(wire, s3_bucket)) == 6
        assert await driver.delete([aside]) == ["done"]
        assert await everything(wire, s3_bucket) == []
        # A delete that was broken off leaves a marker, and the next collection finds it.
        await driver.store(of("a"), [payload(1)])
        await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        (found,) = (await wire.client.list_object_versions(Bucket=s3_bucket))["Versions"]
        await wire.client.delete_object(Bucket=s3_bucket, Key=found["Key"], VersionId=found["VersionId"])
        (aside,) = await listed(driver, "a")
        assert (aside.aside, aside.size) == (True, 0)
        assert await driver.restore([aside]) == ["gone"]
        await wire.client.delete_object(Bucket=s3_bucket, Key=found["Key"])
        (aside,) = await listed(driver, "a")
        assert await driver.delete([aside]) == ["done"]
        assert await everything(wire, s3_bucket) == []


async def test_what_is_put_aside_in_a_bucket_with_versions_looks_missing(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    await keep_versions(wire, s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(of("a"), [payload(1)])
        await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(EMPTY, claims)


async def test_a_peer_on_the_sdks_driver_brings_a_payload_back_where_there_are_versions(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    await keep_versions(wire, s3_bucket)
    sdk = S3StorageDriver(new_aioboto3_client(wire.client), s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        await sdk.store(of("a"), [payload(1)])
        await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        aside = await listed(driver, "a")
        claims = await sdk.store(of("a"), [payload(1)])
        assert await driver.delete(aside) == ["changed"]
        assert await sdk.retrieve(EMPTY, claims) == [payload(1)]


async def test_a_bucket_that_stops_keeping_versions_is_left_alone(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    await keep_versions(wire, s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.store(of("a"), [payload(1)])
        await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        aside = await listed(driver, "a")
        await keep_versions(wire, s3_bucket, "Suspended")
        with pytest.raises(StorageMisconfiguredError, match="versioning is suspended"):
            await driver.delete(aside)
        assert await driver.restore(aside) == ["gone"]
        assert len(await everything(wire, s3_bucket)) == 2


async def test_where_versioning_is_suspended_nothing_is_collected_and_what_is_aside_can_be_restored(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(of("a"), [payload(1)])
        plain = await listed(driver, "a")
        await driver.put_aside(plain, grace=GRACE)
        aside = await listed(driver, "a")
        await keep_versions(wire, s3_bucket)
        await keep_versions(wire, s3_bucket, "Suspended")
        for change in (driver.probe(), driver.put_aside(plain, grace=GRACE), driver.delete(aside)):
            with pytest.raises(StorageMisconfiguredError, match="versioning is suspended"):
                await change
        assert await driver.restore(await listed(driver, "a")) == ["done"]
        assert [one.aside for one in await listed(driver, "a")] == [False]
        assert await driver.retrieve(EMPTY, claims) == [payload(1)]


async def test_the_outcome_of_a_delete_whose_answer_is_lost_is_unknown(
    s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any
) -> None:
    queue = Queue(Random(0), held=0)
    address = urlsplit(s3_server.endpoint_url)
    async with LossyProxy(str(address.hostname), address.port or 0, queue, lost=0) as proxy:
        through = replace(s3_server, endpoint_url=f"http://127.0.0.1:{proxy.port}")
        async with open_driver(through, s3_bucket, max_attempts=5) as driver:
            await driver.store(of("a"), [payload(1)])
            await driver.put_aside(await listed(driver, "a"), grace=GRACE)
            aside = await listed(driver, "a")
            events = (await driver._once.get()).meta.events
            events.register("before-send.s3.DeleteObject", lambda **_: setattr(proxy, "lost", 100))
            assert await driver.delete(aside) == ["unknown"]


async def test_the_client_for_deletes_sends_nothing_again(stub: Any, open_driver: Any) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    stub.answer = break_off
    async with open_driver(stub.server, "payloads", max_attempts=5) as driver:
        once = await driver._once.get()
        with pytest.raises(HTTPClientError):
            await once.delete_object(Bucket="payloads", Key="k", IfMatch='"e-1"')
    assert stub.requests == ["DELETE"]


async def test_a_store_that_cannot_be_reached_is_unavailable(
    s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any, closed_port: int
) -> None:
    nobody = replace(s3_server, endpoint_url=f"http://127.0.0.1:{closed_port}")
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.store(of("a"), [payload(1)])
        found = await listed(driver, "a")
    async with open_driver(nobody, s3_bucket, max_attempts=1) as driver:
        with pytest.raises(StorageUnavailableError):
            await driver.put_aside(found, grace=GRACE)
        with pytest.raises(StorageUnavailableError):
            await listed(driver, "a")


@pytest.mark.parametrize(
    ("answer", "needed"),
    [("GetBucketVersioning", "s3:GetBucketVersioning"), ("ListObjectsV2", "s3:ListBucket")],
)
async def test_a_permission_that_is_missing_is_named(
    stub: Any, open_driver: Any, answer: str, needed: str
) -> None:
    async def refuse(request: Any) -> Any:
        if "versioning" in request.query and answer != "GetBucketVersioning":
            return stub.error(501, "NotImplemented")
        return stub.error(403, "AccessDenied", "Access Denied")

    stub.answer = refuse
    async with open_driver(stub.server, "payloads") as driver:
        with pytest.raises(StoragePermissionError, match=f"grant {needed} to"):
            await listed(driver, "a")


async def test_a_store_that_keeps_to_its_conditions_passes_the_probe_and_keeps_nothing_of_it(
    wire: Any, s3_server: Any, collected_bucket: str, open_driver: Any
) -> None:
    async with open_driver(s3_server, collected_bucket) as driver:
        await driver.probe()
    assert await everything(wire, collected_bucket) == []


async def test_nothing_is_changed_in_a_store_that_ignores_the_condition_of_an_upload(
    moto_server: Any, open_driver: Any, payload: Any
) -> None:
    moto_server.create_bucket("conditions")
    async with open_driver(moto_server, "conditions") as driver:
        claims = await driver.store(of("a"), [payload(1)])
        with pytest.raises(StorageMisconfiguredError, match="changes an object although If-Match"):
            await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        assert await driver.retrieve(EMPTY, claims) == [payload(1)]
        assert await everything(driver._requests, "conditions") == keys_of(claims)


async def test_nothing_is_deleted_from_a_store_that_ignores_the_condition_of_a_delete(
    wire: Any, s3_server: Any, collected_bucket: str, open_driver: Any, payload: Any
) -> None:
    async with open_driver(s3_server, collected_bucket) as driver:
        claims = await driver.store(of("a"), [payload(1)])
        found = await listed(driver, "a")

        def forget_condition(params: Any, **_event: Any) -> None:
            params["headers"].pop("If-Match", None)

        for client in (driver._requests.client, await driver._once.get()):
            client.meta.events.register("before-call.s3.DeleteObject", forget_condition)
        for change in (driver.probe(), driver.put_aside(found, grace=GRACE), driver.delete(found)):
            with pytest.raises(
                StorageMisconfiguredError, match="deletes an object although If-Match has another one's ETag"
            ):
                await change
        assert await driver.retrieve(EMPTY, claims) == [payload(1)]


async def test_a_collector_keeps_files_beside_the_payloads(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any
) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        state = driver.state()
        assert await state.read("marks/a/1") is None
        await state.write("marks/a/1", b"first")
        await state.write("marks/a/1", b"second")
        await state.write("marks/a", b"")
        await state.write("other", b"x" * 100)
        assert await state.read("marks/a/1") == b"second"
        assert await state.read("marks/a") == b""
        assert await state.names("marks/") == ["marks/a", "marks/a/1"]
        await state.remove("marks/a/1")
        await state.remove("marks/a/1")
        assert await state.names("") == ["marks/a", "other"]
        assert await listed(driver, "a", None) == []
    assert all(key.startswith("temporal-payloads-gc/state/") for key in await everything(wire, s3_bucket))


async def test_a_payload_under_legal_hold_is_refused_and_all_others_are_deleted(
    moto_server: Any, open_driver: Any, payload: Any
) -> None:
    async with open_driver(moto_server, "legal-hold") as driver:
        client = driver._requests.client
        await client.create_bucket(Bucket="legal-hold", ObjectLockEnabledForBucket=True)
        driver.context = replace(driver.context, concurrency=1)  # moto lists and deletes in unsafe threads
        claims = await driver.store(of("a"), [payload(number) for number in range(40)])
        held = claims[17].claim_data["key"]
        await client.put_object_legal_hold(Bucket="legal-hold", Key=held, LegalHold={"Status": "ON"})
        assert await driver.put_aside(await listed(driver, "a"), grace=GRACE) == ["done"] * 40
        changes = await driver.delete(await listed(driver, "a"))
        assert sorted(changes) == ["done"] * 39 + ["refused"]
        (left,) = await listed(driver, "a")
        assert (left.claim, left.aside) == (claims[17], True)
        # By itself too: no right is missing, which the probe tells.
        assert await driver.delete([left]) == ["refused"]
        assert await driver.restore([left]) == ["done"]
        assert await driver.retrieve(EMPTY, [claims[17]]) == [payload(17)]


@pytest.mark.parametrize("ends_in", ["refusal of one", "refusal of all"])
async def test_a_right_that_is_missing_is_no_lock(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any, payload: Any, ends_in: str
) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await driver.store(of("a"), [payload(number) for number in range(3)])
        await driver.put_aside(await listed(driver, "a"), grace=GRACE)
        aside = await listed(driver, "a")
        refused = claims[0].claim_data["key"] if ends_in == "refusal of one" else ""

        def refuse(params: Any, **_event: Any) -> Any:
            if refused not in params["url"]:
                return None
            error = {"Code": "AccessDenied", "Message": "Access Denied"}
            return SimpleNamespace(status_code=403), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }

        for client in (driver._requests.client, await driver._once.get()):
            client.meta.events.register("before-call.s3.DeleteObject", refuse)
        if ends_in == "refusal of one":
            assert sorted(await driver.delete(aside)) == ["done", "done", "refused"]
        else:
            with pytest.raises(StoragePermissionError, match="grant s3:DeleteObject"):
                await driver.delete(aside)


async def test_what_is_aside_looks_missing_only_in_a_bucket_with_versions(
    wire: Any, s3_server: Any, any_bucket: str, open_driver: Any
) -> None:
    kept = (await wire.client.get_bucket_versioning(Bucket=any_bucket)).get("Status") == "Enabled"
    start, _, namespace = any_bucket.rpartition("-")
    async with open_driver(s3_server, any_bucket) as driver:
        assert await driver.aside_looks_missing([None]) is kept
    async with open_driver(s3_server, f"{start}-{{namespace}}") as driver:
        assert await driver.aside_looks_missing(["not-there", "with space", None, namespace]) is kept


# The SDK's client hands its part to aiohttp as bytes.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_what_a_peer_uploads_as_one_part_is_not_aside(
    wire: Any, s3_server: Any, s3_bucket: str, open_driver: Any
) -> None:
    empty = Payload(data=bytes(8 * MIB))
    whole = Payload(data=bytes(8 * MIB - (empty.ByteSize() - 8 * MIB)))
    assert whole.ByteSize() == 8 * MIB
    sdk = S3StorageDriver(new_aioboto3_client(wire.client), s3_bucket)
    async with open_driver(s3_server, s3_bucket) as driver:
        claims = await sdk.store(of("a"), [whole])
        (plain,) = await listed(driver, "a")
        assert (plain.tag.endswith('-1"'), plain.aside) == (True, False)
        assert await driver.delete([replace(plain, aside=True)]) == ["changed"]
        assert await driver.restore([replace(plain, aside=True)]) == ["changed"]
        assert await driver.put_aside([plain], grace=GRACE) == ["done"]
        (aside,) = await listed(driver, "a")
        assert aside.aside
        assert await driver.restore([aside]) == ["done"]
        assert await driver.retrieve(EMPTY, claims) == [whole]
        assert [one.aside for one in await listed(driver, "a")] == [False]
