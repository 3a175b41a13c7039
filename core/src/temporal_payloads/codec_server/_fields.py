"""A payload's fields, which can be sent without another copy of them."""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson
from temporalio.api.common.v1 import Payload

from temporal_payloads._storage.serialized import data_prefix
from temporal_payloads.codec_server._errors import Code, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_SIZE = 48 * 1024
"""Bytes that become JSON, or are read from it, at once; for base64 a multiple of both 3 and 4."""
MAX_METADATA_SIZE = 1024 * 1024
"""Serialized bytes of a payload beside its data. Codecs and converters need a few hundred; what is more takes
a multiple of it in Python, and is not sent in pieces."""


@dataclass(frozen=True, slots=True)
class PayloadFields:
    """A payload out of protobuf's hands, which give its data as a copy each time they are asked."""

    metadata: list[tuple[str, bytes]]
    data: bytes
    external_payloads: list[str]
    """As JSON."""
    size: int
    """Of the serialized payload, in bytes."""

    @classmethod
    def of(cls, payload: Payload) -> PayloadFields:
        """Copy the fields of a payload.

        Raises:
            RequestError: Its metadata is larger than makes sense.
        """
        around = Payload(metadata=payload.metadata, external_payloads=payload.external_payloads).ByteSize()
        require_sensible_metadata(around)
        data = payload.data
        return cls(
            [(key, payload.metadata[key]) for key in payload.metadata],
            data,
            [MessageToJson(each, indent=None) for each in payload.external_payloads],
            around + (len(data_prefix(len(data))) + len(data) if data else 0),
        )

    def to_json(self) -> Iterator[bytes]:
        """Yield, in small parts, what protobuf's `MessageToJson` returns, byte for byte."""
        separator = b"{"
        if self.metadata:
            yield separator + b'"metadata": '
            inner = b"{"
            for key, value in self.metadata:
                yield inner + json.dumps(key).encode() + b': "'
                yield from _in_base64(value)
                yield b'"'
                inner = b", "
            yield b"}"
            separator = b", "
        if self.data:
            yield separator + b'"data": "'
            yield from _in_base64(self.data)
            yield b'"'
            separator = b", "
        if self.external_payloads:
            yield separator + b'"externalPayloads": [' + ", ".join(self.external_payloads).encode() + b"]"
            separator = b", "
        yield b"{}" if separator == b"{" else b"}"


def require_sensible_metadata(size: int) -> None:
    """Raise a `RequestError` if a payload has so many bytes of metadata."""
    if size > MAX_METADATA_SIZE:
        raise RequestError(
            413, Code.LIMIT_EXCEEDED, f"the payload has over {MAX_METADATA_SIZE} bytes of metadata"
        )


def _in_base64(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(view), PIECE_SIZE):
        yield binascii.b2a_base64(view[start : start + PIECE_SIZE], newline=False)
