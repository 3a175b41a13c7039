"""JSON, as it was written and with something changed in it, and what only looks like JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from support.differential.shapes import Builder

TOKENS = [
    "null", "true", "false", "0", "-0", "-0.0", "1", "2", "1.0", "1.5", "1e0", "1E+2", "1e400", "-1e400",
    "1e-400", "123456789012345678901234567890",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616",
    "0.1000000000000000055511151231257827", "9007199254740993.0", "2.5e-324", "1e16", "1" + "0" * 400,
    "NaN", "Infinity", "-Infinity", '""', '"a"', '"1"',
    '"é"', '"\\u00e9"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\/"',
    '"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:05"',
    '"2024-01-02t03:04:05z"', '"2024-01-02 03:04:05"', '"2024-01-02"', '"20240102T030405"', '"2024-W01-2"',
    '"2024-01-02T03:04:05.1234567+00:00"',
    '"2024-01-02T03:04:05.123456789Z"', '"2024-01-02T03:04:05,5"', '"2024-01-02T24:00:00"',
    '"2024-01-02T03:04:60"', '"2024-01-02T03"',
    '"2024-01-02T03:04:05+01:02:03"', '"2024-01-02T03:04:05-00:00"', '"0000-01-01T00:00:00"',
    '"2024-02-30T00:00:00"', '"2024-01-02T03:04:05+2400"',
    '"c056ad1e000040008000000000000001"', '"{c056ad1e-0000-4000-8000-000000000001}"',
    '"C056AD1E-0000-4000-8000-000000000001"',
    '"urn:uuid:c056ad1e-0000-4000-8000-000000000001"', '"1.5"', '"true"', '"NaN"', '"P1D"', '"YQ=="', "[]",
    "{}", "[null]", "[1]", "[97, 98]", "[256]", "[[]]",
    '["a"]', '[1, "a"]', '{"x": 1}', '{"x": 1, "x": 2}', '{"1": 1}', '{"1": 1, "01": 2, "1.0": 3}',
    '{"true": true}', '{"null": null}', '{"x": {"x": {}}}',
    '{"dict": 1, "y": "a"}', '{"": 1}',
]  # fmt: skip
BROKEN = [
    "", " ", "nul", "tru", "01", "-", "1.", ".5", "+1", "1e", "0x1", "'a'", '"', '"\n"', '"\\x"', '"\\u12"',
    "[1,]", "{,}", '{"a"}', '{"a":}', "[", "{", "]", "nan", "inf",
    "1 2", "[] x", "/* */1", "\ufeff1", "null\x00", '"\x1f"', "{1: 2}", '{"a": 1,}', "-Infinit", "--1",
    "-NaN",
]  # fmt: skip
UNREADABLE = [
    b"\xff",
    b'"\xff"',
    b'"\xc3"',
    b'"\xed\xa0\x80"',
    b'"\xf5\x80\x80\x80"',
    b'"\xc0\x80"',
    b"\xff\xfe1\x00",
    b"1\x00",
    b"\x001",
    b"\xef\xbb\xbf1",
    b'{"\xff": 1}',
]
"""Bytes that are no UTF-8, or in another encoding that `json` detects."""


def any_text(b: Builder) -> bytes:
    """Draw JSON of any form, or nearly JSON."""
    if b.chance(12):
        return bytes(b.pick(UNREADABLE))
    return _written(b, _tree(b, 2), 30).encode("utf-8", "surrogatepass")


def altered(b: Builder, text: bytes, one_in_some: Sequence[int] = (8, 30, 10_000)) -> bytes:
    """Draw JSON that says the same in other words, or something else in one place."""
    one_in = b.pick(one_in_some)
    tree = json.loads(text, object_pairs_hook=_Pairs)
    written = _written(b, tree, one_in)
    if b.chance(20):
        written = b.pick(["\ufeff", " \t\r\n", "\x0c", "1"]) + written + b.pick(["", " \n", "\x00", "x"])
    if b.chance(30):
        written = written[: b.draw(st.integers(0, len(written)))]
    return written.encode("utf-8", "surrogatepass")


class _Pairs(list[tuple[str, Any]]):
    """An object's pairs, doubled names included."""


class _Token(str):
    """JSON as it is to be written."""

    __slots__ = ()


def _tree(b: Builder, depth: int) -> Any:
    match b.pick(["token", "list", "object"]) if depth else "token":
        case "list":
            return [_tree(b, depth - 1) for _ in b.some(3)]
        case "object":
            return _Pairs((_name(b), _tree(b, depth - 1)) for _ in b.some(4))
    return _Token(b.pick(TOKENS if not b.chance(25) else BROKEN))


def _name(b: Builder) -> str:
    odd = ["", "1", "1.0", "true", "null", "é", "\ud800", "z", "NaN", "1e3"]
    return str(b.pick(odd if b.chance(3) else sorted(b.names)))


def _written(b: Builder, tree: Any, one_in: int) -> str:  # a table
    """Write a tree; now and then something else, twice, elsewhere or not at all."""
    if b.chance(one_in):
        return str(b.pick(BROKEN if b.chance(20) else TOKENS))
    if isinstance(tree, _Token):
        return str(tree)
    if isinstance(tree, _Pairs):
        pairs = _other_pairs(b, tree) if tree and b.chance(one_in) else tree
        return "{" + ",".join(f"{_string(b, name)}:{_written(b, each, one_in)}" for name, each in pairs) + "}"
    if isinstance(tree, list):
        items = [_written(b, each, one_in) for each in tree]
        if b.chance(one_in):
            items.append(str(b.pick(TOKENS)))
        return f"[{str(b.pick([',', ', '])).join(items)}]"
    if isinstance(tree, float) and math.isfinite(tree) and b.chance(3):
        return f"{tree:.20e}"
    return _string(b, tree) if isinstance(tree, str) else json.dumps(tree)


def _other_pairs(b: Builder, tree: _Pairs) -> list[tuple[str, Any]]:
    pairs = list(tree)
    at = b.draw(st.integers(0, len(pairs) - 1))
    match b.pick(["drop", "double", "rename", "add", "reverse"]):
        case "drop":
            del pairs[at]
        case "double":
            pairs.append((pairs[at][0], _tree(b, 1)))
        case "rename":
            pairs[at] = (_name(b), pairs[at][1])
        case "add":
            pairs.insert(at, (_name(b), _tree(b, 1)))
        case "reverse":
            pairs.reverse()
    return pairs


def _string(b: Builder, text: str) -> str:
    return json.dumps(text, ensure_ascii=b.chance(2))
