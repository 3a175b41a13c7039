"""Payloads inside of bytes of which nobody knows the type.

The server's own workflows (schedulers, batch operations) hand users' payloads on inside of messages for which
there is no public descriptor: as protobuf, as its JSON, or as text in base64. They are found by what they
look like. That may be a payload too many; one too few only where it is encoded in some other way. What has
too many layers to be looked through is an error.
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
SHORTEST = 12
"""Bytes of a payload that says its encoding, at least."""
EFFORT = 3 * DEEPEST
"""How often each byte may be looked at, at most. What the server writes takes a few times."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}+={0,2}")
_LENGTH_DELIMITED, _GROUP = 2, 3
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64,}+")
_LONGEST_NUMBER = 20
"""Characters of a whole number of 64 bits, at most."""
_LONGEST = 256
"""Hex digits in a row, of which any 64 may be a hash. In more than that only the first and the last may."""


class TooIntricateError(Exception):
    """Data has so many layers, or can be read in so many ways, that they were not all looked at."""

    def __init__(self) -> None:
        super().__init__(
            "it has so many layers of messages, JSON or base64, or can be read in so many ways, that it must "
            "have been made for that; what it refers to is not known"
        )


class Effort:
    """How much may be looked at, so that nobody can make up what is looked at for ever.

    Args:
        data: What is looked into.
    """

    def __init__(self, data: bytes) -> None:
        self._left = 0
        self.grow(data)

    def grow(self, data: bytes) -> None:
        """Let more data be looked into."""
        self._left += EFFORT * max(len(data), 1024)

    def spend(self, data: bytes) -> None:
        """Note that data is looked at.

        Raises:
            TooIntricateError: That is more than there may be.
        """
        # However little it is, it takes a few microseconds.
        self._left -= len(data) + 64
        if self._left < 0:
            raise TooIntricateError


def payloads_within(data: bytes, effort: Effort | None = None, *, depth: int = 0) -> Iterator[Payload]:
    """Yield the payloads inside of data, or what it is itself; not those that are inside of one of them.

    Args:
        data: What is looked into. It takes up to a few microseconds for each byte.
        effort: What this may take, with all else that is given the same.
        depth: How deep it lies in what was looked into first.

    Raises:
        TooIntricateError: It would take more.
    """
    effort = effort or Effort(data)
    effort.spend(data)
    payload = _as_payload(data)
    if payload is not None:
        yield payload
        return
    for inner in _inner(data, depth):
        yield from payloads_within(inner, effort, depth=depth + 1)


def hashes_in(data: bytes) -> Iterator[str]:
    """Yield whatever may be a SHA-256 in hex: 64 lower-case digits, also within more of them."""
    for match in _HEX.finditer(data):
        digits = match[0].decode()
        last = len(digits) - 64
        for start in range(last + 1) if len(digits) <= _LONGEST else (0, last):
            yield digits[start : start + 64]


def hashes_within(data: bytes, effort: Effort | None = None, *, depth: int = 0) -> Iterator[str]:
    """Yield whatever inside of data may be a SHA-256 in hex, also in the payloads inside of it.

    Arguments and errors are those of `payloads_within`.
    """
    effort = effort or Effort(data)
    effort.spend(data)
    yield from hashes_in(data)
    for inner in _inner(data, depth):
        yield from hashes_within(inner, effort, depth=depth + 1)


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
    """Yield what data is made of, if it is a message, JSON, or base64; but nothing too short to matter."""
    for inner in _parts(data):
        if len(inner) >= SHORTEST:
            if depth >= DEEPEST:
                raise TooIntricateError
            yield inner


def _parts(data: bytes) -> Iterator[bytes]:
    if _BASE64.fullmatch(data):
        yield _from_base64(data)
    elif data.lstrip()[:1] in (b"{", b"[", b'"'):
        try:
            value = json.loads(data, parse_int=_number)
        except RecursionError as error:
            raise TooIntricateError from error
        except ValueError:
            pass
        else:
            yield from _of_json(value)
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


def _number(digits: str) -> int:
    # Python refuses to read one that is very long; no payload has such a number.
    return int(digits) if len(digits) <= _LONGEST_NUMBER else 0


def _of_json(value: Any) -> Iterator[bytes]:
    ahead = [value]
    while ahead:
        value = ahead.pop()
        if isinstance(value, str):
            yield value.encode(errors="replace")
        elif isinstance(value, list):
            ahead.extend(reversed(value))
        elif isinstance(value, dict):
            payload = _as_json_payload(value)
            if payload is not None:
                yield payload.SerializeToString()
                continue
            for name, each in reversed(value.items()):
                ahead += (each, name)


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
