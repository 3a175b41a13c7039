"""`Payloads` as protobuf JSON, in both spellings that clients use: camelCase and snake_case.

https://protobuf.dev/programming-guides/json/. Reading is done off the event loop when there is much to read;
writing is done in pieces.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict, ParseError
from temporalio.api.common.v1 import Payload

from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop
from temporal_payloads.codec_server._errors import Code, RequestError, limit_exceeded
from temporal_payloads.codec_server._fields import PIECE_SIZE, PayloadFields, require_sensible_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS_PER_PAYLOAD = 128
"""Commas, colons and opening brackets of a payload: about two for each metadata entry, and a few more."""
MARKS_AROUND = 1000
"""Those that a request may have beside its payloads."""
JSON_SLOWNESS = 8
"""How much slower than most work on bytes the way from JSON to payloads is."""
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


def parsing_size(body: bytearray) -> int:
    """Return how much memory reading this body takes beside it: its text, and the strings in it.

    Python keeps text of other alphabets in up to four bytes a character.
    """
    return len(body) * (2 if body.isascii() else 8)


class PayloadsReader:
    """Reads the bodies of one server's requests.

    Args:
        max_payloads: How many a request may have.
    """

    def __init__(self, max_payloads: int) -> None:
        self._max_payloads = max_payloads
        self._large = asyncio.Lock()

    async def read(self, body: bytearray) -> list[Payload]:
        """Read a request's body, which is empty afterwards: what was read need not be kept twice.

        Raises:
            RequestError: It is not JSON, not the JSON of payloads, or too many of them.
        """
        work = len(body) * JSON_SLOWNESS
        # Python's parser holds the interpreter while it reads a string: two threads would not be faster than
        # one, and the event loop would wait for both.
        async with self._large if work >= OFFLOAD_SIZE else nullcontext():
            return await run_off_loop(lambda: _read(body, self._max_payloads), work)


def _read(body: bytearray, max_payloads: int) -> list[Payload]:
    items = _items(body, max_payloads)
    payloads = []
    # From the end, so that what was read can be dropped one by one.
    while items:
        payloads.append(_payload(items.pop(), f"payloads[{len(items)}]"))
    payloads.reverse()
    return payloads


def _items(body: bytearray, max_payloads: int) -> list[Any]:
    # Counted before anything is built: three bytes can become an object of a hundred. Base64 has none of
    # these characters, so there is one for each value, and a few in other strings.
    marks = sum(body.count(character) for character in (b",", b":", b"{", b"["))
    if marks > MARKS_AROUND + MARKS_PER_PAYLOAD * max_payloads:
        raise limit_exceeded(
            "payloads", f"the body has far more JSON values than {max_payloads} payloads have"
        )
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise RequestError(400, Code.INVALID_JSON, f"the body is not JSON: {reason}") from error
    finally:
        body.clear()
    items = document.get("payloads", [] if document == {} else None) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise RequestError(
            400, Code.INVALID_PAYLOADS, 'the body must be {"payloads": [...]}, the JSON of a Payloads message'
        )
    if len(items) > max_payloads:
        raise limit_exceeded("payloads", f"the request has {len(items)} payloads, over {max_payloads}")
    return items


def _payload(item: object, place: str) -> Payload:
    if not isinstance(item, dict):
        raise RequestError(400, Code.INVALID_PAYLOADS, f"{place} must be an object")
    # Protobuf's parser drops what is not base64 and goes on, which would lose the payload without a word;
    # and it makes five copies of what is.
    data = item.pop("data", None)
    data = b"" if data is None else _base64(data, f"{place}.data")
    metadata: dict[str, bytes] = {}
    entries = item.pop("metadata", None)
    if entries is not None and not isinstance(entries, dict):
        raise RequestError(400, Code.INVALID_PAYLOADS, f"{place}.metadata must be an object")
    require_sensible_metadata(sum(len(key) + len(str(value)) for key, value in (entries or {}).items()))
    for key, value in (entries or {}).items():
        metadata[key] = _base64(value, f"{place}.metadata[{json.dumps(key[:60])}]")
    try:
        payload = ParseDict(item, Payload(), ignore_unknown_fields=True)
        payload.data = data
        for key, value in metadata.items():
            payload.metadata[key] = value
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(
            400, Code.INVALID_PAYLOADS, f"{place} is not the JSON of a Payload: {str(error)[:200]}"
        ) from error
    return payload


def _base64(value: object, place: str) -> bytes:
    """Return the bytes that are written in one of the two alphabets, with padding or without."""
    try:
        if not isinstance(value, str):
            raise TypeError  # noqa: TRY301  # told as everything else that is no base64
        return _decoded(value)
    except (TypeError, ValueError) as error:
        raise RequestError(400, Code.INVALID_PAYLOADS, f"{place} is not base64") from error


def _decoded(text: str) -> bytes:
    # In pieces: each decodes in one go, in which no other thread runs.
    decoded = bytearray()
    for start in range(0, len(text), PIECE_SIZE):
        piece = text[start : start + PIECE_SIZE].encode("ascii").translate(_STANDARD_ALPHABET)
        if start + PIECE_SIZE >= len(text):
            unpadded = piece[:-2] + piece[-2:].rstrip(b"=")
            if unpadded.endswith(b"="):
                raise ValueError("padding of more than two")
            piece = unpadded + b"=" * (-len(unpadded) % 4)
        elif b"=" in piece:
            raise ValueError("padding inside")
        decoded += binascii.a2b_base64(piece, strict_mode=True)
    return bytes(decoded)


def write_payloads(results: list[PayloadFields]) -> Iterator[bytes]:
    """Yield the JSON of payloads in pieces, so that it never stands in memory as a whole.

    The list is empty afterwards: sending may take long, and what was sent is let go of.
    """
    results.reverse()
    piece = bytearray(b'{"payloads":[')
    separator = b""
    while results:
        piece += separator
        separator = b","
        for part in results.pop().to_json():
            piece += part
            if len(piece) >= PIECE_SIZE:
                yield bytes(piece)
                piece.clear()
    yield bytes(piece + b"]}")
