"""A Temporal storage driver that keeps payloads in Redis or Valkey.

Importing this package does not import `redis`: that happens when a client is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads_redis._client import CollectableRedisClient, RedisStorageDriverClient
from temporal_payloads_redis._driver import RedisStorageDriver

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

__all__ = [
    "CollectableRedisClient",
    "RedisStorageDriver",
    "RedisStorageDriverClient",
    "new_redis_asyncio_client",
]


def new_redis_asyncio_client(redis_client: Redis | RedisCluster) -> CollectableRedisClient:
    """Make a driver client from a `redis.asyncio.Redis` or `redis.asyncio.RedisCluster`.

    The caller keeps the Redis client, and closes it when the driver is no longer used. Commands are sent in
    pipelines, on at most 32 connections at once, fewer if the client's pool has a lower `max_connections`.

    Args:
        redis_client: The Redis client. `decode_responses` must be off, for payloads are bytes.

    Raises:
        TypeError: Not a client of `redis.asyncio`.
        ValueError: The client was made with `decode_responses=True`.
    """
    from temporal_payloads_redis._redis_asyncio import RedisAsyncioClient  # noqa: PLC0415  # imports redis

    return RedisAsyncioClient(redis_client)
