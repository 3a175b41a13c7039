"""Durations as people write them in settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_LOOKS_LIKE_ONE = re.compile(r"\d[\d.,]*\s*[a-z]{0,12}|.{0,7}", re.IGNORECASE)
"""What may be quoted: a duration that was nearly written. What stands here by mistake may be a secret."""
_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_duration(value: object) -> object:
    """Turn `"30s"`, `"7d"`, `"30"` or a number of seconds into a timedelta; leave the rest to pydantic."""
    if isinstance(value, bool):
        raise ValueError("is not a duration; write a number of seconds, or one with a unit such as '30s'")
    if isinstance(value, int | float):
        return _seconds(value)
    if not isinstance(value, str):
        return value
    match = _NUMBER_AND_UNIT.fullmatch(value)
    unit = (match[2].lower() or "s") if match else ""
    if not match or unit not in _UNITS:
        quoted = f": {value!r}" if _LOOKS_LIKE_ONE.fullmatch(value) else ""
        raise ValueError(
            f"is not a duration{quoted}; write a number of seconds, or one with a unit: {', '.join(_UNITS)}"
        )
    return _seconds(float(match[1]) * _UNITS[unit])


def _seconds(seconds: float) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError) as error:
        raise ValueError("is not a duration: it is out of range") from error


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A settings field of type `timedelta` that reads `"30s"`, `"7d"` or a number of seconds.

Example::

    class LeaseSettings(BaseModel):
        lease: Duration = Field(timedelta(days=30), description="How long payloads are kept.")

    assert LeaseSettings(lease="12h").lease == timedelta(hours=12)
"""


def _check_positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than 0 seconds")
    return duration


PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
"""A `Duration` that is longer than nothing, as timeouts are.

Example::

    class TimeoutSettings(BaseModel):
        read_timeout: PositiveDuration = Field(timedelta(seconds=20), description="Longest silence.")

    assert TimeoutSettings(read_timeout="5s").read_timeout == timedelta(seconds=5)
"""
