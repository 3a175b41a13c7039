"""What tells two keys apart, without telling either of them."""

from __future__ import annotations

import hashlib
import hmac

_LABEL = b"temporal-payloads key fingerprint v1"
_PRINTABLE = range(0x20, 0x7F)
_SIZE = 8
"""Bytes: two different keys look alike once in 2^64 pairs."""


def fingerprint(key: bytes) -> str | None:
    """Return a fingerprint of a key, or None if the key may be a text that somebody thought of.

    It is HMAC-SHA256 under the key itself, of a fixed label, cut to 64 bits. HMAC is a pseudorandom function:
    without the key its value looks random, says nothing about the key or about what else is done with it, and
    the one way to the key is to try all 2^256 of them. That holds for keys that were drawn at random. A text
    of 32 characters, such as the samples' key, could be guessed, and a fingerprint would confirm the guess:
    it gets none. A random key is taken for a text once in 10^13 times.
    """
    if all(byte in _PRINTABLE for byte in key):
        return None
    return hmac.digest(key, _LABEL, hashlib.sha256)[:_SIZE].hex()
