"""Durations and sizes as people write them."""

from datetime import timedelta

import pydantic
import pytest
from pydantic import BaseModel, ValidationError
from temporal_payloads.plugin import ByteSize, Duration


class Table(BaseModel):
    size: ByteSize = ByteSize(0)
    duration: Duration = timedelta()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (30, 30),
        (0.5, 0.5),
        ("30", 30),
        ("30s", 30),
        (" 30 S ", 30),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("2m", 120),
        ("2min", 120),
        ("7d", 604800),
        ("2w", 1209600),
        ("-1s", -1),
        (timedelta(minutes=1), 60),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_has_a_unit(written, seconds):
    assert Table(duration=written).duration == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    ["soon", "3 fortnights", "1h30m", "", "s", True, None, [], {}, float("inf"), float("nan"), "9" * 400],
)
def test_anything_else_is_no_duration(written):
    with pytest.raises(ValidationError):
        Table(duration=written)


def test_the_units_are_named_in_the_error():
    with pytest.raises(ValidationError, match="ms, s, m, min, h, d, w"):
        Table(duration="3 fortnights")


@pytest.mark.parametrize(
    ("written", "size"),
    [(262144, 262144), ("256KiB", 262144), ("50MB", 50_000_000), ("1 GiB", 1024**3), ("7", 7), ("0", 0)],
)
def test_a_size_is_a_number_of_bytes_or_has_a_unit(written, size):
    assert Table(size=written).size == size


OLD_PYDANTIC = tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 14)
BEYOND_FLOATS = pytest.param(
    "9" * 5000, marks=pytest.mark.skipif(OLD_PYDANTIC, reason="an OverflowError before pydantic 2.14")
)


@pytest.mark.parametrize(
    "written", ["256 parsecs", "-1", -1, "", "much", None, [], float("inf"), BEYOND_FLOATS]
)
def test_anything_else_is_no_size(written):
    with pytest.raises(ValidationError):
        Table(size=written)
