"""What the server logs: a line for each request, and one for each stored payload that was read."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

access_log = logging.getLogger("temporal_payloads.codec_server.access")
audit_log = logging.getLogger("temporal_payloads.codec_server.audit")


def log_fields(logger: logging.Logger, event: str, fields: Mapping[str, object]) -> None:
    """Log an event with its fields, which formatters find in the record's `fields`."""
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    logger.info(event, extra={"fields": given})


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = getattr(record, "fields", {})
    return found if isinstance(found, dict) else {}


class TextFormatter(logging.Formatter):
    """`TIME LEVEL message key=value ...`, one line whatever the values hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        pairs = "".join(f" {name}={_word(value)}" for name, value in _fields(record).items())
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        text = f"{_time(record)} {record.levelname} {message}{pairs}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(*, as_json: bool) -> None:
    """Send the log to the standard error stream; for a program of which the server is all there is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _word(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and not any(character in ' "=' for character in text)
    return text if plain and text else json.dumps(text)
