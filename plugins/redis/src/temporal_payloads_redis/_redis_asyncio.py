"""The driver's client on `redis.asyncio`: pipelines of bounded size on a bounded number of connections."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from redis import exceptions as errors
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from temporal_payloads.plugin import gather_bounded

from temporal_payloads_redis._client import CollectableRedisClient
from temporal_payloads_redis._diagnosing import ServerDiagnosis
from temporal_payloads_redis._errors import Origin, redis_errors_explained

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from temporal_payloads.plugin import DiagnosisContext, Finding

MAX_CONNECTIONS = 32
PIPELINE_BYTES = 1024 * 1024
"""Payload bytes in one pipeline: enough to hide the round trip, little enough to hold several at once."""
PIPELINE_KEYS = 256
"""Keys in one pipeline: packing or parsing so many takes the event loop a few milliseconds."""
FIRST_READ_KEYS = 8
"""Keys in the first pipeline of a read, when nothing is known yet of the payloads' sizes."""
SCAN_KEYS = 1000
"""Keys that a server looks at for one answer to SCAN, about: other commands wait meanwhile, well under a
millisecond."""
NO_EXPIRY = -1
"""What PTTL answers for a key that never expires."""

# A cluster's node is gone, or no longer has the key's slot: the client must look at the cluster again.
_CLUSTER_CHANGED = (
    errors.ConnectionError,
    errors.TimeoutError,
    errors.ClusterDownError,
    errors.MovedError,
    errors.AskError,
    errors.TryAgainError,
)


