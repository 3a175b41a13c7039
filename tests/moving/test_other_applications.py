"""Applications come from the SDK, its samples and codecs of their own, and go back (docs/moving.md)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from interop.peers import peer_converter
from moving.by_hand import SAMPLES_KEY, SAMPLES_KEY_ID, LegacyCodec, SampleEncryptionCodec
from moving.stories import Deployment, Move, deployment
from support.keys import variable_of
from temporalio.converter import DataConverter

if TYPE_CHECKING:
    from support.stores import RedisStore, S3Store, Store
    from temporalio.converter import PayloadCodec

OWN_CODEC = "moving.by_hand:LegacyCodec"


def plain() -> Deployment:
    """Return an application on the plain SDK, without codec and storage."""
    return Deployment(DataConverter.default, small="json/plain", large="json/plain")


def ours(store: Store, **settings: Any) -> Deployment:
    """Return an application with gzip and this store."""
    table = {"codecs": ["gzip"], "storage": {"drivers": {store.type: store.table()}}}
    return deployment(table | settings, small="binary/gzip", large=store.driver_name)


def only_reads(store: Store) -> Deployment:
    """Return an application that reads all of that, and writes what the plain SDK writes."""
    drivers = {store.type: store.table() | {"retrieve_only": True}}
    settings = {"decode_only": ["gzip"], "storage": {"drivers": drivers}}
    return deployment(settings, small="json/plain", large="json/plain")


async def test_come_from_the_plain_sdk(move: Move, redis_store: RedisStore) -> None:
    await move.in_steps(plain(), read=only_reads(redis_store), write=ours(redis_store))


async def test_come_from_the_plain_sdk_too_early(move: Move, redis_store: RedisStore) -> None:
    """What is stored waits; a signal that is encoded, and small, the SDK drops, and an update it rejects."""
    there, here = plain(), ours(redis_store)
    await move.step(there)
    await move.too_early(there, client=here, error="RuntimeError")
    await move.step(here)
    await move.everything_ends()
    await move.step(there)
    await move.is_lost(client=here)
    await move.everything_ends()


async def test_go_back_to_the_plain_sdk(move: Move, redis_store: RedisStore) -> None:
    old, reads, without = ours(redis_store), only_reads(redis_store), plain()
    await move.through(old, reads, old, reads)
    await move.everything_ends()
    await move.through(reads, without, reads)
    await move.everything_ends()


async def test_come_from_the_sample_external_storage(move: Move, s3_store: S3Store) -> None:
    async with peer_converter(s3_store) as converter:
        sample = Deployment(converter, small="binary/gzip", large="aws.s3driver")
        here = ours(s3_store, encode_failures=True)
        await move.through(sample, here, sample)
        await move.everything_ends()
        await move.close()


async def test_come_from_the_sample_external_storage_redis(move: Move, redis_store: RedisStore) -> None:
    async with peer_converter(redis_store) as converter:
        sample = Deployment(converter, small="binary/gzip", large="redis")
        here = ours(redis_store, encode_failures=True)
        await move.through(sample, here, sample)
        await move.everything_ends()
        await move.close()


async def test_come_from_the_sample_encryption(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLES_KEY", f"text:{SAMPLES_KEY}")
    written = f"binary/encrypted with {SAMPLES_KEY_ID}"
    converter = dataclasses.replace(DataConverter.default, payload_codec=SampleEncryptionCodec())
    sample = Deployment(converter, small=written, large=written)
    ring = {"active": SAMPLES_KEY_ID, "keys": {SAMPLES_KEY_ID: {"env": "SAMPLES_KEY"}}}
    here = deployment({"codecs": ["encryption"], "codec": {"encryption": ring}}, small=written, large=written)
    await move.through(sample, here, sample)
    await move.everything_ends()


INVERTED = {"small": "binary/inverted", "large": "binary/inverted"}


def by_hand(codec: PayloadCodec, **written: str) -> Deployment:
    """Return an application that has wired its own codec by hand."""
    return Deployment(dataclasses.replace(DataConverter.default, payload_codec=codec), **written)


async def replace_own(move: Move, own: Deployment, path: str, codec: str, written: str, **table: Any) -> None:
    """Name the codec of an application by its path, and replace it by one of ours, with this table."""
    was, now = {"small": own.small, "large": own.large}, {"small": written, "large": written}
    new = {"codec": {codec: table}} if table else {}
    same = deployment({"codecs": [path]}, **was)
    await move.through(own, same)
    await move.in_steps(
        same,
        read=deployment({"codecs": [path], "decode_only": [codec], **new}, **was),
        write=deployment({"codecs": [codec], "decode_only": [path], **new}, **now),
        forget=deployment({"codecs": [codec], **new}, **now),
    )
    await move.through(same, own)


async def test_come_from_a_codec_of_your_own(move: Move) -> None:
    own = by_hand(LegacyCodec(), **INVERTED)
    await replace_own(move, own, OWN_CODEC, "gzip", "binary/gzip")


@pytest.mark.parametrize(
    ("key", "variable"),
    [(SAMPLES_KEY_ID, "SAMPLES_KEY"), ("key-1", variable_of("key-1"))],
    ids=["the same key", "another key"],
)
async def test_come_from_a_copy_of_the_sample_encryption(
    move: Move, monkeypatch: pytest.MonkeyPatch, key: str, variable: str
) -> None:
    """Two codecs of one encoding, of which one takes every payload that bears it for its own."""
    monkeypatch.setenv("SAMPLES_KEY", f"text:{SAMPLES_KEY}")
    sampled = f"binary/encrypted with {SAMPLES_KEY_ID}"
    own = by_hand(SampleEncryptionCodec(), small=sampled, large=sampled)
    ring = {"active": key, "keys": {key: {"env": variable}}}
    path = "moving.by_hand:SampleEncryptionCodec"
    await replace_own(move, own, path, "encryption", f"binary/encrypted with {key}", **ring)


async def test_come_from_a_codec_of_your_own_too_early(move: Move) -> None:
    """A signal in an encoding that nobody knows waits as everything else does."""
    without = deployment({"codecs": ["gzip"]}, small="binary/gzip", large="binary/gzip")
    await move.step(without)
    await move.too_early(without, client=by_hand(LegacyCodec(), **INVERTED), error="PayloadNotDecodedError")
    both = {"codecs": ["gzip"], "decode_only": [OWN_CODEC]}
    await move.step(deployment(both, small="binary/gzip", large="binary/gzip"))
    await move.everything_ends()
