"""Applications come from the SDK, its samples and codecs of their own, and go back (docs/moving.md)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from interop.peers import peer_converter
from moving.by_hand import SAMPLES_KEY, SAMPLES_KEY_ID, LegacyCodec, SampleEncryptionCodec
from moving.stories import Deployment, Move, deployment
from temporalio.converter import DataConverter

if TYPE_CHECKING:
    from support.stores import RedisStore, S3Store, Store

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
GZIP = {"small": "binary/gzip", "large": "binary/gzip"}


def by_hand() -> Deployment:
    """Return an application that has wired its own codec by hand."""
    return Deployment(dataclasses.replace(DataConverter.default, payload_codec=LegacyCodec()), **INVERTED)


async def test_come_from_a_codec_of_your_own(move: Move) -> None:
    same = deployment({"codecs": [OWN_CODEC]}, **INVERTED)
    await move.through(by_hand(), same)
    await move.in_steps(
        same,
        read=deployment({"codecs": [OWN_CODEC], "decode_only": ["gzip"]}, **INVERTED),
        write=deployment({"codecs": ["gzip"], "decode_only": [OWN_CODEC]}, **GZIP),
        forget=deployment({"codecs": ["gzip"]}, **GZIP),
    )
    await move.through(same, by_hand())


async def test_come_from_a_codec_of_your_own_too_early(move: Move) -> None:
    """A signal in an encoding that nobody knows waits as everything else does."""
    without = deployment({"codecs": ["gzip"]}, **GZIP)
    await move.step(without)
    await move.too_early(without, client=by_hand(), error="PayloadNotDecodedError")
    await move.step(deployment({"codecs": ["gzip"], "decode_only": [OWN_CODEC]}, **GZIP))
    await move.everything_ends()
