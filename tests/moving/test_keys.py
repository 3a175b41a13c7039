"""Keys are rotated and retired, and clear payloads refused (docs/moving.md)."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from moving.stories import Deployment, Move, deployment
from support.keys import KEYS, encryption, kms_access
from temporal_payloads_encryption_codec import _ring_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_servers import S3Server
    from support.stores import RedisStore

    Encrypts = Callable[..., Deployment]


@pytest.fixture
def encrypts(redis_store: RedisStore) -> Encrypts:
    """A deployment that encrypts, with this key ring."""

    def deploy(ring: dict[str, Any], writes_with: str, **more: Any) -> Deployment:
        settings = {
            "codecs": ["gzip", "encryption"],
            "codec": {"encryption": ring},
            "storage": {"drivers": {"redis": redis_store.table()}},
        }
        return deployment(settings | more, small=f"binary/encrypted with {writes_with}", large="redis")

    return deploy


async def test_rotate_a_key(move: Move, encrypts: Encrypts) -> None:
    await move.in_steps(
        encrypts(encryption("key-1"), "key-1"),
        read=encrypts(encryption("key-1", "key-2"), "key-1"),
        write=encrypts(encryption("key-2", "key-1"), "key-2"),
    )


async def test_rotate_a_key_too_early(move: Move, encrypts: Encrypts) -> None:
    old = encrypts(encryption("key-1"), "key-1")
    reads_both = encrypts(encryption("key-1", "key-2"), "key-1")
    new = encrypts(encryption("key-2", "key-1"), "key-2")
    await move.step(old)
    await move.too_early(old, client=new, error="PayloadNotDecodedError")
    await move.step(reads_both)
    await move.everything_ends()


class Machine:
    """A machine whose key ring is a file, and a deployment that keeps running when that is replaced."""

    def __init__(self, file: Path, encrypts: Encrypts) -> None:
        self._file = file
        self._replace("key-1")
        self.deployment = encrypts({"file": str(file)}, "key-1")

    async def has(self, active: str, *others: str) -> None:
        """Replace the file by one with these keys, and wait until it has been read."""
        self._replace(active, *others)
        self.deployment.small = f"binary/encrypted with {active}"
        await asyncio.sleep(_ring_file.LOOKED_AT_EVERY)

    def _replace(self, active: str, *others: str) -> None:
        keys = "".join(f'{key} = "{base64.b64encode(KEYS[key]).decode()}"\n' for key in (active, *others))
        new = self._file.with_suffix(".new")
        new.write_text(f'active = "{active}"\n[keys]\n{keys}')
        new.replace(self._file)


async def test_rotate_a_key_without_a_restart(
    move: Move, encrypts: Encrypts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ring_file, "LOOKED_AT_EVERY", 0.05)
    one, other = (Machine(tmp_path / f"ring-{number}.toml", encrypts) for number in (1, 2))
    await move.step(one.deployment, other.deployment)
    for ring in [("key-1", "key-2"), ("key-2", "key-1"), ("key-1", "key-2")]:
        for machine in (one, other):
            await machine.has(*ring)
            await move.step(one.deployment, other.deployment)
    await move.everything_ends()
    for machine in (one, other):
        await machine.has("key-1")
        await move.step(one.deployment, other.deployment)


async def test_move_to_a_key_in_aws_kms(
    move: Move, encrypts: Encrypts, moto_server: S3Server, kms_key: str
) -> None:
    reads = encryption("key-1")
    reads["keys"][kms_key] = {}
    more = {"key_providers": {"awskms": kms_access(moto_server.endpoint_url)}}
    await move.in_steps(
        encrypts(encryption("key-1"), "key-1"),
        read=encrypts(reads, "key-1", **more),
        write=encrypts(reads | {"active": kms_key}, kms_key, **more),
    )


async def test_retire_a_key(move: Move, encrypts: Encrypts) -> None:
    has_both = encrypts(encryption("key-2", "key-1"), "key-2")
    retired = encrypts(encryption("key-2"), "key-2")
    await move.through(has_both, retired, has_both)
    await move.everything_ends()


async def test_retire_a_key_too_early(move: Move, encrypts: Encrypts) -> None:
    before = encrypts(encryption("key-1", "key-2"), "key-1")
    retired = encrypts(encryption("key-2"), "key-2")
    put_back = encrypts(encryption("key-2", "key-1"), "key-2")
    await move.step(before)
    await move.too_early(retired, client=before, error="PayloadNotDecodedError")
    await move.step(put_back)
    await move.everything_ends()


async def test_refuse_what_is_not_encrypted(move: Move, encrypts: Encrypts) -> None:
    accepts = encrypts(encryption("key-1"), "key-1")
    refuses = encrypts(encryption("key-1"), "key-1", require_encrypted=True)
    await move.through(accepts, refuses, accepts)
    await move.everything_ends()


async def test_refuse_what_is_not_encrypted_too_early(
    move: Move, encrypts: Encrypts, redis_store: RedisStore
) -> None:
    storage = {"drivers": {"redis": redis_store.table()}}
    clear = deployment({"codecs": ["gzip"], "storage": storage}, small="binary/gzip", large="redis")
    refuses = encrypts(encryption("key-1"), "key-1", require_encrypted=True)
    accepts = encrypts(encryption("key-1"), "key-1")
    await move.step(clear)
    await move.too_early(refuses, client=clear, error="PayloadNotEncryptedError")
    await move.step(accepts)
    await move.everything_ends()
