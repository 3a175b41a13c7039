"""The body of a request, no more of it than allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError

from temporal_payloads.codec_server._errors import Code, RequestError, limit_exceeded

if TYPE_CHECKING:
    from temporal_payloads.codec_server._limits import Allowance

GROWTH = 256 * 1024
"""Bytes by which a body grows once it turns out to be more than what arrives at once."""


async def read_body(request: web.Request, allowance: Allowance) -> bytearray:
    """Read the body, holding memory for what has come of it.

    The application's own limit does not matter, so that the server can be mounted in one of any limit.

    Raises:
        RequestError: It is no JSON by its header, too large, too slow, or broken.
    """
    if request.content_type != "application/json":
        raise RequestError(
            415, Code.UNSUPPORTED_CONTENT_TYPE, "the body must be sent with Content-Type: application/json"
        )
    limit = int(allowance.settings.request_size)
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if hdrs.CONTENT_ENCODING in request.headers:
        # If the body is refused, aiohttp goes on reading it for a while, so that the client gets to read why.
        # That would expand all of it.
        request.protocol._lingering_time = 0  # noqa: SLF001  # there is no public way
    body, size = bytearray(), 0
    while chunk := await _next_chunk(request, allowance):
        end = size + len(chunk)
        if end > limit:
            raise _too_large(limit)
        if end > len(body):
            # In large steps: what grows by little pieces beside others that do leaves gaps between them.
            more = max(len(chunk), GROWTH if size else 0)
            await allowance.take(more)
            body += bytes(more)
        body[size:end] = chunk
        size = end
        # What has come already is read without waiting, and may expand for long: others want a turn.
        await asyncio.sleep(0)
    allowance.give_back(len(body) - size)
    del body[size:]
    return body


async def _next_chunk(request: web.Request, allowance: Allowance) -> bytes:
    try:
        async with allowance.client("sent nothing more of the body"):
            return await request.content.readany()
    except (BadHttpMessage, RequestPayloadError, PayloadAccessError) as error:
        raise RequestError(
            400, Code.INVALID_BODY, "the body is broken: it ends early, or is not encoded as its headers say"
        ) from error


def _too_large(limit: int) -> RequestError:
    return limit_exceeded("request_size", f"the body is over {limit} bytes")
