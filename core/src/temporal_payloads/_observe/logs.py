"""Log records that say whose payloads they are about, and one line of JSON for each."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime

from temporalio import activity

from temporal_payloads._observe.belonging import Belonging, current_belonging

LOGGER = "temporal_payloads"
CONTEXT = ("namespace", "workflow_id", "run_id", "activity_id")
"""Attributes of this library's log records. Each is None where it is not known."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and what else is known.

    A record of this library has `namespace`, `workflow_id`, `run_id` and `activity_id`, each where it is
    known; one of the codec server has its fields, one of an exception `exception`.

    Example, for `logging.config.dictConfig`::

        {"formatters": {"json": {"()": "temporal_payloads.observability.JsonFormatter"}}, ...}
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        context = {name: getattr(record, name, None) for name in CONTEXT}
        line = {
            "time": time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in context.items() if value is not None},
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def time_of(record: logging.LogRecord) -> str:
    """Return when a record was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record has in its `fields`."""
    found = getattr(record, "fields", {})
    return found if isinstance(found, dict) else {}


def give_records_context() -> None:
    """Have this library's log records say whose payloads they are about."""
    # It is there only once, however often it is added.
    logging.getLogger(LOGGER).addFilter(_with_context)


def _with_context(record: logging.LogRecord) -> bool:
    for name, value in asdict(_belonging()).items():
        setattr(record, name, value)
    return True


def _belonging() -> Belonging:
    known = current_belonging()
    if known != Belonging() or not activity.in_activity():
        return known
    info = activity.info()
    return Belonging(
        namespace=info.workflow_namespace,
        workflow_id=info.workflow_id,
        run_id=info.workflow_run_id,
        activity_id=info.activity_id,
    )
