"""Codecs are added, replaced and dropped, encryption is switched on (docs/moving.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moving.stories import Deployment, Move, deployment
from support.keys import encryption

if TYPE_CHECKING:
    from support.stores import RedisStore

KEY = {"encryption": encryption("key-1")}


class Codecs:
    """Deployments of codecs, with large values in Redis."""

    def __init__(self, store: RedisStore) -> None:
        self._storage = {"drivers": {"redis": store.table()}}

    def __call__(
        self, *codecs: str, decode_only: list[str] | None = None, small: str, **more: Any
    ) -> Deployment:
        """Return the deployment with these codecs."""
        settings = {"codecs": codecs, "decode_only": decode_only or [], "storage": self._storage, **more}
        return deployment(settings, small=small, large="redis")


@pytest.fixture
def codecs(redis_store: RedisStore) -> Codecs:
    """Deployments of codecs."""
    return Codecs(redis_store)


async def test_add_a_codec(move: Move, codecs: Codecs) -> None:
    await move.in_steps(
        codecs(small="json/plain"),
        read=codecs(decode_only=["gzip"], small="json/plain"),
        write=codecs("gzip", small="binary/gzip"),
    )


async def test_add_a_codec_too_early(move: Move, codecs: Codecs) -> None:
    without, writes = codecs(small="json/plain"), codecs("gzip", small="binary/gzip")
    await move.step(without)
    await move.too_early(without, client=writes, error="PayloadNotDecodedError")
    await move.step(writes)
    await move.everything_ends()


async def test_replace_a_codec(move: Move, codecs: Codecs) -> None:
    await move.in_steps(
        codecs("gzip", small="binary/gzip"),
        read=codecs("gzip", decode_only=["zstd"], small="binary/gzip"),
        write=codecs("zstd", decode_only=["gzip"], small="binary/zstd"),
        forget=codecs("zstd", small="binary/zstd"),
    )


async def test_drop_a_codec(move: Move, codecs: Codecs) -> None:
    old = codecs("gzip", small="binary/gzip")
    reads = codecs(decode_only=["gzip"], small="json/plain")
    without = codecs(small="json/plain")
    await move.through(old, reads, old, reads)
    await move.everything_ends()
    await move.through(reads, without, reads)
    await move.everything_ends()


async def test_drop_a_codec_too_early(move: Move, codecs: Codecs) -> None:
    old = codecs("gzip", small="binary/gzip")
    reads = codecs(decode_only=["gzip"], small="json/plain")
    without = codecs(small="json/plain")
    await move.step(old)
    await move.too_early(without, client=old, error="PayloadNotDecodedError")
    await move.step(reads)
    await move.everything_ends()


async def test_switch_encryption_on(move: Move, codecs: Codecs) -> None:
    await move.in_steps(
        codecs("gzip", small="binary/gzip"),
        read=codecs("gzip", decode_only=["encryption"], codec=KEY, small="binary/gzip"),
        write=codecs("gzip", "encryption", codec=KEY, small="binary/encrypted with key-1"),
    )


async def test_switch_encryption_on_too_early(move: Move, codecs: Codecs) -> None:
    without = codecs("gzip", small="binary/gzip")
    writes = codecs("gzip", "encryption", codec=KEY, small="binary/encrypted with key-1")
    await move.step(without)
    await move.too_early(without, client=writes, error="PayloadNotDecodedError")
    await move.step(writes)
    await move.cannot_be_read(writer=writes, reader=without, error="PayloadNotDecodedError")
    await move.everything_ends()
