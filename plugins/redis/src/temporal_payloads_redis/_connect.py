"""From settings to an open client."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from temporal_payloads_redis._errors import Origin, redis_errors_explained
from temporal_payloads_redis._redis_asyncio import RedisAsyncioClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporal_payloads.plugin import DriverContext

    from temporal_payloads_redis._settings import RedisSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between attempts: doubled from one to the next, with jitter."""


@asynccontextmanager
async def open_client(settings: RedisSettings, context: DriverContext) -> AsyncIterator[RedisAsyncioClient]:
    """Make a client and close it at exit. It connects at the first command."""
    connections = settings.pool_size or context.concurrency
    origin = _origin(settings, context)
    with redis_errors_explained(origin):
        redis_client, sentinels = _redis_client(settings, connections)
    async with AsyncExitStack() as closing:
        for client in (redis_client, *sentinels):
            closing.push_async_callback(client.aclose)
        yield RedisAsyncioClient(redis_client, origin=origin, connections=connections)


def _redis_client(settings: RedisSettings, connections: int) -> tuple[Redis | RedisCluster, list[Redis]]:
    """Return the client, and the clients of the Sentinels that it asks."""
    username, password = settings.login
    transport = _transport(settings)
    options: dict[str, Any] = {
        **transport,
        "username": username,
        "password": password,
        "max_connections": connections,
    }
    if settings.cluster:
        startup_nodes = [ClusterNode(host, port) for host, port in settings.nodes]
        return RedisCluster(startup_nodes=startup_nodes, retry=_retry(settings), **options), []
    options |= {"db": settings.database_number, "retry": _retry(settings)}
    if settings.sentinel:
        asking = {"username": settings.sentinel.username, "password": None, **transport}
        if settings.sentinel.password:
            asking["password"] = settings.sentinel.password.get_secret_value()
        # No retries of their own: the next Sentinel is asked, and the connection to the primary retries.
        sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py annotates it in part only
            list(settings.nodes), sentinel_kwargs={**asking, "retry": None}
        )
        return sentinel.master_for(settings.sentinel.service_name, **options), sentinel.sentinels
    ((host, port),) = settings.nodes
    return Redis(host=host, port=port, **options), []


def _transport(settings: RedisSettings) -> dict[str, Any]:
    transport: dict[str, Any] = {
        # RESP2 does all that is needed here, without a handshake, and through every proxy.
        "protocol": 2,
        "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        "socket_timeout": settings.timeout.total_seconds(),
    }
    if settings.uses_tls:
        transport |= {
            "ssl": True,
            "ssl_ca_certs": _path(settings.ca_file),
            "ssl_certfile": _path(settings.cert_file),
            "ssl_keyfile": _path(settings.key_file),
            "ssl_check_hostname": settings.check_hostname,
        }
    return transport


def _path(path: Any) -> str | None:
    return None if path is None else str(path)


def _retry(settings: RedisSettings) -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=FIRST_PAUSE, cap=LONGEST_PAUSE), settings.retries)


def _origin(settings: RedisSettings, context: DriverContext) -> Origin:
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in settings.nodes)
    if settings.sentinel:
        return Origin(
            server=f"{settings.sentinel.service_name!r} of {hosts}",
            address_setting="sentinel.hosts",
            place=context.place,
            tls=settings.uses_tls,
        )
    scheme = "rediss" if settings.uses_tls else "redis"
    database = "" if settings.cluster else f"/{settings.database_number}"
    address_setting = "url" if settings.url else "host" if settings.host else "cluster"
    return Origin(
        server=f"{scheme}://{hosts}{database}",
        address_setting=address_setting,
        place=context.place,
        tls=settings.uses_tls,
        cluster=bool(settings.cluster),
    )
