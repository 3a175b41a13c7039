"""What the driver asks of a Redis client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from temporal_payloads.plugin import Diagnosis, gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import timedelta

    from temporal_payloads.plugin import DiagnosisContext, Finding

SINGLE_COMMANDS_AT_ONCE = 32
"""How many commands the bulk methods have under way, where a client brings no bulk methods of its own."""


class RedisStorageDriverClient(ABC):
    """A Redis client as the driver sees it. Implement it to use a library other than `redis.asyncio`.

    `get` and `set_if_absent` are all that a client needs. The other methods are built on these two; override
    them where the library can do better, for instance with pipelines.

    Such a client does not bring back what a collector has put aside, so that what it stores again may be
    deleted. Where another process collects the same keys, use a `CollectableRedisClient`.
    """

    @abstractmethod
    async def get(self, *, key: str) -> bytes | None:
        """Return the bytes under a key, or None if the key does not exist."""

    @abstractmethod
    async def set_if_absent(self, *, key: str, data: bytes, ttl: timedelta | None = None) -> bool:
        """Write the bytes under a key unless the key exists: `SET key data NX [PX ttl]`, atomically.

        Args:
            key: The key.
            data: The bytes.
            ttl: After how long the key expires, in steps of milliseconds; None: never.

        Returns:
            Whether the bytes were written. A key that exists is left as it is, with its expiry.
        """

    async def extend_ttl(self, *, key: str, ttl: timedelta) -> bool:
        """Let a key live for at least `ttl` from now, and no shorter than it would have; for `refresh_ttl`.

        A key without an expiry stays without one: `PEXPIRE key ttl GT`, plus the knowledge whether it exists.

        Returns:
            Whether the key exists and lives that long. False: it is gone, and must be written again.
        """
        raise NotImplementedError(f"{type(self).__name__} has no extend_ttl")

    async def get_many(self, *, keys: Sequence[str]) -> list[bytes | None]:
        """Return the bytes under each key in the keys' order, None where a key does not exist."""

        async def get(key: str) -> bytes | None:
            return await self.get(key=key)

        return await gather_bounded(get, keys, SINGLE_COMMANDS_AT_ONCE)

    async def set_many_if_absent(
        self, *, items: Mapping[str, bytes], ttl: timedelta | None = None, refresh_ttl: bool = False
    ) -> None:
        """Write each value under its key unless the key exists.

        Args:
            items: The bytes under each key.
            ttl: After how long a key that is written here expires; None: never.
            refresh_ttl: A key that exists already lives on for at least `ttl` too.
        """

        async def set_one(item: tuple[str, bytes]) -> None:
            key, data = item
            while not await self.set_if_absent(key=key, data=data, ttl=ttl):
                # A key that was there a moment ago may have expired since: then it is written after all.
                if ttl is None or not refresh_ttl or await self.extend_ttl(key=key, ttl=ttl):
                    return

        await gather_bounded(set_one, list(items.items()), SINGLE_COMMANDS_AT_ONCE)

    async def check(self, *, key: str) -> None:
        """Raise an error unless the server can be reached and used. The key is one that never exists."""
        await self.get(key=key)

    async def diagnose(
        self,
        context: DiagnosisContext,
        *,
        key: str,
        written: Sequence[str],
        ttl: timedelta | None,
        refresh_ttl: bool = False,
    ) -> list[Finding]:
        """Return what is found of the server; nothing, unless a client knows how to look.

        Args:
            context: What core tells.
            key: One that never exists.
            written: The keys of what was stored for this check, to be deleted.
            ttl: After how long payloads expire; None: never.
            refresh_ttl: Whether storing them again makes that later.
        """
        del key, ttl, refresh_ttl
        diagnosis = Diagnosis(context=context, place=context.place)
        diagnosis.found("skipped", "store", f"{type(self).__name__} does not look at its server")
        if written:
            diagnosis.cleaned_up(written, "the store", "Delete it by hand")
        return diagnosis.findings


class CollectableRedisClient(RedisStorageDriverClient):
    """A client that can do more than store and read: with it a store can be listed, collected and moved."""

    @abstractmethod
    async def set_many(self, *, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, whatever is there, without an expiry: `SET key data`."""

    @abstractmethod
    async def run(self, *, commands: Sequence[tuple[str | int | bytes, ...]]) -> list[Any]:
        """Run commands of one key each, and return their replies in the commands' order.

        In a cluster each goes to the node that has its key. They may be run twice where an answer is lost.
        """

    @abstractmethod
    def scan(self, *, pattern: str) -> AsyncGenerator[list[bytes], None]:
        """Yield the keys of strings that fit a pattern, of all primaries: `SCAN cursor MATCH pattern`."""

    @abstractmethod
    async def eviction_policies(self) -> set[str]:
        """Return the `maxmemory-policy` of each primary."""
