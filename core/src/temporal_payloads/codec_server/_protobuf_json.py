"""`Payloads` as protobuf JSON, in both spellings that clients use: camelCase and snake_case.

https://protobuf.dev/programming-guides/json/. The work is done off the event loop when there is much of it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from temporalio.api.common.v1 import Payload

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads.codec_server._errors import Code, RequestError, limit_exceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
CHUNK_SIZE = 256 * 1024
"""Bytes of payloads that are turned into JSON in one piece."""
JSON_SLOWNESS = 8
"""How much slower than most work on bytes the way from JSON to payloads and back is."""


async def read_payloads(body: bytes, max_payloads: int) -> list[Payload]:
    """Read a request's body.

    Raises:
        RequestError: It is not JSON, not the JSON of payloads, or too many of them.
    """
    return await run_off_loop(lambda: _read(body, max_payloads), len(body) * JSON_SLOWNESS)


def _read(body: bytes, max_payloads: int) -> list[Payload]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise RequestError(400, Code.INVALID_JSON, f"the body is not JSON: {reason}") from error
    items = document.get("payloads", [] if document == {} else None) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise RequestError(
            400, Code.INVALID_PAYLOADS, 'the body must be {"payloads": [...]}, the JSON of a Payloads message'
        )
    if len(items) > max_payloads:
        raise limit_exceeded("payloads", f"the request has {len(items)} payloads, over {max_payloads}")
    return [_payload(item, f"payloads[{index}]") for index, item in enumerate(items)]


def _payload(item: object, place: str) -> Payload:
    if not isinstance(item, dict):
        raise RequestError(400, Code.INVALID_PAYLOADS, f"{place} must be an object")
    # The parser drops what is not base64 and goes on, which would lose the payload without a word.
    _check_base64(item.get("data"), f"{place}.data")
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        for key, value in metadata.items():
            _check_base64(value, f"{place}.metadata[{json.dumps(key)[:80]}]")
    try:
        return ParseDict(item, Payload(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            400, Code.INVALID_PAYLOADS, f"{place} is not the JSON of a Payload: {str(error)[:200]}"
        ) from error


def _check_base64(value: object, place: str) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not _BASE64.fullmatch(value) or len(value.rstrip("=")) % 4 == 1:
        raise RequestError(400, Code.INVALID_PAYLOADS, f"{place} is not base64")


async def write_payloads(payloads: Sequence[Payload]) -> AsyncIterator[bytes]:
    """Yield the JSON of payloads in pieces, so that it never stands in memory as a whole."""
    yield b'{"payloads":['
    separator = b""
    for chunk in _chunks(payloads):

        def to_json(chunk: list[Payload] = chunk) -> bytes:
            return b",".join(_to_json(payload) for payload in chunk)

        size = sum(payload.ByteSize() for payload in chunk)
        yield separator + await run_off_loop(to_json, size * JSON_SLOWNESS)
        separator = b","
    yield b"]}"


def _chunks(payloads: Sequence[Payload]) -> Iterator[list[Payload]]:
    chunk: list[Payload] = []
    size = 0
    for payload in payloads:
        chunk.append(payload)
        size += payload.ByteSize()
        if size >= CHUNK_SIZE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _to_json(payload: Payload) -> bytes:
    text: Any = MessageToJson(payload, indent=None)
    return bytes(text, "ascii")
