"""Listing the keys of payloads, and changing what becomes of them.

A key that is put aside has an expiry. Writers never give it one where no `ttl` is set, and a plain SET takes
it away in one step.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from temporal_payloads.plugin import StorageMisconfiguredError, StorageUnavailableError, change_batches

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from temporal_payloads.plugin import Change

    from temporal_payloads_redis._client import CollectableRedisClient

GRACES_ASIDE = 10
"""A key that is put aside expires after so many times the grace, should no collection come to it before."""
SHORTEST_ASIDE = timedelta(hours=1)
"""But no sooner, however short the grace."""
_SPREAD = 60_000
"""Milliseconds over which such expiries are spread, so that those of two collectors are not the same."""
_BATCH, _BATCHES_AT_ONCE = 256, 8
_NEVER, _GONE = -1, -2
"""What PEXPIRETIME answers for a key that does not expire, and for one that does not exist."""

# A key is in the state in which it was listed if it expires at the same time. If it has the very expiry that
# it is to be given, this command was run before, and its answer was lost.
_CHANGE = """\
local expires = redis.call('PEXPIRETIME', KEYS[1])
local asides = ARGV[2] == 'PEXPIREAT'
if expires == -2 then return 'gone' end
if asides and expires == tonumber(ARGV[3]) then return 'done' end
if expires ~= tonumber(ARGV[1]) or asides ~= (expires == -1) then return 'changed' end
if not asides then
    redis.call(ARGV[2], KEYS[1])
elseif ARGV[3] - redis.call('TIME')[1] * 1000 < tonumber(ARGV[4]) then
    return 'clock'
else
    redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
return 'done'
"""


class Key(NamedTuple):
    """A key as the server lists it."""

    name: str
    expires: int
    """Milliseconds since 1970; -1: never."""
    size: int

    @property
    def does_expire(self) -> bool:
        """Whether it does."""
        return self.expires != _NEVER


class Collecting:
    """What a collector does to the keys below a prefix.

    Args:
        client: To the server.
        prefix: What all keys begin with.
    """

    def __init__(self, client: CollectableRedisClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def pages(self) -> AsyncGenerator[tuple[list[Key], int], None]:
        """Yield what is below the prefix, and how many of the keys are no text. A key may come twice."""
        async for found in self._client.scan(pattern=f"{_literal(self._prefix)}*"):
            names = _texts(found)
            yield await self.look(names), len(found) - len(names)

    async def look(self, names: Sequence[str]) -> list[Key]:
        """Return those of the keys that exist."""
        commands = [(command, name) for name in names for command in ("PEXPIRETIME", "STRLEN")]
        replies = iter(await self._client.run(commands=commands))
        found = [
            Key(name, expires, size) for name, expires, size in zip(names, replies, replies, strict=True)
        ]
        return [key for key in found if key.expires != _GONE]

    async def put_aside(self, keys: Sequence[tuple[str, str]], grace: timedelta) -> list[Change]:
        """Let keys expire, each if it does not yet.

        Args:
            keys: Each with the state in which it was listed.
            grace: How long they are to be aside at least.
        """
        aside = max(GRACES_ASIDE * grace, SHORTEST_ASIDE) // timedelta(milliseconds=1)
        at = int(time.time() * 1000) + aside + secrets.randbelow(_SPREAD)
        # A time that has passed would delete the key at once: the server looks at its own clock too.
        return await self._change(keys, "PEXPIREAT", at, aside * 9 // 10)

    async def restore(self, keys: Sequence[tuple[str, str]]) -> list[Change]:
        """Let keys not expire, each if it does, and in the state in which it was listed."""
        return await self._change(keys, "PERSIST")

    async def delete(self, keys: Sequence[tuple[str, str]]) -> list[Change]:
        """Delete keys, each if it expires, and in the state in which it was listed."""
        return await self._change(keys, "UNLINK")

    async def _change(self, keys: Sequence[tuple[str, str]], command: str, *values: int) -> list[Change]:
        async def change(batch: Sequence[tuple[str, str]]) -> list[Change]:
            commands: list[tuple[str | int | bytes, ...]] = [
                ("EVAL", _CHANGE, 1, key, state, command, *values) for key, state in batch
            ]
            try:
                replies = await self._client.run(commands=commands)
            except StorageUnavailableError:
                return ["unknown"] * len(batch)
            return [self._outcome(reply) for reply in replies]

        return await change_batches(change, keys, _BATCH, _BATCHES_AT_ONCE)

    def _outcome(self, reply: bytes) -> Change:
        match reply:
            case b"done":
                return "done"
            case b"changed":
                return "changed"
            case b"gone":
                return "gone"
        raise StorageMisconfiguredError(
            "Nothing was put aside in Redis, for the clocks of this machine and of the server differ by so "
            "much that payloads would expire too early: set them"
        )

    async def require_no_eviction(self) -> None:
        """Raise an error if the server may evict what is put aside.

        Raises:
            StorageMisconfiguredError: It may.
        """
        policies = await self._client.eviction_policies() - {"noeviction"}
        if policies:
            raise StorageMisconfiguredError(
                f"The Redis server has maxmemory-policy {', '.join(sorted(policies))}: when it is full, it "
                "deletes what is put aside before anybody has seen that it is not needed. Set noeviction"
            )


class RedisState:
    """The files of a collector, each a key; see `temporal_payloads.plugin.StateStore`.

    Args:
        client: To the server.
        prefix: What the keys begin with. No key of a payload does.
    """

    def __init__(self, client: CollectableRedisClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        return await self._client.get(key=self._prefix + name)

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there."""
        await self._client.set_many(items={self._prefix + name: data})

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted. The server looks at all of its keys for it."""
        names = set()
        async for found in self._client.scan(pattern=f"{_literal(self._prefix + prefix)}*"):
            names |= {key.removeprefix(self._prefix) for key in _texts(found)}
        return sorted(names)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        await self._client.run(commands=[("UNLINK", self._prefix + name)])


def _texts(keys: Sequence[bytes]) -> list[str]:
    """Return those keys that are text; others are of another application."""
    texts = [key.decode(errors="replace") for key in keys]
    return [text for key, text in zip(keys, texts, strict=True) if text.encode() == key]


def _literal(text: str) -> str:
    """Return a pattern that stands for this text."""
    return re.sub(r"[\\*?\[\]]", r"\\\g<0>", text)
