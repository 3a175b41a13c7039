"""Values whose size decides where they go, with the thresholds of these tests."""

from __future__ import annotations

import hashlib

THRESHOLD = 1024
"""The storage threshold in these tests, in bytes."""


def large(tag: str, size: int = 6000) -> str:
    """Return text of `size` characters that stays above the threshold after compression."""
    blocks = (hashlib.sha256(f"{tag}-{i}".encode()).hexdigest() for i in range(size // 64 + 1))
    return f"{tag} {''.join(blocks)}"[:size]


def small(tag: str) -> str:
    """Return text that stays below the threshold, and is worth compressing."""
    return f"{tag} " * 40
