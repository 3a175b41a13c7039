"""Payloads and histories that were exported to a file."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from temporal_payloads._operate.holders import Held, time_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from google.protobuf.message import Message

LARGEST = 256 * 1024 * 1024
"""Bytes of an export that is read. The server ends a workflow whose history has more than 50 MiB."""
_KINDS = ("events", "payloads", "metadata")
"""What tells a history, several payloads and a payload."""
_SOMETHING_ELSE = (
    "it is JSON of something else. A payload has metadata and data, several are in a list or in "
    '{"payloads": [...]}, and a history has events'
)
_DEEPEST = 200
"""Objects within objects of an export; failures have causes that have causes."""


class ExportError(Exception):
    """It is nothing that was exported from Temporal. The message says why."""


def read_exported(data: bytes) -> Payload | Payloads | History:
    """Return what was exported: a payload, several, or a history.

    As JSON, in the spellings of the CLI (`temporal workflow show --output json`), the Web UI and codec
    servers; or the serialized bytes of a payload or of `Payloads`, also in base64.

    Raises:
        ExportError: It is nothing of that.
    """
    if len(data) > LARGEST:
        raise ExportError(
            f"it has more than {LARGEST >> 20} MiB, which no export of a history or payload has"
        )
    if not data.strip():
        raise ExportError("it is empty")
    if data.lstrip()[:1] in (b"{", b"["):
        return _from_json(data)
    return _from_bytes(data)


def workflow_id_of(history: History) -> str:
    """Return the id of the workflow whose history it is; empty if it does not say."""
    if not history.events:
        return ""
    return history.events[0].workflow_execution_started_event_attributes.workflow_id


async def messages_of(exported: Message) -> AsyncGenerator[Held, None]:
    """Yield the messages that payloads stand in: the events of a history, or the message itself."""
    if isinstance(exported, History):
        for event in exported.events:
            yield Held(event, time_of(event.event_time))
    else:
        yield Held(exported, None)


def _from_json(data: bytes) -> Payload | Payloads | History:
    try:
        document = json.loads(data)
    except json.JSONDecodeError as error:
        raise ExportError(f"it is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ExportError(f"it is not JSON that can be read: {type(error).__name__}") from error
    if isinstance(document, list):
        document = {"payloads": document}
    _require_sound(document, "", 0)
    try:
        if "events" in document:
            events = WorkflowHistory.from_json("", document).events
            return History(events=events)
        if "payloads" in document:
            return ParseDict(document, Payloads(), ignore_unknown_fields=True)
        if "metadata" in document:
            return ParseDict(document, Payload(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        place = _place_of(error) or next(name for name in _KINDS if name in document)
        raise ExportError(
            f"it is JSON, and not that of Temporal: {place} is not what Temporal writes there"
        ) from error
    raise ExportError(_SOMETHING_ELSE)


def _place_of(error: Exception) -> str:
    """Return the place of what protobuf's parser does not take, which it tells among words of its own."""
    text = str(error)
    place = re.search(r" at \w+\.([\w.\[\]]*\w\]?)\.*$", text)
    return (place[1] if place else ".".join(re.findall(r"Failed to parse (\w+) field", text)))[:200]


def _require_sound(value: Any, place: str, depth: int) -> None:
    # Protobuf's parser drops what is not base64 and goes on, which would lose payloads without a word.
    if depth > _DEEPEST:
        raise ExportError(f"it has more than {_DEEPEST} objects within each other")
    if isinstance(value, list):
        for index, each in enumerate(value):
            _require_sound(each, f"{place}[{index}]", depth + 1)
    elif isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and "encoding" in metadata:
            texts = {"data": value.get("data"), **{f"metadata.{key}": each for key, each in metadata.items()}}
            for name, text in texts.items():
                if text is not None and (not isinstance(text, str) or _unbase64(text.encode()) is None):
                    raise ExportError(f"{place}.{name} is not base64".lstrip("."))
            return
        for name, each in value.items():
            _require_sound(each, f"{place}.{name}"[:200], depth + 1)


def _from_bytes(data: bytes) -> Payload | Payloads:
    plain = _unbase64(b"".join(data.split()))
    for each in (data, plain):
        if each is None:
            continue
        for kind in (Payload, Payloads):
            try:
                found = kind.FromString(each)
            except DecodeError:
                continue
            payloads = found.payloads if isinstance(found, Payloads) else [found]
            if payloads and all("encoding" in payload.metadata for payload in payloads):
                return found
    if _is_json(data):
        raise ExportError(_SOMETHING_ELSE)
    raise ExportError(
        "it is neither JSON nor the bytes of a payload. Export a history with temporal workflow show "
        "--output json"
    )


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _unbase64(text: bytes) -> bytes | None:
    text = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
