"""Payloads and their encrypted form.

The data of a sealed payload is a nonce of 12 bytes, the ciphertext, and a tag of 16 bytes: AES-GCM over the
serialized payload, as Temporal's samples write it. The metadata is `encoding` and `encryption-key-id`; for a
key that a provider keeps also `encryption-dek`, the wrapped data key in base64, as temporal-proxy writes it;
for a payload that is bound to its namespace also `encryption-bind`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM
from google.protobuf.message import DecodeError
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PerPayloadCodec,
    data_prefix,
    run_off_loop,
    serialize,
)
from temporalio.api.common.v1 import Payload

from temporal_payloads_encryption_codec._nonces import NONCE_SIZE, NonceOf, nonce_key

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
DATA_KEY = "encryption-dek"
BIND = "encryption-bind"
NAMESPACE = b"namespace"
TAG_SIZE = 16
_SPEED = 4
"""How many times faster than most work on bytes this is; decides on threads."""
_MOST_KEPT = 1024 * 1024
"""Bytes of a buffer for encrypted data that a thread keeps."""
_EACH = 8 * 1024
"""Bytes of most work that take as long as whatever a payload costs however small it is."""


def associated_data(namespace: str) -> bytes:
    """Return what binds a payload to a namespace."""
    return b"temporal-payloads namespace " + namespace.encode()


class SealingKey:
    """A key, as it encrypts.

    Args:
        key: Its bytes.
    """

    def __init__(self, key: bytes) -> None:
        self.at_once = AESGCM(key)
        self.in_pieces = AES256(key)
        self.nonce_key = nonce_key(key)


@lru_cache(maxsize=256)
def metadata_of(key_id: str, wrapped: bytes | None, is_bound: bool) -> bytes:
    """Return the metadata of a sealed payload, serialized as the beginning of it.

    Args:
        key_id: Of the key that encrypts.
        wrapped: The wrapped data key in base64, if it is a data key.
        is_bound: Whether the payload is bound to its namespace.
    """
    metadata = {"encoding": ENCODING, KEY_ID: key_id.encode()}
    if wrapped is not None:
        metadata[DATA_KEY] = wrapped
    if is_bound:
        metadata[BIND] = NAMESPACE
    return Payload(metadata=metadata).SerializeToString(deterministic=True)


class _Room(threading.local):
    """A buffer for each thread, which is used again: the system takes its time to give memory out."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def __call__(self, size: int) -> bytearray:
        """Return a buffer of this size, until the next call."""
        if size > _MOST_KEPT:
            return bytearray(size)
        if size > len(self._kept):
            self._kept = bytearray(size)
        else:
            del self._kept[size:]
        return self._kept


_room = _Room()


@dataclass(frozen=True)
class Sealing(PerPayloadCodec):
    """Seals payloads with one key."""

    key: SealingKey
    metadata: bytes
    """See `metadata_of`."""
    associated_data: bytes | None
    nonce_of: NonceOf

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload; see `PerPayloadCodec.encode`."""
        if len(payloads) != 1:
            return await super().encode(payloads)
        # Most calls are about one payload, which need not be copied just to tell its size.
        pieces = list(serialize(payloads[0]))
        return [await run_off_loop(lambda: self._seal(pieces), sum(map(len, pieces)) // _SPEED)]

    def encode_payload(self, payload: Payload) -> Payload:
        """Return the sealed payload."""
        return self._seal(list(serialize(payload)))

    def _seal(self, pieces: list[bytes]) -> Payload:
        """Return the sealed payload, of the serialized one, which is given up as soon as it is encrypted."""
        nonce = self.nonce_of(self.key.nonce_key, self.associated_data, pieces)
        size = NONCE_SIZE + sum(map(len, pieces)) + TAG_SIZE
        # Encrypted to where protobuf reads it from: a copy of a large payload takes as long as encryption.
        head = self.metadata + data_prefix(size) + nonce
        sealed = _room(len(head) - NONCE_SIZE + size)
        sealed[: len(head)] = head
        with memoryview(sealed)[len(head) :] as room:
            self._encrypt(nonce, pieces, room)
        pieces.clear()
        return Payload.FromString(sealed)  # type: ignore[arg-type]  # it takes any buffer

    def _encrypt(self, nonce: bytes, pieces: Sequence[bytes], room: memoryview) -> None:
        if len(pieces) == 1:
            self.key.at_once.encrypt_into(nonce, pieces[0], self.associated_data, room)
            return
        encryptor = Cipher(self.key.in_pieces, GCM(nonce)).encryptor()
        if self.associated_data is not None:
            encryptor.authenticate_additional_data(self.associated_data)
        at = 0
        for piece in pieces:
            at += encryptor.update_into(piece, room[at:])
        encryptor.finalize()
        room[at:] = encryptor.tag

    def encode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.encode_cost`."""
        return _EACH + len(payload.data) // _SPEED

    def decode_payload(self, payload: Payload) -> Payload:
        """Not for this object."""
        raise NotImplementedError


@dataclass(frozen=True)
class Lock:
    """What it takes to open a payload."""

    cipher: AESGCM
    key_id: str
    associated_data: Sequence[bytes | None]
    """What the payload may be bound to; one of these."""


@dataclass(frozen=True)
class Opening(PerPayloadCodec):
    """Opens payloads, each with its own key."""

    locks: Mapping[int, Lock]
    """By the `id` of the payload."""

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each payload; see `PerPayloadCodec.decode`."""
        if len(payloads) != 1:
            return await super().decode(payloads)
        lock = self.locks.get(id(payloads[0]))
        if lock is None:
            return list(payloads)
        data = [payloads[0].data]  # once, as in `Sealing.encode`
        return [await run_off_loop(lambda: _unseal(lock, data), len(data[0]) // _SPEED)]

    def decode_payload(self, payload: Payload) -> Payload:
        """Return what was sealed; a payload without a lock as it is.

        Raises:
            PayloadIntegrityError: It was not sealed like this.
        """
        lock = self.locks.get(id(payload))
        return payload if lock is None else _unseal(lock, [payload.data])

    def decode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.decode_cost`."""
        return _EACH + len(payload.data) // _SPEED

    def encode_payload(self, payload: Payload) -> Payload:
        """Not for this object."""
        raise NotImplementedError


def _unseal(lock: Lock, held: list[bytes]) -> Payload:
    """Return what was sealed. The bytes that are held are given up as soon as they are decrypted."""
    data = held.pop()
    if len(data) < NONCE_SIZE + TAG_SIZE:
        raise PayloadIntegrityError(
            f"A payload that the key {lock.key_id!r} is said to have encrypted has {len(data)} bytes: it "
            "was cut"
        )
    with memoryview(data) as sealed:
        serialized = _open(lock, data[:NONCE_SIZE], sealed[NONCE_SIZE:])
    del data
    try:
        return Payload.FromString(serialized)
    except DecodeError as error:
        raise PayloadIntegrityError(
            f"What the key {lock.key_id!r} has encrypted is not a serialized payload"
        ) from error


def _open(lock: Lock, nonce: bytes, sealed: memoryview) -> bytes:
    for associated in lock.associated_data:
        try:
            return lock.cipher.decrypt(nonce, sealed, associated)
        except InvalidTag:
            continue
    bound = " It is bound to a namespace, and this may be another one." if lock.associated_data[0] else ""
    raise PayloadIntegrityError(
        f"A payload that the key {lock.key_id!r} is said to have encrypted cannot be decrypted with that "
        f"key: it was changed, or another key has the same id where it was written.{bound}"
    )
