"""The payload codec `binary/encrypted`: AES-256-GCM with a ring of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporal_payloads_encryption_codec._codec import EncryptionCodec
    from temporal_payloads_encryption_codec._key_ring import KeyRing

__all__ = ["EncryptionCodec", "KeyRing"]


def __getattr__(name: str) -> object:
    # Registering the plugin imports this package, and must not import the cryptographic library.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from temporal_payloads_encryption_codec import _codec, _key_ring  # noqa: PLC0415  # see above

    return getattr(_codec if name == "EncryptionCodec" else _key_ring, name)
