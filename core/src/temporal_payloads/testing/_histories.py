"""What a test can say of a workflow's history: what was offloaded, how large the rest is, what can be read.

No message shows what a payload holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from pydantic import ByteSize, TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    PayloadCodec,
    StorageDriverRetrieveContext,
)

from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._operate.histories import (
    Place,
    codec_of_workflow,
    placed_payloads_in,
    reference_in,
)
from temporal_payloads._storage.errors import StorageError
from temporal_payloads._storage.external_storage import unknown_driver
from temporal_payloads._storage.references import Reference, is_encoded_reference, is_reference

Workflow = WorkflowHandle[Any, Any] | WorkflowHistory
"""Whose history is looked at: fetched by its handle, or as it is."""

_WRAPPERS = ("payloads", "fields", "indexed_fields")
"""Fields whose names say nothing: of the messages that hold several payloads."""


async def assert_offloaded(
    workflow: Workflow,
    expected: Sequence[object],
    *,
    converter: DataConverter,
    namespace: str = "default",
) -> None:
    """Assert that a workflow offloaded these values, and no others.

    A value that stands in several places of the history, as the workflow's input and an activity's, is given
    once. How often it was stored does not matter. Of a workflow that was continued all runs count, up to that
    of its handle; of children none does, for they have histories of their own.

    Args:
        workflow: Its handle, or its history: of one run only.
        expected: The values that are in a store and not in the history, in any order.
        converter: The workflow's.
        namespace: Where it runs, for codecs that keep namespaces apart.

    Raises:
        AssertionError: What was offloaded and not expected, with event, field, size and reference; and which
            of the values were not offloaded, or not everywhere.
    """
    __tracebackhide__ = True
    runs = await _runs(workflow)
    reader = _Reader(converter, namespace, runs)
    wanted = {_content(converter.payload_converter.to_payload(value)): value for value in expected}
    order = list(wanted)
    seen: set[bytes] = set()
    inline: dict[bytes, str] = {}
    problems: list[str] = []
    for where, payload in _placed_payloads(runs):
        found = await reader.read(payload)
        if found.problem is not None and found.refers:
            problems.append(f"{where} cannot be read: {found.problem}")
        elif found.reference is None:
            inline.setdefault(_content(found.payload), f"{payload.ByteSize():,} bytes at {where}")
        elif (content := _content(found.payload)) in wanted:
            seen.add(content)
        else:
            problems.append(f"not expected: {where}: {found.size:,} bytes, {_shown(found.reference)}")
    for number, content in enumerate(order):
        match content in seen, content in inline:
            case True, False:
                continue
            case True, True:
                where = f"is in a store, but in the history too, {inline[content]}"
            case False, True:
                where = f"is in the history itself, {inline[content]}"
            case _:
                where = "is not there"
        problems.append(f"expected[{number}], of type {type(wanted[content]).__name__}, {where}")
    _fail_with(runs, "did not offload just what was expected", problems)


async def assert_nothing_exceeds(workflow: Workflow, max_size: int | str) -> None:
    """Assert that no payload and no text in a workflow's history is larger than this.

    Texts are the messages and stack traces of failures above all, which no codec and no store keeps out of a
    history unless `encode_failures` is set.

    Args:
        workflow: Its handle, or its history: of one run only.
        max_size: Bytes, or a size such as `"64KiB"`. A payload counts as it stands in the history: encoded,
            or as a reference.

    Raises:
        AssertionError: What is larger, with event, field and size.
    """
    __tracebackhide__ = True
    runs = await _runs(workflow)
    limit = int(TypeAdapter(ByteSize).validate_python(max_size))
    problems = [
        f"{_where(run, event, place)}: {size:,} bytes"
        for run, event in _events(runs)
        for place, size in _sizes(event)
        if size > limit
    ]
    _fail_with(runs, f"has more than {limit:,} bytes in one place", problems)


async def assert_references_resolve(
    workflow: Workflow, *, converter: DataConverter, namespace: str = "default"
) -> None:
    """Assert that every payload of a workflow that is in a store can be had, be decoded, and be converted.

    It passes where nothing is in a store: that something is, `assert_offloaded` asserts.

    Args:
        workflow: Its handle, or its history: of one run only.
        converter: The workflow's, or that of another process that must be able to read it: an encoding that
            is neither its payload converter's nor among its `raw_encodings` is a problem. What it has in a
            cache it does not ask the store for.
        namespace: Where the workflow runs, for codecs that keep namespaces apart.

    Raises:
        AssertionError: Which references cannot be resolved, with event, field and reference, and why.
    """
    __tracebackhide__ = True
    runs = await _runs(workflow)
    reader = _Reader(converter, namespace, runs)
    problems = []
    for where, payload in _placed_payloads(runs):
        found = await reader.read(payload)
        problem = found.problem or reader.why_not_converted(found.payload)
        if problem is not None and found.refers:
            shown = f" ({_shown(found.reference)})" if found.reference else ""
            problems.append(f"{where}{shown}: {problem}")
    _fail_with(runs, "has references that cannot be resolved", problems)


@dataclass(frozen=True)
class _Read:
    """What became of a payload that stands in a history."""

    payload: Payload
    """As it was before codecs and storage; as it stands there, if it cannot be read."""
    refers: bool
    """Whether it is a reference, or says that it is one."""
    reference: Reference | None = None
    size: int = 0
    """Bytes of what is stored."""
    problem: str | None = None


class _Reader:
    """Reads payloads as the data converter does, one at a time, so that each has its own outcome."""

    def __init__(self, converter: DataConverter, namespace: str, runs: Sequence[WorkflowHistory]) -> None:
        storage = converter.external_storage
        self._drivers = {driver.name(): driver for driver in storage.drivers} if storage else {}
        self._codec: PayloadCodec | None = codec_of_workflow(
            converter.payload_codec, namespace=namespace, workflow_id=runs[-1].workflow_id
        )
        self._converter = converter.payload_converter_class()  # the SDK wraps it, which hides its encodings

    def why_not_converted(self, payload: Payload) -> str | None:
        """Say why the payload converter cannot read what the codecs have left; None if that is not known."""
        raw = self._codec.raw_encodings if isinstance(self._codec, CodecChain) else frozenset()
        encoding = payload.metadata.get("encoding", b"")
        if (
            not isinstance(self._converter, CompositePayloadConverter)
            or encoding in self._converter.converters
        ):
            return None
        name = encoding.decode(errors="replace")
        if name in raw:
            return None
        return (
            f"after the codecs it is encoded as {name[:80]!r}, which the payload converter does not read. A "
            "codec is missing, or a converter; what workflows take as it is belongs into raw_encodings"
        )

    async def read(self, payload: Payload) -> _Read:
        refers, reference = is_reference(payload) or is_encoded_reference(payload), None
        try:
            reference = await reference_in(payload, self._codec)
            stored = payload if reference is None else await self._retrieve(reference)
            return _Read(await self._decoded(stored), refers, reference, stored.ByteSize())
        except Exception as error:  # noqa: BLE001  # a codec or a driver may raise anything
            return _Read(payload, refers, reference, problem=_reason(error))

    async def _retrieve(self, reference: Reference) -> Payload:
        if reference.driver_name not in self._drivers:
            raise unknown_driver(reference.driver_name, list(self._drivers))
        driver = self._drivers[reference.driver_name]
        [payload] = await driver.retrieve(StorageDriverRetrieveContext(), [reference.claim])
        return payload

    async def _decoded(self, payload: Payload) -> Payload:
        if self._codec is None:
            return payload
        copy = Payload()
        copy.CopyFrom(payload)
        [decoded] = await self._codec.decode([copy])
        return decoded


async def _runs(workflow: Workflow) -> Sequence[WorkflowHistory]:
    """Return the history of each run that led to this one, the first one first."""
    if isinstance(workflow, WorkflowHistory):
        return [workflow]
    runs = [await workflow.fetch_history()]
    while continued := _continued_run(runs[0]):
        # The SDK has no public way from a handle to its client.
        before = workflow._client.get_workflow_handle(workflow.id, run_id=continued)  # noqa: SLF001
        runs.insert(0, await before.fetch_history())
    return runs


def _continued_run(history: WorkflowHistory) -> str:
    started = history.events[0].workflow_execution_started_event_attributes if history.events else None
    return started.continued_execution_run_id if started else ""


def _events(runs: Sequence[WorkflowHistory]) -> Iterator[tuple[str, HistoryEvent]]:
    for number, run in enumerate(runs, 1):
        for event in run.events:
            yield f"run {number} of {len(runs)}, " if len(runs) > 1 else "", event


def _placed_payloads(runs: Sequence[WorkflowHistory]) -> Iterator[tuple[str, Payload]]:
    for run, event in _events(runs):
        for place, payload in placed_payloads_in(event):
            yield _where(run, event, place), payload


def _sizes(message: Message, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """Yield every payload and text in a message, with its place and its bytes."""
    if isinstance(message, Payload):
        yield place, message.ByteSize()
        return
    for field, value in message.ListFields():
        inner = (*place, field.name)
        parts: Any = [(inner, value)]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            parts = [((*inner, key), each) for key, each in value.items()]
        elif not isinstance(value, Message | str | bytes | int | float):
            parts = [((*inner, index), each) for index, each in enumerate(value)]
        for its_place, part in parts:
            if isinstance(part, Message):
                yield from _sizes(part, its_place)
            elif isinstance(part, str | bytes):
                yield its_place, len(part.encode() if isinstance(part, str) else part)


def _where(run: str, event: HistoryEvent, place: Place) -> str:
    """Say where something stands as the Web UI does: `event 5 (ActivityTaskScheduled), input[0]`."""
    kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").title().replace("_", "")
    path = place[1:] if str(place[0]).endswith("_event_attributes") else place
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part not in _WRAPPERS]
    return f"{run}event {event.event_id} ({kind}), {''.join(parts).lstrip('.')}"


def _shown(reference: Reference) -> str:
    claim = reference.claim.claim_data
    return f"driver {reference.driver_name!r}, key {claim['key']!r}" if "key" in claim else repr(reference)


def _content(payload: Payload) -> bytes:
    """Return what tells values apart: not the order of an object's keys, nor what a store adds."""
    same = Payload(metadata=payload.metadata, data=payload.data)
    if payload.metadata.get("encoding") == b"json/plain":
        same.data = json.dumps(json.loads(payload.data), sort_keys=True).encode()
    return same.SerializeToString(deterministic=True)


def _reason(error: Exception) -> str:
    """Say why. The text of a foreign error may hold what a payload does."""
    return f"{type(error).__name__}: {error}" if isinstance(error, StorageError) else type(error).__name__


def _fail_with(runs: Sequence[WorkflowHistory], what: str, problems: Sequence[str]) -> None:
    __tracebackhide__ = True
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise AssertionError(f"The workflow {runs[-1].workflow_id!r} {what}:{lines}")
