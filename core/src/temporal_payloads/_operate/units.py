"""Bytes as a person reads them."""

from __future__ import annotations

import math

UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def in_units(size: float) -> str:
    """Return a number of bytes for a person."""
    if size < 1024:  # noqa: PLR2004  # what the units mean
        return f"{size:,.0f} B"
    power = min(int(math.log(size, 1024)), len(UNITS))
    return f"{size / 1024**power:,.1f} {UNITS[power - 1]}"
