"""The storage driver: payloads under content-addressed keys in Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    CollectableDriver,
    ContentAddressedDriver,
    ListedPage,
    StorageMisconfiguredError,
    probe_conditions,
)

from temporal_payloads_redis._client import CollectableRedisClient, RedisStorageDriverClient
from temporal_payloads_redis._collecting import Collecting, Key, RedisState
from temporal_payloads_redis._keys import DEFAULT_KEY_PREFIX, key_layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from temporal_payloads.plugin import Change, DiagnosisContext, Finding, ListedPayload

DRIVER_TYPE = "redis"
ALL_KEYS = "all"
"""The one part of a listing: a server looks at all of its keys for any."""


class RedisStorageDriver(ContentAddressedDriver, CollectableDriver):
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
        self._state_prefix = f"{layout.prefix}state:"
        self._check_key = f"{layout.prefix}v0:check"
        self._ttl = ttl
        self._refresh_ttl = refresh_ttl

    def type(self) -> str:
        """Return the driver type, which is the same in every language."""
        return DRIVER_TYPE

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key.

        Without a `ttl` also where the key is there already: it may be put aside, and is not afterwards.
        """
        if self._ttl is None and isinstance(self._client, CollectableRedisClient):
            await self._client.set_many(items=items)
            return
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
        return await self._client.diagnose(
            context, key=self._check_key, written=written, ttl=self._ttl, refresh_ttl=self._refresh_ttl
        )

    # -- what a collector asks for

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return one part: a server looks at all of its keys, whichever are asked for."""
        del namespaces
        return [ALL_KEYS]

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what is below the prefix, in a cluster primary by primary."""
        del shard
        async for keys, foreign in self._collecting.pages():
            payloads = [one for key in keys if (one := self._listed(key))]
            files = sum(key.name.startswith(self._state_prefix) for key in keys)
            yield ListedPage(payloads=payloads, others=foreign + len(keys) - len(payloads) - files)

    def _listed(self, key: Key) -> ListedPayload | None:
        # With a ttl every payload has an expiry, and none is aside.
        aside = key.does_expire and self._ttl is None
        return self.listed(key.name, size=key.size, tag=str(key.expires), aside=aside)

    async def probe(self) -> None:
        """Make sure that the server is Redis 7 or Valkey, does as it is told, and evicts nothing.

        Raises:
            StorageError: Why nothing may be deleted.
        """
        collecting = self._collecting

        async def look(key: str) -> ListedPayload | None:
            found = await collecting.look([key])
            return self._listed(found[0]) if found else None

        await collecting.require_no_eviction()
        await probe_conditions(self, look)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Let payloads expire after ten times the grace. They can be read until then."""
        return await self._collecting.put_aside(self._keys(payloads), grace)

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Let payloads not expire."""
        return await self._collecting.restore(self._keys(payloads))

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are put aside."""
        return await self._collecting.delete(self._keys(payloads))

    def _keys(self, payloads: Sequence[ListedPayload]) -> list[tuple[str, str]]:
        if why := self.why_not_collected():
            raise StorageMisconfiguredError(f"Nothing of driver {self.name()!r} is collected: {why}")
        return [(self.key_of(payload), payload.tag) for payload in payloads]

    def state(self) -> RedisState:
        """Return where a collector keeps its files: in keys that begin with `state:` after the prefix."""
        return RedisState(self._collectable, self._state_prefix)

    def why_not_collected(self) -> str | None:
        """Return why nothing is collected: payloads expire, or the client can't do it."""
        if self._ttl is not None:
            return f"its payloads expire by themselves, {self._ttl} after they were stored (ttl)"
        if not isinstance(self._client, CollectableRedisClient):
            return (
                f"its client, {type(self._client).__name__}, is no CollectableRedisClient, and so cannot "
                "list and change keys"
            )
        return None

    @property
    def _collectable(self) -> CollectableRedisClient:
        if isinstance(self._client, CollectableRedisClient):
            return self._client
        raise StorageMisconfiguredError(
            f"The keys of driver {self.name()!r} cannot be listed: {self.why_not_collected()}"
        )

    @property
    def _collecting(self) -> Collecting:
        return Collecting(self._collectable, self._layout.prefix)
