"""Stores, drivers' names, key prefixes and the threshold change (docs/moving.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moving.stories import Deployment, Move, deployment
from support.proxy import TcpProxy

if TYPE_CHECKING:
    from support.stores import RedisStore, S3Store

READ = {"retrieve_only": True}


def stores(
    drivers: dict[str, dict[str, Any]], *, large: str, small: str = "binary/gzip", **storage: Any
) -> Deployment:
    """Return a deployment with these drivers, of which one writes."""
    return deployment(
        {"codecs": ["gzip"], "storage": {"drivers": drivers} | storage}, small=small, large=large
    )


async def test_change_the_store(move: Move, s3_store: S3Store, redis_store: RedisStore) -> None:
    s3, redis = s3_store.table(), redis_store.table()
    await move.in_steps(
        stores({"s3": s3}, large="aws.s3driver"),
        read=stores({"s3": s3, "redis": redis | READ}, large="aws.s3driver"),
        write=stores({"redis": redis, "s3": s3 | READ}, large="redis"),
        forget=stores({"redis": redis}, large="redis"),
    )


async def test_change_the_store_too_early(move: Move, s3_store: S3Store, redis_store: RedisStore) -> None:
    s3, redis = s3_store.table(), redis_store.table()
    old = stores({"s3": s3}, large="aws.s3driver")
    new = stores({"redis": redis, "s3": s3 | READ}, large="redis")
    await move.step(old)
    await move.too_early(old, client=new, error="UnknownDriverError")
    await move.step(new)
    await move.everything_ends()


async def test_switch_a_fallback_on(move: Move, s3_store: S3Store, redis_store: RedisStore) -> None:
    async with TcpProxy(*s3_store.address) as proxy:
        s3, redis = s3_store.through(proxy.port).table(), redis_store.table()
        at_once: dict[str, Any] = {"driver": "s3", "circuit": False}
        with_fallback = {"s3": s3 | {"fallback": "redis"}, "redis": redis}
        read = stores({"s3": s3, "redis": redis | READ}, large="aws.s3driver", **at_once)
        write = stores(with_fallback, large="aws.s3driver", **at_once)
        await move.in_steps(stores({"s3": s3}, large="aws.s3driver", **at_once), read=read, write=write)
        await proxy.cut()
        without_s3 = stores(with_fallback, large="redis", **at_once)
        await move.step(without_s3)
        await move.step(without_s3)
        await proxy.restore()
        await move.through(without_s3, write, read)
        await move.everything_ends()
        await move.close()


async def test_switch_a_fallback_on_too_early(move: Move, s3_store: S3Store, redis_store: RedisStore) -> None:
    s3, redis = s3_store.table(), redis_store.table()
    async with TcpProxy(*s3_store.address) as proxy:
        cut_off = s3_store.through(proxy.port).table()
    old = stores({"s3": s3}, large="aws.s3driver")
    new = stores({"s3": cut_off | {"fallback": "redis"}, "redis": redis}, large="redis", driver="s3")
    await move.step(old)
    await move.too_early(old, client=new, error="UnknownDriverError")
    await move.step(stores({"s3": s3, "redis": redis | READ}, large="aws.s3driver"))
    await move.everything_ends()


async def test_rename_a_driver(move: Move, redis_store: RedisStore) -> None:
    redis = redis_store.table()
    renamed = redis | {"driver_name": "orders"}
    await move.in_steps(
        stores({"redis": redis}, large="redis"),
        read=stores({"redis": redis | {"read_aliases": ["orders"]}}, large="redis"),
        write=stores({"redis": renamed | {"read_aliases": ["redis"]}}, large="orders"),
        forget=stores({"redis": renamed}, large="orders"),
    )


async def test_change_a_key_prefix(move: Move, redis_store: RedisStore) -> None:
    redis = redis_store.table()
    orders = redis | {"type": "redis", "key_prefix": "orders"}
    await move.in_steps(
        stores({"redis": redis}, large="redis"),
        read=stores({"redis": redis, "orders": orders | READ}, large="redis"),
        write=stores({"redis": redis | READ, "orders": orders}, large="orders"),
        forget=stores({"orders": orders}, large="orders"),
    )


async def test_change_a_bucket(move: Move, s3_store: S3Store) -> None:
    s3_store.server.create_bucket("orders")
    s3 = s3_store.table()
    orders = s3 | {"type": "s3", "bucket": "orders"}
    await move.in_steps(
        stores({"s3": s3}, large="aws.s3driver"),
        read=stores({"s3": s3, "orders": orders | READ}, large="aws.s3driver"),
        write=stores({"s3": s3 | READ, "orders": orders}, large="orders"),
        forget=stores({"orders": orders}, large="orders"),
    )


async def test_change_a_key_prefix_in_place(move: Move, redis_store: RedisStore) -> None:
    """One table, one recorded name: what it stored under the earlier prefix lies outside of it."""
    redis = redis_store.table()
    old = stores({"redis": redis}, large="redis")
    in_place = stores({"redis": redis | {"key_prefix": "orders"}}, large="redis")
    await move.step(old)
    await move.too_early(in_place, client=old, error="ClaimRejectedError")
    await move.step(old)
    await move.everything_ends()


async def test_raise_or_lower_the_threshold(move: Move, redis_store: RedisStore) -> None:
    redis = {"redis": redis_store.table()}
    usual = stores(redis, large="redis")
    nothing_inline = stores(redis, small="redis", large="redis", threshold=0)
    nothing_stored = stores(redis, large="binary/gzip", threshold="1MiB")
    await move.through(usual, nothing_inline, usual, nothing_stored, usual)
    await move.everything_ends()