class RedisAsyncioClient(CollectableRedisClient):
    """Wraps a `redis.asyncio` client, which it does not close.

    Args:
        redis_client: The client of a server or a cluster, without `decode_responses`.
        origin: How errors call the server and its settings; by default taken from the client.
        connections: How many connections to use at once (in a cluster, to each node).
    """

    def __init__(
        self,
        redis_client: Redis | RedisCluster,
        *,
        origin: Origin | None = None,
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        if not isinstance(redis_client, Redis | RedisCluster):
            raise TypeError(
                "redis_client must be a redis.asyncio.Redis or redis.asyncio.RedisCluster, "
                f"not a {type(redis_client).__module__}.{type(redis_client).__name__}"
            )
        if redis_client.get_encoder().decode_responses:
            raise ValueError(
                "The Redis client was made with decode_responses=True, but payloads are bytes: "
                "make a client with decode_responses=False"
            )
        self._redis = redis_client
        self._origin = origin or _origin_of(redis_client)
        self._connections = min(connections, _pool_size(redis_client))
        # redis-py raises an error when its pool is used up, so wait here for a turn.
        self._turns = asyncio.Semaphore(self._connections)

    async def get(self, *, key: str) -> bytes | None:
        """Return the bytes under a key, or None if the key does not exist."""
        (value,) = await self._run([("GET", key)])
        return cast("bytes | None", value)

    async def set_if_absent(self, *, key: str, data: bytes, ttl: timedelta | None = None) -> bool:
        """Write the bytes under a key unless the key exists."""
        (written,) = await self._run([_set(key, data, _milliseconds(ttl))])
        return bool(written)

    async def extend_ttl(self, *, key: str, ttl: timedelta) -> bool:
        """Let a key live for at least `ttl` from now; False if it does not exist."""
        milliseconds = _milliseconds(ttl)
        extended, left = await self._run([("PEXPIRE", key, milliseconds, "GT"), ("PTTL", key)])
        return bool(extended) or left == NO_EXPIRY or left >= milliseconds

    async def get_many(self, *, keys: Sequence[str]) -> list[bytes | None]:
        """Return the bytes under each key, in pipelines sized by the largest value seen so far."""
        found: dict[str, bytes | None] = {}
        largest = 1

        async def fetch(wanted: Sequence[str]) -> None:
            nonlocal largest
            values = await self._get(wanted)
            found.update(zip(wanted, values, strict=True))
            largest = max(largest, *(len(value or b"") for value in values))

        def batches() -> Iterator[Sequence[str]]:
            start = FIRST_READ_KEYS
            while start < len(keys):
                end = start + min(PIPELINE_KEYS, max(1, PIPELINE_BYTES // largest))
                yield keys[start:end]
                start = end

        if keys:
            await fetch(keys[:FIRST_READ_KEYS])
        rest = batches()

        async def reader(_: int) -> None:
            for batch in rest:
                await fetch(batch)

        expected = max(0, len(keys) - FIRST_READ_KEYS) * largest / PIPELINE_BYTES
        readers = min(self._connections, max(1, math.ceil(expected)))
        await gather_bounded(reader, range(readers), readers)
        return [found[key] for key in keys]

    async def set_many_if_absent(
        self, *, items: Mapping[str, bytes], ttl: timedelta | None = None, refresh_ttl: bool = False
    ) -> None:
        """Write each value under its key unless the key exists, in pipelines."""
        milliseconds = _milliseconds(ttl)

        async def write(batch: dict[str, bytes]) -> None:
            if milliseconds is not None and refresh_ttl:
                await self._set_and_refresh(batch, milliseconds)
            else:
                await self._run([_set(key, data, milliseconds) for key, data in batch.items()])

        await gather_bounded(write, list(_batches(items)), self._connections)

    async def set_many(self, *, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, whatever is there, in pipelines."""

        async def write(batch: dict[str, bytes]) -> None:
            await self._run([("SET", key, data) for key, data in batch.items()])

        await gather_bounded(write, list(_batches(items)), self._connections)

    async def run(self, *, commands: Sequence[tuple[str | int | bytes, ...]]) -> list[Any]:
        """Run commands of one key each, in pipelines."""
        batches = [commands[at : at + PIPELINE_KEYS] for at in range(0, len(commands), PIPELINE_KEYS)]
        replies = await gather_bounded(self._run, batches, self._connections) if batches else []
        return [reply for batch in replies for reply in batch]

    async def scan(self, *, pattern: str) -> AsyncGenerator[list[bytes], None]:
        """Yield the keys of strings that fit a pattern, node by node."""
        for node in await self._primaries():
            cursor, command = None, ("MATCH", pattern, "COUNT", SCAN_KEYS, "TYPE", "string")
            while cursor != 0:
                cursor, keys = await self._ask(node, "SCAN", cursor or 0, *command)
                if isinstance(cursor, dict):  # of a cluster: by the node's name
                    (cursor,) = cursor.values()
                yield keys

    async def eviction_policies(self) -> set[str]:
        """Return the `maxmemory-policy` of each primary."""
        return {
            str((await self._ask(node, "INFO", "memory"))["maxmemory_policy"])
            for node in await self._primaries()
        }

    async def _primaries(self) -> list[ClusterNode | None]:
        """Return a cluster's primaries, or None for the one server that there is."""
        if not isinstance(self._redis, RedisCluster):
            return [None]
        with redis_errors_explained(self._origin):
            await self._redis.initialize()
        return list(self._redis.get_primaries())

    async def _ask(self, node: ClusterNode | None, *command: str | int | bytes) -> Any:
        async with self._turns:
            with redis_errors_explained(self._origin):
                if isinstance(self._redis, RedisCluster):
                    return await self._redis.execute_command(*command, target_nodes=node)
                return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]  # in redis-py

    async def check(self, *, key: str) -> None:
        """Raise a storage error if the server can't be reached, refuses access, or is a replica."""
        async with self._turns:
            with redis_errors_explained(self._origin):
                if isinstance(self._redis, RedisCluster):
                    await self._redis.ping(target_nodes=RedisCluster.PRIMARIES)
                else:
                    await self._redis.ping()
                await self._redis.get(key)
                # Writes nothing, for the key never exists; but a replica refuses it all the same, and no
                # permission beyond the driver's own is needed, as it would be for ROLE or INFO.
                with suppress(errors.NoPermissionError, errors.OutOfMemoryError):  # reading is still good
                    await self._redis.set(key, b"", xx=True)

    async def diagnose(
        self,
        context: DiagnosisContext,
        *,
        key: str,
        written: Sequence[str],
        ttl: timedelta | None,
        refresh_ttl: bool = False,
    ) -> list[Finding]:
        """Return what is found of the server, or of the cluster's."""
        async with self._turns:
            with redis_errors_explained(self._origin):
                return await ServerDiagnosis(
                    self._redis,
                    self._origin,
                    key,
                    written,
                    ttl,
                    refresh_ttl,
                    context=context,
                    place=self._origin.address,
                ).run()

    async def _set_and_refresh(self, items: dict[str, bytes], milliseconds: int) -> None:
        """Write or extend each key; whichever it was, the key lives on for at least the given time."""
        while items:
            commands: list[tuple[Any, ...]] = []
            for key, data in items.items():
                commands += _set(key, data, milliseconds), ("PEXPIRE", key, milliseconds, "GT"), ("PTTL", key)
            replies = iter(await self._run(commands))
            # GT refuses both a key that lives longer and one that has expired since SET found it. PTTL tells
            # them apart, and what has gone is written in the next round.
            items = {
                key: data
                for (key, data), written, extended, left in zip(
                    items.items(), replies, replies, replies, strict=True
                )
                if not (written or extended or left == NO_EXPIRY or left >= milliseconds)
            }

    async def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        if isinstance(self._redis, RedisCluster):  # where MGET is limited to the keys of one slot
            return await self._run([("GET", key) for key in keys])
        (values,) = await self._run([("MGET", *keys)])
        return cast("list[bytes | None]", values)

    async def _run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run commands in one pipeline (in a cluster, one for each node) and return their replies."""
        async with self._turns:
            with redis_errors_explained(self._origin):
                pipeline = (
                    self._redis.pipeline()
                    if isinstance(self._redis, RedisCluster)
                    else self._redis.pipeline(transaction=False)
                )
                for command in commands:
                    pipeline.execute_command(*command)
                # raise_on_error would put the command, payload and all, into the error's message.
                replies = await pipeline.execute(raise_on_error=False)
                for index, reply in enumerate(replies):
                    if not isinstance(reply, Exception):
                        continue
                    if isinstance(self._redis, RedisCluster) and isinstance(reply, _CLUSTER_CHANGED):
                        # Alone, a command follows the change of the cluster. All of ours can be repeated.
                        replies[index] = await self._redis.execute_command(*commands[index])
                    else:
                        raise reply
                return replies


def _set(key: str, data: bytes, milliseconds: int | None) -> tuple[Any, ...]:
    expiry = () if milliseconds is None else ("PX", milliseconds)
    return ("SET", key, data, "NX", *expiry)


def _milliseconds(ttl: timedelta | None) -> int | None:
    return None if ttl is None else math.ceil(ttl / timedelta(milliseconds=1))


def _batches(items: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    batch: dict[str, bytes] = {}
    size = 0
    for key, data in items.items():
        if batch and (size + len(data) > PIPELINE_BYTES or len(batch) == PIPELINE_KEYS):
            yield batch
            batch, size = {}, 0
        batch[key] = data
        size += len(data)
    if batch:
        yield batch


def _pool_size(redis_client: Redis | RedisCluster) -> int:
    if isinstance(redis_client, RedisCluster):
        return int(redis_client.get_connection_kwargs()["max_connections"] or 1)
    return int(redis_client.connection_pool.max_connections)


def _origin_of(redis_client: Redis | RedisCluster) -> Origin:
    if isinstance(redis_client, RedisCluster):
        nodes = ",".join(redis_client.nodes_manager.startup_nodes)
        return Origin(server=nodes, cluster=True)
    kwargs = redis_client.connection_pool.connection_kwargs
    where = kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"
    return Origin(server=where)
