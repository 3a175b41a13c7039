"""Codecs that an application wrote by hand, or copied from Temporal's samples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES_KEY_ID = "test-key-id"
SAMPLES_KEY = "test-key-test-key-test-key-test!"


class SampleEncryptionCodec(PayloadCodec):
    """`binary/encrypted` as the sample `encryption` writes it, with the sample's key."""

    def __init__(self) -> None:
        self._cipher = AESGCM(SAMPLES_KEY.encode())

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt every payload."""
        metadata = {"encoding": b"binary/encrypted", "encryption-key-id": SAMPLES_KEY_ID.encode()}
        return [Payload(metadata=metadata, data=self._seal(each)) for each in payloads]

    def _seal(self, payload: Payload) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, payload.SerializeToString(), None)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted."""
        return [
            Payload.FromString(self._cipher.decrypt(each.data[:12], each.data[12:], None))
            if each.metadata.get("encoding") == b"binary/encrypted"
            else each
            for each in payloads
        ]


class LegacyCodec(PayloadCodec):
    """What somebody wrote years ago: every byte of the payload inverted, under an encoding of its own."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Invert every payload."""
        return [
            Payload(metadata={"encoding": b"binary/inverted"}, data=_inverted(each.SerializeToString()))
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Invert what is inverted."""
        return [
            Payload.FromString(_inverted(each.data))
            if each.metadata.get("encoding") == b"binary/inverted"
            else each
            for each in payloads
        ]


def _inverted(data: bytes) -> bytes:
    return bytes(255 - byte for byte in data)
