"""Values that are too large for the history, found before the server refuses them: `storage.inline_limit`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.api.enums.v1 import CommandType
from temporalio.converter import (
    ActivitySerializationContext,
    NexusSerializationContext,
    StorageDriverWorkflowInfo,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._storage.errors import PayloadTooLargeError
from temporal_payloads._storage.references import is_reference
from temporal_payloads._storage.retries import outbound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import PayloadCodec, SerializationContext

    from temporal_payloads._storage.key_layout import Target

_LONGEST_NAME = 100
"""Characters of a name that is told."""


@dataclass(frozen=True)
class InlineLimit:
    """Refuses what would not fit into the history, and says what it is.

    Args:
        size: The most bytes that the values of one message may have; None for any number.
        has_drivers: Whether a driver is configured, for the advice.
        codec: What has encoded the payloads, to see what they were.
    """

    size: int | None = None
    has_drivers: bool = True
    codec: PayloadCodec | None = field(default=None, repr=False, compare=False)

    async def require_kept(
        self, payloads: Sequence[Payload], context: SerializationContext | None, target: Target
    ) -> None:
        """Raise if payloads, as they go to the server, are more than the server takes together.

        Args:
            payloads: The values of one message, after codecs and storage.
            context: What the SDK says they belong to.
            target: The workflow or activity that they would be stored for.

        Raises:
            PayloadTooLargeError: They are. Non-retryable in an activity, which would return the same again.
        """
        if self.size is None:
            return
        # The server measures the message, that is, all arguments together.
        sizes = [payload.ByteSize() for payload in payloads]
        if sum(sizes) <= self.size:
            return
        number, size = max(enumerate(sizes), key=lambda each: each[1])
        together = f" of {sum(sizes)} bytes together" if len(sizes) > 1 else ""
        form = await self._form(payloads[number], context)
        error = PayloadTooLargeError(
            f"Too large for the history: {_what(context, target, number, len(sizes))} has {size} bytes"
            f"{together} after the codecs ({form}), and storage.inline_limit is "
            f"{self.size} bytes, for the server takes no more. {self._advice(payloads[number])}"
        )
        raise outbound(error)

    async def _form(self, payload: Payload, context: SerializationContext | None) -> str:
        """Say of which type the value is, as far as a payload tells."""
        encoding = _text(payload, "encoding") or "unknown"
        if is_reference(payload):
            return f"encoding {encoding}"
        codec, value = self.codec, payload
        if codec is not None:
            if context is not None and isinstance(codec, WithSerializationContext):
                codec = codec.with_context(context)
            # What cannot be read back is told as it is.
            with suppress(Exception):
                [value] = await codec.decode([payload])
        inner = _text(value, "encoding") or "unknown"
        of = "" if inner == encoding else f" of {inner}"
        kind = _text(value, "messageType") or await run_off_loop(lambda: _json_type(value), len(value.data))
        return f"encoding {encoding}{of}" + (f", type {kind}" if kind else "")

    def _advice(self, payload: Payload) -> str:
        if not self.has_drivers:
            return "Configure a storage driver ([storage.drivers.KEY]), or make the value smaller"
        if is_reference(payload):
            return "Pass fewer values in one call"
        return (
            "No storage driver took it: see storage.driver, storage.routes and storage.threshold, or make "
            "the value smaller"
        )


def _what(context: SerializationContext | None, target: Target, number: int, count: int) -> str:
    """Say what the value is, as far as the SDK tells."""
    of = f" {number + 1} of {count}" if count > 1 else ""
    if isinstance(context, ActivitySerializationContext):
        # The SDK does not tell which of the two it is that comes out of an activity.
        what = f"result or heartbeat{of}" if activity.in_activity() else f"argument{of}"
        told = f"the {what} of activity {_name(context.activity_type, context.activity_id)}"
        if context.workflow_id:
            told += f" in workflow {_name(context.workflow_type, context.workflow_id)}"
        return told
    if isinstance(context, NexusSerializationContext):
        operation, service = _name(context.operation), _name(context.service)
        return f"a value{of} of the Nexus operation {operation} of service {service}"
    kind = target.type if isinstance(target, StorageDriverWorkflowInfo) else None
    if isinstance(context, WorkflowSerializationContext):
        what = _COMMANDS.get(_command(), "a value")
        return f"{what}{of} of workflow {_name(kind, context.workflow_id)}"
    return f"a value{of}"


_COMMANDS: dict[int | None, str] = {
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: "the result",
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: "an argument or memo",
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: "an argument of a signal",
}


def _command() -> int | None:
    """Return which workflow command is being encoded. It is private in the SDK, and only a word here."""
    try:
        from temporalio.worker._command_aware_visitor import current_command_info  # noqa: PLC0415  # see above

        info = current_command_info.get()
    except (ImportError, AttributeError):
        return None
    return getattr(info, "command_type", None)


def _name(kind: str | None, identity: str | None = None) -> str:
    names = [repr(kind[:_LONGEST_NAME])] if kind else []
    if identity:
        names.append(f"(id {identity[:_LONGEST_NAME]!r})")
    return " ".join(names) or "of unknown type"


def _text(payload: Payload, key: str) -> str:
    return payload.metadata.get(key, b"").decode(errors="replace")[:_LONGEST_NAME]


def _json_type(payload: Payload) -> str:
    """Return what JSON a payload is, without anything of its content."""
    if not _text(payload, "encoding").startswith("json/"):
        return ""
    try:
        value = json.loads(payload.data)
    except (ValueError, RecursionError):
        return "JSON that cannot be read"
    if isinstance(value, dict):
        return f"object with {len(value)} fields"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return "text" if isinstance(value, str) else "one number or word"
