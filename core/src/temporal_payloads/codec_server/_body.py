"""The body of a request, no more of it than allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError

from temporal_payloads.codec_server._errors import Code, RequestError, limit_exceeded

if TYPE_CHECKING:
    from temporal_payloads.codec_server._limits import Allowance


async def read_body(request: web.Request, allowance: Allowance) -> bytes:
    """Read the body, holding memory for it before it comes.

    The application's own limit does not matter, so that the server can be mounted in one of any limit.

    Raises:
        RequestError: It is no JSON by its header, too large, or broken.
    """
    if request.content_type != "application/json":
        raise RequestError(
            415, Code.UNSUPPORTED_CONTENT_TYPE, "the body must be sent with Content-Type: application/json"
        )
    limit = int(allowance.settings.request_size)
    announced = request.content_length
    if announced is not None and announced > limit:
        raise _too_large(limit)
    # A compressed body grows when it is read; aiohttp does that.
    known = announced is not None and hdrs.CONTENT_ENCODING not in request.headers
    expected = announced if known and announced is not None else limit
    await allowance.take(expected)
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except (BadHttpMessage, RequestPayloadError, PayloadAccessError) as error:
        raise RequestError(
            400, Code.INVALID_BODY, "the body is broken: it ends early, or is not encoded as its headers say"
        ) from error
    allowance.correct(expected, len(body))
    return bytes(body)


def _too_large(limit: int) -> RequestError:
    return limit_exceeded("request_size", f"the body is over {limit} bytes")
