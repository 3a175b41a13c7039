"""The other side: the SDK's own classes, and the formats of the published samples, written anew from them.

Nothing here uses this project's code, so that a mistake in it can't cancel itself out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import aioboto3
import redis.asyncio
from gcloud.aio.storage import Storage
from support.stores import GCSStore, RedisStore, S3Store
from support.values import THRESHOLD
from temporalio.api.common.v1 import Payload
from temporalio.contrib.aws.s3driver import S3StorageDriver
from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver
from temporalio.contrib.gcp.gcsdriver.gcloud_aio import new_gcloud_aio_client
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverWorkflowInfo,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from support.stores import Store
    from temporalio.converter import StorageDriverRetrieveContext, StorageDriverStoreContext


class SampleGzipCodec(PayloadCodec):
    """`binary/gzip` as the sample writes it: the whole payload, whatever its size, with a time stamp."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Compress every payload."""
        return [
            Payload(metadata={"encoding": b"binary/gzip"}, data=gzip.compress(each.SerializeToString()))
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decompress what is compressed."""
        return [
            Payload.FromString(gzip.decompress(each.data))
            if each.metadata.get("encoding") == b"binary/gzip"
            else each
            for each in payloads
        ]


class GoZlibCodec(PayloadCodec):
    """`binary/zlib` as the Go SDK writes it: the original is kept where that is not larger."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Compress what gets smaller."""
        encoded = []
        for each in payloads:
            data = zlib.compress(each.SerializeToString())
            smaller = len(data) < each.ByteSize()
            encoded.append(Payload(metadata={"encoding": b"binary/zlib"}, data=data) if smaller else each)
        return encoded

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decompress what is compressed."""
        return [
            Payload.FromString(zlib.decompress(each.data))
            if each.metadata.get("encoding") == b"binary/zlib"
            else each
            for each in payloads
        ]


class SampleRedisDriver(StorageDriver):
    """The Redis sample's driver: its keys and claims, one SET NX or GET a payload."""

    def __init__(self, client: redis.asyncio.Redis, key_prefix: str = "temporalio:payloads") -> None:
        self._client = client
        self._prefix = key_prefix

    def name(self) -> str:
        """Return the sample's driver name."""
        return "redis"

    def type(self) -> str:
        """Return the sample's driver type."""
        return "redis"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store each payload under its key."""
        target = context.target
        where = ""
        if target is not None:
            kind = "w" if isinstance(target, StorageDriverWorkflowInfo) else "a"
            type_, id_, run_id = (
                quote(part, safe="") if part else "null" for part in (target.type, target.id, target.run_id)
            )
            namespace = f":ns:{quote(target.namespace, safe='')}" if target.namespace else ""
            where = f"{namespace}:{kind}t:{type_}:{kind}i:{id_}:ri:{run_id}"

        async def put(payload: Payload) -> StorageDriverClaim:
            data = payload.SerializeToString()
            digest = hashlib.sha256(data).hexdigest()
            key = f"{self._prefix}:v0{where}:d:sha256:{digest}"
            await self._client.set(key, data, nx=True)
            return StorageDriverClaim({"key": key, "hash_algorithm": "sha256", "hash_value": digest})

        return await asyncio.gather(*map(put, payloads))

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Get each payload and verify its hash."""

        async def get(claim: StorageDriverClaim) -> Payload:
            data = await self._client.get(claim.claim_data["key"])
            assert isinstance(data, bytes)
            assert hashlib.sha256(data).hexdigest() == claim.claim_data["hash_value"]
            return Payload.FromString(data)

        return await asyncio.gather(*map(get, claims))


@asynccontextmanager
async def peer_driver(store: Store) -> AsyncIterator[StorageDriver]:
    """Open the peer's driver on this store."""
    if isinstance(store, RedisStore):
        async with redis.asyncio.Redis.from_url(store.server.url, decode_responses=False) as redis_client:
            yield SampleRedisDriver(redis_client)
        return
    if isinstance(store, GCSStore):
        async with Storage(api_root=store.server.endpoint_url) as gcs_client:
            yield GCSStorageDriver(new_gcloud_aio_client(gcs_client), store.bucket)
        return
    assert isinstance(store, S3Store)
    session = aioboto3.Session(
        aws_access_key_id=store.server.access_key_id,
        aws_secret_access_key=store.server.secret_access_key,
        region_name=store.server.region,
    )
    async with session.client("s3", endpoint_url=store.server.endpoint_url) as s3_client:
        yield S3StorageDriver(client=new_aioboto3_client(s3_client), bucket=store.bucket)


@asynccontextmanager
async def peer_converter(store: Store) -> AsyncIterator[DataConverter]:
    """Wire a converter by hand, as the samples do."""
    async with peer_driver(store) as driver:
        yield dataclasses.replace(
            DataConverter.default,
            payload_codec=SampleGzipCodec(),
            failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
            external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=THRESHOLD),
        )
