"""The codec: which key, then the sealing."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from temporal_payloads.plugin import (
    KeyNotForNamespaceError,
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadReaderContext,
    gather_bounded,
)
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

from temporal_payloads_encryption_codec._data_keys import DataKeys, WritingKey
from temporal_payloads_encryption_codec._key_ring import KeyRing, LocalKey, ProvidedKey
from temporal_payloads_encryption_codec._nonces import deterministic_nonce, nonces
from temporal_payloads_encryption_codec._sealing import (
    BIND,
    DATA_KEY,
    ENCODING,
    KEY_ID,
    NAMESPACE,
    Lock,
    Opening,
    Sealing,
    associated_data,
    metadata_of,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from temporal_payloads.plugin import KeyDescription
    from temporalio.api.common.v1 import Payload

LONGEST_WRAPPED_KEY = 16 * 1024
"""Bytes of a wrapped data key in base64; KMS' have a few hundred."""
OPENED_AT_ONCE = 16
"""Data keys of one call that a provider is asked for at once."""


class RingSource(Protocol):
    """Where the codec gets its keys from: a ring, or a file that has one."""

    @property
    def is_described_by_file(self) -> bool:
        """Whether a file says which keys there are."""

    def current(self) -> KeyRing:
        """Return the ring of now."""


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts each payload with AES-256-GCM; `binary/encrypted` of Temporal's samples and of temporal-proxy.

    Args:
        keys: The key ring: `KeyRing.of({"id": key}, active="id")`.
        data_keys: What makes and opens data keys, where the ring has keys that a provider keeps.
        bind: Bind new payloads to their namespace; none is bound where the SDK tells no namespace (Nexus).
        accept_unbound: Read payloads that are bound to no namespace although `bind` is set.
        deterministic: Encrypt equal payloads to equal bytes, as long as the key is the same.
        remember_from: Bytes of a payload from which it becomes the same bytes when this process encrypts it
            again, so that a store keeps them once; None for never.
    """

    def __init__(
        self,
        keys: RingSource,
        *,
        data_keys: DataKeys | None = None,
        bind: bool = False,
        accept_unbound: bool = True,
        deterministic: bool = False,
        remember_from: int | None = None,
    ) -> None:
        self._ring = keys
        self._data_keys = data_keys or DataKeys(
            duration=timedelta(hours=1),
            renew_before=timedelta(minutes=15),
            keep_for=timedelta(hours=1),
            most=1000,
        )
        self._bind = bind
        self._accept_unbound = accept_unbound
        self._nonce_of = deterministic_nonce if deterministic else nonces(remember_from)
        self._namespace: str | None = None
        self._readers: frozenset[str] | None = None
        """The namespaces that are read for, where that is somebody else than a worker of the namespace."""
        self._unopened: set[Hashable] | None = None
        """The data keys that were not opened for such a reader, who may send any, in one request."""

    def __repr__(self) -> str:
        ring = self._ring.current()
        return f"<encryption with the key {ring.active!r} of {', '.join(map(repr, ring.keys))}>"

    def with_context(self, context: SerializationContext) -> EncryptionCodec:
        """Return the same codec, for the namespace of the context; the keys are shared."""
        bound = EncryptionCodec.__new__(EncryptionCodec)
        readers = None
        if isinstance(context, PayloadReaderContext):
            readers = frozenset({context.namespace, *context.also_reads} - {""})
        bound.__dict__.update(
            self.__dict__,
            _namespace=getattr(context, "namespace", None) or None,
            _readers=readers,
            _unopened=None if readers is None else set(),
        )
        return bound

    @property
    def keys_may_change(self) -> bool:
        """Whether keys may come of which nobody knows now; see `temporal_payloads.plugin.CodecPlugin`."""
        return self._ring.is_described_by_file

    def messages(self) -> dict[str, int]:
        """Return how many messages each key that is at hand has encrypted in this process."""
        keys = self._ring.current().keys.values()
        return {key.id: key.usage.messages for key in keys if isinstance(key, LocalKey)}

    def describe_keys(self) -> list[KeyDescription]:
        """Return what may be shown of the keys; see `temporal_payloads.plugin.CodecPlugin`."""
        return self._ring.current().described()

    def key_of(self, payload: Payload) -> str | None:
        """Return the id of the key that encrypted a payload; see `temporal_payloads.plugin.CodecPlugin`."""
        metadata = payload.metadata
        if metadata.get("encoding") != ENCODING or KEY_ID not in metadata:
            return None
        return metadata[KEY_ID].decode(errors="replace")

    async def check(self) -> None:
        """Have a data key ready for each key that writes, and see that it can be opened.

        Raises:
            KeyUnavailableError: A provider gives none, or does not open it.
        """
        for key in self._ring.current().all_writing:
            if isinstance(key, ProvidedKey):
                await self._data_keys.check(key)

    # -- out

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt every payload with the namespace's key; see `temporalio.converter.PayloadCodec.encode`.

        Raises:
            KeyUnavailableError: The key's provider gives no data key.
        """
        if not payloads:
            return []
        key = self._ring.current().writing(self._namespace)
        wrapped = None
        if isinstance(key, LocalKey):
            key.usage.count(len(payloads))
            writing: LocalKey | WritingKey = key
        else:
            writing = await self._data_keys.for_writing(key, len(payloads))
            wrapped = writing.wrapped
        namespace = self._namespace if self._bind else None
        bound_to = None if namespace is None else associated_data(namespace)
        metadata = metadata_of(key.id, wrapped, bound_to is not None)
        return await Sealing(writing.sealing, metadata, bound_to, self._nonce_of).encode(payloads)

    # -- in

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what a key of the ring has encrypted, and leave everything else as it is.

        Raises:
            KeyNotForNamespaceError: A key of the ring is not for the namespace that is read for.
            KeyUnavailableError: A key's provider does not open a data key.
            PayloadIntegrityError: A payload was changed, or encrypted with another key.
            PayloadNotDecodedError: A payload is not for this namespace.
        """
        ring = self._ring.current()
        ciphers: dict[tuple[str, bytes], AESGCM] = {}
        wanted: dict[tuple[str, bytes], ProvidedKey] = {}
        used: list[tuple[str, bytes] | None] = []
        for payload in payloads:
            key = _key_of(payload, ring)
            if key is None:
                used.append(None)
                continue
            self._require_reader(ring, key.id)
            if isinstance(key, LocalKey):
                used.append((key.id, b""))
                ciphers[key.id, b""] = key.cipher
            else:
                used.append((key.id, payload.metadata[DATA_KEY]))
                wanted[key.id, payload.metadata[DATA_KEY]] = key
        if not wanted and not ciphers:
            return list(payloads)

        async def open_one(one: tuple[str, bytes]) -> None:
            wrapped = _unwrapped_text(*one)
            ciphers[one] = await self._data_keys.for_reading(wanted[one], wrapped, self._unopened)

        if wanted:
            await gather_bounded(open_one, list(wanted), limit=OPENED_AT_ONCE)
        locks = {
            id(payload): Lock(ciphers[one], one[0], self._bound_to(payload))
            for payload, one in zip(payloads, used, strict=True)
            if one is not None
        }
        return await Opening(locks).decode(payloads)

    def why_left_alone(self, payload: Payload) -> str | None:
        """Say why a payload was not decrypted; see `temporal_payloads.plugin.CodecPlugin`."""
        metadata, ring = payload.metadata, self._ring.current()
        if payload.metadata.get("encoding") != ENCODING:
            return None
        if KEY_ID not in metadata:
            return f"its metadata has no {KEY_ID}, so another project encrypted it"
        key_id = metadata[KEY_ID].decode(errors="replace")
        if key_id not in ring.keys:
            return (
                f"it was encrypted with the key {key_id[:200]!r}, which is not in the key ring "
                f"({', '.join(ring.keys)}). Add that key to the ring's keys; it need not be active"
            )
        if metadata.get(BIND, NAMESPACE) != NAMESPACE:
            return f"its {BIND} is {metadata[BIND][:80]!r}, which this release does not know"
        kept = "a key provider keeps" if isinstance(ring.keys[key_id], ProvidedKey) else "is given as such"
        has = "has" if DATA_KEY in metadata else "lacks"
        return f"its metadata {has} {DATA_KEY}, and the key {key_id!r} is one that {kept}"

    def _require_reader(self, ring: KeyRing, key_id: str) -> None:
        if self._readers is not None and not ring.is_for(key_id, self._readers):
            asked_for = f"this one is {self._namespace!r}" if self._namespace else "none is named here"
            raise KeyNotForNamespaceError(
                f"The key {key_id!r} is for namespaces that match {', '.join(ring.patterns_of(key_id))}, and "
                f"{asked_for}. The key ring's namespaces say so; codec_server.also_reads can let one "
                "namespace read what is another's"
            )

    def _bound_to(self, payload: Payload) -> Sequence[bytes | None]:
        """Return what a payload may be bound to."""
        if BIND not in payload.metadata:
            if self._bind and not self._accept_unbound:
                raise PayloadNotDecodedError(
                    "A payload is encrypted but bound to no namespace, and accept_unbound is false: it may "
                    "come from another namespace"
                )
            return [None]
        namespaces = self._readers or ([self._namespace] if self._namespace else [])
        if not namespaces:
            raise PayloadNotDecodedError(
                "A payload is bound to the namespace it was written in, and here none is known, as in a "
                "Nexus operation. It can be read in that namespace alone"
            )
        return [associated_data(namespace) for namespace in sorted(namespaces)]


def _key_of(payload: Payload, ring: KeyRing) -> LocalKey | ProvidedKey | None:
    """Return the key that encrypted a payload, or None if it is to be left alone."""
    metadata = payload.metadata
    if metadata.get("encoding") != ENCODING or KEY_ID not in metadata:
        return None
    if metadata.get(BIND, NAMESPACE) != NAMESPACE:
        return None
    key = ring.keys.get(metadata[KEY_ID].decode(errors="replace"))
    if key is None or isinstance(key, ProvidedKey) != (DATA_KEY in metadata):
        return None
    return key


def _unwrapped_text(key_id: str, text: bytes) -> bytes:
    if len(text) <= LONGEST_WRAPPED_KEY:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            pass
    raise PayloadIntegrityError(
        f"A payload that the key {key_id!r} is said to have encrypted has no wrapped data key in base64 in "
        f"its {DATA_KEY}"
    )
