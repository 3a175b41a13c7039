"""Payloads inside of bytes of which nobody knows the type.

The server's own workflows (schedulers, batch operations) hand users' payloads on inside of messages for which
there is no public descriptor: as protobuf, as its JSON, or as text in base64. They are found by what they
look like. That may be a payload too many, but not one too few.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.common.v1 import Payload, SearchAttributes

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 64
"""Messages within messages that are looked into."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
"""A payload of less than 12 bytes cannot say its encoding."""
_LENGTH_DELIMITED, _GROUP = 2, 3
_HEX = re.compile(rb"[0-9a-f]{64,}")
_LONGEST = 256
"""Hex digits in a row, of which any 64 may be a hash. In more than that only the first and the last may."""


def payloads_within(data: bytes, *, depth: int = 0) -> Iterator[Payload]:
    """Yield the payloads inside of data, or what it is itself; not those that are inside of one of them."""
    payload = _as_payload(data)
    if payload is not None:
        yield payload
        return
    for inner in _inner(data, depth):
        yield from payloads_within(inner, depth=depth + 1)


def hashes_in(data: bytes) -> Iterator[str]:
    """Yield whatever may be a SHA-256 in hex: 64 lower-case digits, also within more of them."""
    for match in _HEX.finditer(data):
        digits = match[0].decode()
        last = len(digits) - 64
        for start in range(last + 1) if len(digits) <= _LONGEST else (0, last):
            yield digits[start : start + 64]


def hashes_within(data: bytes, *, depth: int = 0) -> Iterator[str]:
    """Yield whatever inside of data may be a SHA-256 in hex."""
    yield from hashes_in(data)
    for inner in _inner(data, depth):
        yield from hashes_within(inner, depth=depth + 1)


def opaque_in(message: Message) -> Iterator[bytes]:
    """Yield the bytes that a message has outside of payloads, those of a `google.protobuf.Any` as well."""
    if isinstance(message, (Payload, SearchAttributes)):
        return
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_BYTES:
            yield from value if field.is_repeated else [value]
        elif field.message_type is None:
            continue
        elif isinstance(value, Message):
            yield from opaque_in(value)
        elif not field.message_type.GetOptions().map_entry:
            for each in value:
                yield from opaque_in(each)
        elif field.message_type.fields_by_name["value"].message_type:
            for each in value.values():
                yield from opaque_in(each)


def _as_payload(data: bytes) -> Payload | None:
    try:
        payload = Payload.FromString(data)
    except DecodeError:
        return None
    return payload if "encoding" in payload.metadata else None


def _inner(data: bytes, depth: int) -> Iterator[bytes]:
    """Yield what data is made of, if it is a message, JSON, or base64."""
    if depth >= DEEPEST:
        return
    if _BASE64.fullmatch(data):
        yield _from_base64(data)
    elif data.lstrip()[:1] in (b"{", b"[", b'"'):
        try:
            yield from _of_json(json.loads(data), depth)
        except (ValueError, RecursionError):
            pass
        else:
            return
    try:
        yield from _of_message(UnknownFieldSet(Empty.FromString(data)))
    except DecodeError:
        return


def _of_message(fields: UnknownFieldSet) -> Iterator[bytes]:
    for number in range(len(fields)):
        field = fields[number]
        if field.wire_type == _LENGTH_DELIMITED:
            yield field.data
        elif field.wire_type == _GROUP:
            yield from _of_message(field.data)


def _of_json(value: Any, depth: int) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode(errors="replace")
    elif isinstance(value, list):
        for each in value:
            yield from _of_json(each, depth)
    elif isinstance(value, dict):
        payload = _as_json_payload(value)
        if payload is not None:
            yield payload.SerializeToString()
            return
        for name, each in value.items():
            yield name.encode(errors="replace")
            yield from _of_json(each, depth)


def _as_json_payload(value: dict[str, Any]) -> Payload | None:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or "encoding" not in metadata:
        return None
    try:
        return ParseDict(value, Payload(), ignore_unknown_fields=True)
    except Exception:  # noqa: BLE001  # protobuf raises even SystemError, of a lone surrogate
        return None


def _from_base64(data: bytes) -> bytes:
    text = data.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    # What is not a whole number of bytes loses its end, as it would in any reader.
    text = text[: len(text) - (len(text) % 4 == 1)]
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
