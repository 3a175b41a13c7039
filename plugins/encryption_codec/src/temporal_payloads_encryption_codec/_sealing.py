"""Payloads and their encrypted form.

The data of a sealed payload is a nonce of 12 bytes, the ciphertext, and a tag of 16 bytes: AES-GCM over the
serialized payload, as Temporal's samples write it. The metadata is `encoding` and `encryption-key-id`; for a
key
that a provider keeps also `encryption-dek`, the wrapped data key in base64, as temporal-proxy writes it; for
a
payload that is bound to its namespace also `encryption-bind`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporal_payloads.plugin import PayloadIntegrityError, PerPayloadCodec, serialize
from temporalio.api.common.v1 import Payload

from temporal_payloads_encryption_codec._nonces import NONCE_SIZE

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
DATA_KEY = "encryption-dek"
BIND = "encryption-bind"
NAMESPACE = b"namespace"
TAG_SIZE = 16
_SPEED = 4
"""How many times faster than most work on bytes this is; decides on threads."""


def associated_data(namespace: str) -> bytes:
    """Return what binds a payload to a namespace."""
    return b"temporal-payloads namespace " + namespace.encode()


@dataclass(frozen=True)
class Sealing(PerPayloadCodec):
    """Seals payloads with one key."""

    cipher: AESGCM
    metadata: Mapping[str, bytes]
    associated_data: bytes | None
    nonce_of: Callable[[bytes | None, bytes], bytes]
    """Returns the nonce for associated data and a plaintext; see `_nonces`."""

    def encode_payload(self, payload: Payload) -> Payload:
        """Return the sealed payload."""
        serialized = b"".join(serialize(payload))
        nonce = self.nonce_of(self.associated_data, serialized)
        sealed = bytearray(NONCE_SIZE + len(serialized) + TAG_SIZE)
        sealed[:NONCE_SIZE] = nonce
        with memoryview(sealed) as room:
            self.cipher.encrypt_into(nonce, serialized, self.associated_data, room[NONCE_SIZE:])
        return Payload(metadata=self.metadata, data=bytes(sealed))

    def encode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.encode_cost`."""
        return len(payload.data) // _SPEED

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

    lock_of: Callable[[Payload], Lock | None]

    def decode_payload(self, payload: Payload) -> Payload:
        """Return what was sealed; a payload without a lock as it is.

        Raises:
            PayloadIntegrityError: It was not sealed like this.
        """
        lock = self.lock_of(payload)
        if lock is None:
            return payload
        data = payload.data
        if len(data) < NONCE_SIZE + TAG_SIZE:
            raise PayloadIntegrityError(
                f"A payload that the key {lock.key_id!r} is said to have encrypted has {len(data)} bytes: it "
                "was cut"
            )
        with memoryview(data) as sealed:
            serialized = _open(lock, data[:NONCE_SIZE], sealed[NONCE_SIZE:])
        try:
            return Payload.FromString(serialized)
        except DecodeError as error:
            raise PayloadIntegrityError(
                f"What the key {lock.key_id!r} has encrypted is not a serialized payload"
            ) from error

    def decode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.decode_cost`."""
        return len(payload.data) // _SPEED

    def encode_payload(self, payload: Payload) -> Payload:
        """Not for this object."""
        raise NotImplementedError


def _open(lock: Lock, nonce: bytes, sealed: memoryview) -> bytes:
    for associated in lock.associated_data:
        try:
            return lock.cipher.decrypt(nonce, sealed, associated)
        except InvalidTag:
            continue
    bound = " It is bound to a namespace, and this may be another one." if lock.associated_data[0] else ""
    raise PayloadIntegrityError(
        f"A payload that the key {lock.key_id!r} is said to have encrypted cannot be decrypted with that "
        "key: it was "
        f"changed, or another key has the same id where it was written.{bound}"
    )
