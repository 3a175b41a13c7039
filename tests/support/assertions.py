"""What must hold of everything that a server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.history import driver_name, event_payloads, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message
    from support.stores import Store
    from temporalio.api.common.v1 import Payload
    from temporalio.client import WorkflowHistory

LARGE_SIZE = 2000
"""Text of `support.values.large` is longer than this, that of `small` shorter."""


def assert_stands_for(payload: Payload, value: str, store: Store) -> None:
    """The payload is a reference into the store if the value is large, and encoded if it is small."""
    if len(value) > LARGE_SIZE:
        assert is_reference(payload)
        assert driver_name(payload) == store.driver_name
    else:
        assert payload.metadata["encoding"] == b"binary/gzip"
    assert_nowhere([payload], value)


def assert_nowhere(messages: Iterable[Message], value: str) -> None:
    """The server's messages show nothing of the value, not even its beginning."""
    for message in messages:
        assert value[:20].encode() not in message.SerializeToString()


def assert_history(history: WorkflowHistory, value: str, store: Store, *places: str) -> None:
    """The value stands at these places of the history, hidden, and nowhere as it is."""
    payloads = event_payloads(history)
    for place in places:
        assert place in payloads, sorted(payloads)
        for payload in payloads[place]:
            assert_stands_for(payload, value, store)
            if is_reference(payload):
                assert payload.external_payloads[0].size_bytes > 0
    assert_nowhere(history.events, value)
