"""A key as text, as it stands in a variable or a file."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise

KEY_SIZE = 32
"""Bytes of a key: AES-256."""
FORMS = (
    "32 bytes as base64 (what `temporal-payloads keygen` prints), as 64 hexadecimal digits, or as text:..."
)
_TEXT = "text:"
_HEX = re.compile(rf"[0-9a-fA-F]{{{KEY_SIZE * 2}}}")
_UNPADDED = 43
"""Characters of a key in base64 without padding."""
_CHANGES_OF_A_NAME = 15
"""Changes between capitals, small letters and digits: a name of that length hardly has so many, and one
random key in 1,000 has fewer."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def read_key(text: str | bytes) -> bytes:
    """Return the key that a text is, or the bytes themselves if they are one.

    Args:
        text: Base64 in either alphabet, with padding or without; hexadecimal digits; `text:` and 32
            characters (the samples' key). White space around it does not count. A file may also have just
            the 32 bytes, unless they are a text, which may be a key of another length.

    Raises:
        ValueError: It is none of these, or of another length. The message does not show it.
    """
    if isinstance(text, bytes):
        as_text = _as_text(text)
        if as_text is None:
            if len(text) == KEY_SIZE:
                return text
            raise ValueError(f"has {len(text)} bytes that are no text; a key is {FORMS}")
        if len(text) == KEY_SIZE and not as_text.startswith(_TEXT):
            raise ValueError(
                f"has {KEY_SIZE} bytes that are a text and hardly random: put {_TEXT} before them if they "
                f"are the key as they stand; a key is {FORMS}"
            )
        text = as_text
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


def is_key(text: str) -> bool:
    """Tell whether a text that stands where a name belongs is a key, and not a name that reads as one."""
    text = text.strip()
    try:
        key = read_key(text)
    except ValueError:
        return False
    if text.startswith(_TEXT) or len(text) != _UNPADDED:
        return True
    if base64.b64encode(key, b"-_").decode().rstrip("=") != text.replace("+", "-").replace("/", "_"):
        return False  # nothing that encodes a key writes it so
    kinds = ["A" if each.isupper() else "a" if each.islower() else "1" for each in text if each.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return len(set(kinds)) == len("Aa1") and changes >= _CHANGES_OF_A_NAME


def _as_text(content: bytes) -> str | None:
    """Return the text that bytes are, or None if they are none; 32 random ones are hardly ever one."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if all(each.isprintable() or each.isspace() for each in text) else None


def _of_length(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise ValueError(f"is a key of {len(key) * 8} bits; AES-256 takes {KEY_SIZE * 8}: {FORMS}")
    return key
