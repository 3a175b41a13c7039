"""What stays readable on a server although payloads are encrypted, in the words of the guide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from support.history import REFERENCE_MARKER
from temporalio.api.common.v1 import Payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READABLE = {
    "namespaces": r"\.(\w*namespace|\w*namespace_id)",
    "ids of workflows, runs, schedules, activities, timers, updates and requests": (
        r"\.(\w+_id|request_id_infos\.key|requested_id)"
    ),
    "types of workflows and activities": r"\.(workflow_type|activity_type|type)\.name",
    "names of signals, updates and markers": r"\.(signal_name|input\.name|marker_name|details\.key)",
    "task queues": r"\.task_queue(\.name|\.normal_name)?",
    "identities, build ids and SDK versions of workers and clients": (
        r"\.(identity|last_worker_identity|build_id|sdk_name|sdk_version)"
    ),
    "keys of memos": r"\.\w*memo\.fields\.key",
    "keys of headers": r"\.header\.fields\.key",
    "keys of search attributes": r"\.(search_attributes\.)?indexed_fields\.key",
    "types of failures": r"\.application_failure_info\.type",
    "the words 'Encoded failure' in the place of each message": r"(failure|cause)\.message",
    "reasons of cancellations and terminations": r"\.(reason|cause)",
    "notes, time zones and versions of schedules": r"\.(notes|timezone_name|conflict_token)",
}
"""Text that stands in no payload: what it is, and the fields in which it stands."""

READABLE_PAYLOADS = {
    "values of headers, unless the client has header_codec_behavior = HeaderCodecBehavior.CODEC": (
        r"\.header\.fields"
    ),
    "values of search attributes": r"\.indexed_fields",
    "what the SDK notes of patches and local activities in markers: patch ids, types, ids, times": (
        r"\.marker_recorded_event_attributes\.details\.(data|patch-data)\.payloads"
    ),
}
"""Payloads that no codec is given: what they are, and the fields in which they stand."""

READABLE_OF_ENCRYPTED = {
    "ids of encryption keys, and data keys that they have wrapped": (
        r"encryption-key-id|encryption-dek|encryption-bind"
    ),
    "references: driver names, buckets, keys with namespace, type and ids, SHA-256 and encrypted size": (
        rf"messageType|{REFERENCE_MARKER}"
    ),
}
"""What stands in the metadata of payloads that are encrypted, or in the references to those."""


def in_message(message: Message, path: str = "") -> Iterator[tuple[str, str | bytes | Payload]]:
    """Yield every text and every payload in a message, with the names of the fields that lead to it.

    Maps whose values are payloads have their keys in the paths of these, where the keys tell something.
    """
    if isinstance(message, Payload):
        yield path, message
        return
    for field, value in message.ListFields():
        inner = f"{path}.{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in value:
                yield f"{inner}.key", str(key)
                if isinstance(value[key], Message):
                    yield from in_message(value[key], f"{inner}.{key}" if field.name == "details" else inner)
        else:
            for each in value if field.is_repeated else [value]:
                if isinstance(each, Message):
                    yield from in_message(each, inner)
                elif isinstance(each, str | bytes) and each:
                    yield inner, each


def sentences_for(place: str, sentences: dict[str, str]) -> list[str]:
    """Return what the guide says of a place: the sentences whose pattern matches its end."""
    return [sentence for sentence, pattern in sentences.items() if re.search(rf"(?:{pattern})$", place)]


def clear_text_in(messages: Iterable[Message]) -> dict[str, set[str]]:
    """Return the places of everything that can be read in the messages, and what stands there."""
    found: dict[str, set[str]] = {}
    for message in messages:
        for place, value in in_message(message):
            if not isinstance(value, Payload):
                text = value if isinstance(value, str) else value.decode(errors="replace")
                found.setdefault(place, set()).add(text)
    return found


def payloads_with_places(messages: Iterable[Message]) -> Iterator[tuple[str, Payload]]:
    """Yield the payloads in the messages, with their places."""
    for message in messages:
        for place, value in in_message(message):
            if isinstance(value, Payload):
                yield place, value
