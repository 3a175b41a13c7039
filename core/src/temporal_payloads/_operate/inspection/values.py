"""Decoded payloads as JSON values, for a person or a program."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message
    from temporalio.api.common.v1 import Payload

    from temporal_payloads._operate.histories import Place


def value_of(payload: Payload) -> Any:
    """Return what a decoded payload says, if it is JSON; None for null.

    Of any other: its encoding, its message type if it has one, and its bytes in base64.
    """
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    if encoding == "binary/null":
        return None
    if encoding.startswith("json/"):
        try:
            return json.loads(payload.data, parse_constant=_refused)
        except (ValueError, RecursionError):
            pass  # somebody else's idea of JSON
    value = {"encoding": encoding, "data": base64.b64encode(payload.data).decode()}
    if "messageType" in payload.metadata:
        value["messageType"] = payload.metadata["messageType"].decode(errors="replace")
    return value


def with_values(message: Message, values: Iterable[tuple[Place, Any]]) -> Any:
    """Return a message as JSON, with these values in place of payloads.

    Args:
        message: It has payloads at the places.
        values: Each with its place in the message (`placed_payloads_in`).
    """
    document = MessageToDict(message)
    for place, value in values:
        *way, last = _names(message, place)
        where: Any = document
        for name in way:
            where = where[name]
        where[last] = value
    return document


def _names(message: Message, place: Place) -> list[str | int]:
    """Return a place in the terms of JSON."""
    names: list[str | int] = []
    here: Any = message.DESCRIPTOR
    parts = iter(place)
    for part in parts:
        field = here.fields_by_name[str(part)]
        names.append(field.json_name)
        if field.is_repeated:
            names.append(next(parts))
        here = field.message_type
        if here.GetOptions().map_entry:
            here = here.fields_by_name["value"].message_type
    return names


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
