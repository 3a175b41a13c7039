"""What the server logs: a line for each request, and one for each stored payload that was read."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

from temporal_payloads._observe.logs import JsonFormatter, fields_of, time_of

if TYPE_CHECKING:
    from collections.abc import Mapping

access_log = logging.getLogger("temporal_payloads.codec_server.access")
audit_log = logging.getLogger("temporal_payloads.codec_server.audit")


MAX_FIELD_LENGTH = 2000
"""Characters of one value; more is what somebody sent to fill the disk."""


def log_fields(logger: logging.Logger, event: str, fields: Mapping[str, object]) -> None:
    """Log an event with its fields, which formatters find in the record's `fields`."""
    given = {name: _cut(value) for name, value in fields.items() if value not in (None, "")}
    logger.info(event, extra={"fields": given})


def _cut(value: object) -> object:
    long = isinstance(value, str) and len(value) > MAX_FIELD_LENGTH
    return f"{str(value)[:MAX_FIELD_LENGTH]}..." if long else value


class TextFormatter(logging.Formatter):
    """`TIME LEVEL message key=value ...`, one line whatever the values hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        pairs = "".join(f" {name}={_word(value)}" for name, value in fields_of(record).items())
        text = f"{time_of(record)} {record.levelname} {_printable(record.getMessage())}{pairs}"
        if not record.exc_info:
            return text
        trace = self.formatException(record.exc_info).split("\n")
        return "\n".join([text, *map(_printable, trace)])


def _without_trace(record: logging.LogRecord) -> bool:
    """Make one line of a request that is no HTTP: anybody can send those, and the trace helps nobody.

    What is wrong with it stays untold: that quotes the request, which may be the line with a token.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.msg, record.args = "%s: it is no HTTP", (record.getMessage(),)
        record.exc_info = None
    return True


def configure_logging(*, as_json: bool) -> None:
    """Send the log to the standard error stream; for a program of which the server is all there is."""
    server_logger.addFilter(_without_trace)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _printable(text: str) -> str:
    # Line ends forge lines, escape sequences steer terminals, and surrogates cannot be written at all.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _word(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain and text else json.dumps(text)
