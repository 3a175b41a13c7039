"""The storage driver: payloads under content-addressed keys in Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import DEFAULT_MAX_PAYLOAD_SIZE, ContentAddressedDriver

from temporal_payloads_redis._client import RedisStorageDriverClient
from temporal_payloads_redis._keys import DEFAULT_KEY_PREFIX, key_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporal_payloads.plugin import DiagnosisContext, Finding

DRIVER_TYPE = "redis"


class RedisStorageDriver(ContentAddressedDriver):
    """Stores Temporal payloads in Redis; compatible both ways with the driver of Temporal's Redis sample.

    A payload is one string value, its serialized protobuf, under a key made from its SHA-256 and the workflow
    or activity that it was stored for. Equal payloads of one workflow or activity are stored once.

    Args:
        client: The Redis client, such as `new_redis_asyncio_client` makes. The caller closes it.
        driver_name: The name recorded in references. Whoever retrieves needs a driver of the same name.
        key_prefix: What all keys begin with; colons at its end don't count.
        ttl: After how long a payload expires, counted from its first store; None: never. It must outlast the
            workflow and its retention, for a payload that is gone can't be brought back.
        refresh_ttl: Storing a payload that is there already lets it live on for at least `ttl`; its expiry is
            never brought forward. Redis 7 or Valkey is needed.
        max_payload_size: Largest serialized payload in bytes that is stored.

    Raises:
        ValueError: An argument makes no sense, or the client can't extend an expiry and `refresh_ttl` is on.
    """

    def __init__(
        self,
        client: RedisStorageDriverClient,
        *,
        driver_name: str = DRIVER_TYPE,
        key_prefix: str = DEFAULT_KEY_PREFIX,
        ttl: timedelta | None = None,
        refresh_ttl: bool = False,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
    ) -> None:
        layout = key_layout(key_prefix)
        super().__init__(
            driver_name=driver_name or DRIVER_TYPE, layout=layout, max_payload_size=max_payload_size
        )
        if ttl is not None and ttl <= timedelta(0):
            raise ValueError("ttl must be greater than zero")
        if refresh_ttl and ttl is None:
            raise ValueError("refresh_ttl needs a ttl")
        if refresh_ttl and type(client).extend_ttl is RedisStorageDriverClient.extend_ttl:
            raise ValueError(f"refresh_ttl needs a client with extend_ttl; {type(client).__name__} has none")
        self._client = client
        self._check_key = f"{layout.prefix}v0:check"
        self._ttl = ttl
        self._refresh_ttl = refresh_ttl

    def type(self) -> str:
        """Return the driver type, which is the same in every language."""
        return DRIVER_TYPE

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, unless the key is there already."""
        await self._client.set_many_if_absent(items=items, ttl=self._ttl, refresh_ttl=self._refresh_ttl)

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key, None where there is none."""
        return await self._client.get_many(keys=keys)

    async def check(self) -> None:
        """Raise a `StorageError` unless the server can be reached and used with these settings."""
        await self._client.check(key=self._check_key)

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Return what is found of the server."""
        written = [claim.claim_data["key"] for claim in context.written]
        return await self._client.diagnose(context, key=self._check_key, written=written, ttl=self._ttl)
