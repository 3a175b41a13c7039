"""A key as text, as it stands in a variable or a file."""

from __future__ import annotations

import base64
import binascii
import re

KEY_SIZE = 32
"""Bytes of a key: AES-256."""
FORMS = (
    "32 bytes as base64 (what `temporal-payloads keygen` prints), as 64 hexadecimal digits, or as text:..."
)
_TEXT = "text:"
_HEX = re.compile(rf"[0-9a-fA-F]{{{KEY_SIZE * 2}}}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def read_key(text: str | bytes) -> bytes:
    """Return the key that a text is, or the bytes themselves if they are one.

    Args:
        text: Base64 in either alphabet, with padding or without; hexadecimal digits; `text:` and 32
        characters
            (the samples' key). White space around it does not count. A file may also have just the 32 bytes.

    Raises:
        ValueError: It is none of these, or of another length. The message does not show it.
    """
    if isinstance(text, bytes):
        if len(text) == KEY_SIZE:
            return text
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise ValueError(f"has {len(text)} bytes that are no text; a key is {FORMS}") from None
    text = text.strip()
    if text.startswith(_TEXT):
        return _of_length(text.removeprefix(_TEXT).encode())
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if not text:
        raise ValueError(f"is empty; a key is {FORMS}")
    if not _BASE64.fullmatch(text):
        raise ValueError(f"is no key; a key is {FORMS}")
    unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _of_length(base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True))
    except binascii.Error:
        raise ValueError(f"is no key; a key is {FORMS}") from None


def _of_length(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise ValueError(f"is a key of {len(key) * 8} bits; AES-256 takes {KEY_SIZE * 8}: {FORMS}")
    return key
