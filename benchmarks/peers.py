"""What people use today: the SDK's S3 driver with its aioboto3 client, and the ways of the public samples."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from temporalio.contrib.aws.s3driver import S3StorageDriver

    from benchmarks.access import S3Access


class SampleGzipCodec(PayloadCodec):
    """Compresses on the event loop, at the standard library's default level."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/gzip"}, data=gzip.compress(payload.SerializeToString()))
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(gzip.decompress(payload.data))
            if payload.metadata.get("encoding") == b"binary/gzip"
            else payload
            for payload in payloads
        ]


class SampleEncryptionCodec(PayloadCodec):
    """Encrypts on the event loop."""

    def __init__(self, key: bytes, key_id: str) -> None:
        self._cipher = AESGCM(key)
        self._key_id = key_id.encode()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/encrypted", "encryption-key-id": self._key_id},
                data=self._encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        decoded = []
        for payload in payloads:
            if payload.metadata.get("encoding") != b"binary/encrypted":
                decoded.append(payload)
                continue
            if payload.metadata.get("encryption-key-id") != self._key_id:
                raise ValueError("unrecognized key id")
            decoded.append(Payload.FromString(self._decrypt(payload.data)))
        return decoded

    def _encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, data, None)

    def _decrypt(self, data: bytes) -> bytes:
        return self._cipher.decrypt(data[:12], data[12:], None)


class Chained(PayloadCodec):
    """Two codecs, the first one first."""

    def __init__(self, first: PayloadCodec, second: PayloadCodec) -> None:
        self._first = first
        self._second = second

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self._second.encode(await self._first.encode(payloads))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self._first.decode(await self._second.decode(payloads))


@asynccontextmanager
async def sdk_s3_driver(access: S3Access, *, max_payload_size: int = 2**30) -> AsyncIterator[S3StorageDriver]:
    """The SDK's driver on a client with its defaults."""
    # Not imported by those who use another store: their start is measured too.
    import aioboto3  # noqa: PLC0415
    from temporalio.contrib.aws.s3driver import S3StorageDriver  # noqa: PLC0415
    from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client  # noqa: PLC0415

    session = aioboto3.Session(
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
        region_name=access.region,
    )
    async with session.client("s3", endpoint_url=access.endpoint_url) as client:
        yield S3StorageDriver(
            client=new_aioboto3_client(client), bucket=access.bucket, max_payload_size=max_payload_size
        )


class SampleRedisDriver(StorageDriver):
    """One command, and so one connection, for each payload, all at once."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def name(self) -> str:
        return "redis"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        del context

        async def one(payload: Payload) -> StorageDriverClaim:
            data = payload.SerializeToString()
            digest = hashlib.sha256(data).hexdigest()
            key = f"temporalio:payloads:v0:d:sha256:{digest}"
            await self._client.set(key, data, nx=True)
            return StorageDriverClaim({"key": key, "hash_algorithm": "sha256", "hash_value": digest})

        return list(await asyncio.gather(*(one(payload) for payload in payloads)))

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        del context

        async def one(claim: StorageDriverClaim) -> Payload:
            data = await self._client.get(claim.claim_data["key"])
            assert isinstance(data, bytes)
            if hashlib.sha256(data).hexdigest() != claim.claim_data["hash_value"]:
                raise ValueError("integrity check failed")
            return Payload.FromString(data)

        return list(await asyncio.gather(*(one(claim) for claim in claims)))
