"""What is read of JSON, case by case: its text, its numbers, its times; the SDK's value, or its refusal."""

import datetime as dt
import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from support.differential.describe import describe
from temporalio.converter import PayloadConverter

REFUSED = object()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", float("nan")), ("[Infinity, -Infinity]", [float("inf"), float("-inf")]),
        ("1E400", float("inf")), ("-1E400", float("-inf")), ("-0", 0),
        ("-0.0", -0.0), ("1.0", 1.0), ("1e2", 100.0), ("9007199254740993", 2**53 + 1),
        ("18446744073709551616", 2**64), (str(-(2**200)), -(2**200)),
        ("5e-324", 5e-324), ("1e-400", 0.0), ("0.1000000000000000055511151231257827", 0.1),
        ("1" * 400, int("1" * 400)), ("9007199254740993.0", 2.0**53),
        ('"\\ud800"', "\ud800"), ('"\\ud83d\\ude00"', "😀"), ('"\\u0000"', "\x00"), ('"é"', "é"),
        ('"\x7f"', "\x7f"), (" \t\r\n[ 1 , 2 ] ", [1, 2]),
        ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}), ('{"b": 1, "a": 2}', {"b": 1, "a": 2}),
        ('{"": null}', {"": None}), ("[]", []), ("null", None),
        ("\ufeff1", 1), ("1\x00", 1), ("", REFUSED), (" ", REFUSED), ("01", REFUSED), ("1.", REFUSED),
        ("+1", REFUSED), ("nan", REFUSED), ("[1,]", REFUSED),
        ("[1] x", REFUSED), ("1 2", REFUSED), ("'a'", REFUSED), ('"\n"', REFUSED), ('"\\x"', REFUSED),
        ("{1: 2}", REFUSED), ("1" * 5000, REFUSED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hint", ["None", "Any"])
def test_json_without_a_hint_is_what_the_standard_library_reads(alike, text, value, hint):
    found = alike.decode(text, hint)
    assert found.error is not None if value is REFUSED else describe(found.unwrap()) == describe(value)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"1\x00", b"\x001", b"\xef\xbb\xbf1",
        "1".encode("utf-16"), '"é"'.encode("utf-32"), b'{"\xff": 1}',
     b'["\xed\xa0\xbd\xed\xb8\x80"]'],
)  # fmt: skip
@pytest.mark.parametrize("hint", ["None", "Any", "int", "str", "list[str]", "dict[str, int]", "C"])
def test_bytes_in_other_encodings_and_in_none(alike, data, hint):
    alike.decode(data, hint, "@dataclass\nclass C:\n    x: int = 1")


NUMBERS = [
    "0",
    "1",
    "-1",
    "1.0",
    "1.9",
    "-1.9",
    "1e3",
    "NaN",
    "Infinity",
    "1E400",
    "true",
    "false",
    "null",
    '"1"',
    "[]",
    "9007199254740993",
    "1" * 400,
    "0.0",
    "-0.0",
]


@pytest.mark.parametrize("hint", ["int", "float", "bool", "str", "type(None)", "complex", "Decimal",
    "Number", "object", "Union[int, float]", "Union[float, int]",
                                  "Union[bool, int]", "Union[int, bool]", "Union[str, int]",
                                  "Optional[int]", "Union[None, float]", "Union[int, str, None]",
                                  "Union[list[int], int]", "int | float", "float | int",
                                  "None | bool"])  # fmt: skip
@pytest.mark.parametrize("place", ["{}", "[{}]", '{{"x": {}}}'])
def test_numbers_for_every_simple_hint_and_union(alike, hint, place):
    holder = {"{}": hint, "[{}]": f"list[{hint}]"}.get(place, "C")
    alike.decode_each(map(place.format, NUMBERS), holder, f"@dataclass\nclass C:\n    x: {hint}")


def test_the_order_of_a_union_counts_though_typing_says_that_both_are_equal(alike):
    for _ in range(2):
        for holder in ("{}", "list[{}]", "dict[str, {}]", "tuple[{}, ...]"):
            text = {"l": "[1.5]", "d": '{"a": 1.5}', "t": "[1.5]"}.get(holder[0], "1.5")
            found = [
                describe(alike.read(text, holder.format(union))) for union in ("int | float", "float | int")
            ]
            assert found[0] != found[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-02T03:04:05", dt.datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001  # it has no zone
        ("2024-01-02T03:04:05Z", dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ("2024-01-02T03:04:05.1234567+00:00", dt.datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=dt.UTC)),
        ("2024-01-02T03:04:05.999999999", dt.datetime(2024, 1, 2, 3, 4, 5, 999999)),  # noqa: DTZ001
        ("2024-01-02", dt.datetime(2024, 1, 2)),  # noqa: DTZ001
        ("2024-01-02T03:04:05+01:02:03", dt.datetime(2024, 1, 2, 3, 4, 5,
            tzinfo=timezone(timedelta(seconds=3723)))),
        ("2024-13-02", REFUSED), ("2024-01-02T03:04:60", REFUSED), ("soon", REFUSED), ("", REFUSED),
    ],
)  # fmt: skip
def test_datetimes_are_read_to_what_python_reads(alike, text, value):
    found = alike.decode(json.dumps(text), "datetime.datetime")
    assert found.error is not None if value is REFUSED else describe(found.unwrap()) == describe(value)


ODD_MOMENTS = ["2024-01-02t03:04:05z", "2024-01-02 03:04:05", "20240102T030405", "2024-W01-2",
    "2024-01-02T03", "2024-01-02T03:04", "2024-01-02T03:04:05,5", "2024-01-02T24:00:00",
     "2024-01-02T03:04:05-00:00", "0000-01-01T00:00:00", "2024-02-30T00:00:00", "2024-01-02T03:04:05+24:00",
     "2024-01-02T03:04:05+23:59:59.999999", "2024-01-02T03:04:05+05",
     "2024-01-02T03:04:05 +00:00", " 2024-01-02T03:04:05", "2024-01-02T03:04:05.1",
     "2024-01-02T03:04:05.12345678901234567890Z", "2024-01-02T03:04:05+0530", "10000-01-01T00:00:00",
     "2024-01-02T03:04:05.", "2024-01-02é03:04:05", "2024-01-02T03:04:05+00:00Z",
     "9999-12-31T23:59:59.9999999", "2024-01-02T03:04:05.9999995Z", "\ud800"]  # fmt: skip


@pytest.mark.parametrize(
    "hint",
    [
        "datetime.datetime",
        "Optional[datetime.datetime]",
        "Union[datetime.datetime, str]",
        "list[datetime.datetime]",
        "C",
        "date",
        "Union[int, datetime.datetime]",
    ],
)
def test_odd_datetimes(alike, hint):
    place = {"l": "[{}]", "C": '{{"at": {}}}'}.get(hint[0], "{}")
    alike.decode_each(
        [place.format(json.dumps(text)) for text in ODD_MOMENTS],
        hint,
        "@dataclass\nclass C:\n    at: datetime.datetime",
    )


@pytest.mark.parametrize("depth", [10, 200, 450, 900, 5_000, 200_000])
@pytest.mark.parametrize("hint", [None, Any, list, list[list[Any]]])
def test_deep_nesting_is_read_where_the_sdk_reads_it_and_else_refused(converter, depth, hint):
    payload = PayloadConverter.default.to_payload(1)
    payload.data = b"[" * depth + b"]" * depth
    try:
        value = PayloadConverter.default.from_payload(payload, hint)
    except RuntimeError as error:
        with pytest.raises(type(error)):
            converter.from_payload(payload, hint)
    else:
        assert converter.from_payload(payload, hint) == value
