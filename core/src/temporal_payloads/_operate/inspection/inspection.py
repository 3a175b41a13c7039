"""The payloads of a history: where each stands, what is around it, and whether the store still has it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import StorageDriverRetrieveContext

from temporal_payloads._codecs.named import encoding_of
from temporal_payloads._errors import message_of
from temporal_payloads._operate.contexts import ReadingContexts
from temporal_payloads._operate.histories import placed_payloads_in, reference_in_clear
from temporal_payloads._operate.inspection.peeling import peeling
from temporal_payloads._operate.room import Room
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageError,
    UnknownDriverError,
)
from temporal_payloads._storage.external_storage import unknown_driver
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from google.protobuf.message import Message
    from temporalio.api.common.v1 import Payload
    from temporalio.converter import StorageDriver

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._operate.histories import Place
    from temporal_payloads._operate.holders import Held
    from temporal_payloads._operate.inspection.peeling import Layer
    from temporal_payloads._storage.references import Reference

State = Literal[
    "inline", "intact", "missing", "damaged", "rejected", "unknown driver", "undecodable", "unreachable"
]
"""`inline`: it stands in the history, and is read. `intact`: so it is in its store. `missing`: that does not
have it. `damaged`: it has something else. `rejected`: the claim lies outside what its driver is configured
for, or it is no reference. `unknown driver`: none of that name is configured. `undecodable`: no codec reads
it, or the one that should fails. `unreachable`: its store does not answer, or refuses."""

ROOM = 128 * 1024 * 1024
"""Bytes of payloads that are in hand at the same time, before they are decoded."""
_AHEAD = 4
"""Times the concurrency: how many payloads are looked at before the first of them is told."""
_ATTRIBUTES = "_event_attributes"
_STATES: Sequence[tuple[type[StorageError], State]] = (
    (PayloadNotFoundError, "missing"),
    (PayloadIntegrityError, "damaged"),
    (PayloadTooLargeError, "damaged"),
    (ClaimRejectedError, "rejected"),
    (UnknownDriverError, "unknown driver"),
    (StorageError, "unreachable"),
)


@dataclass
class Inspected:
    """A payload, and what was found of it."""

    number: int
    """From 1 on, in the order of the history."""
    event_id: int | None
    """None for what no event has yet."""
    event: str
    """Its kind: `ActivityTaskScheduled`; `PendingActivity` and the like for what no event has."""
    time: datetime | None
    where: str
    """Where in the event it stands: `input[0]`, `memo.note`."""
    inline_size: int
    """Bytes in the history."""
    reference_layers: list[Layer] = field(default_factory=list)
    """Around a reference that has been through codecs; outermost first."""
    reference: Reference | None = None
    stored_size: int = 0
    """Bytes in the store: as the reference says, until it was read."""
    layers: list[Layer] = field(default_factory=list)
    """Around the payload itself; outermost first."""
    state: State = "inline"
    why: str = ""
    """Of a state that is not as it should be."""
    encoding: str = ""
    """Of what is inside of all layers, as far as they could be taken off."""
    message_type: str = ""
    size: int = 0
    """Bytes of that."""

    @property
    def well(self) -> bool:
        """Whether it can be read."""
        return self.state in ("inline", "intact")


@dataclass
class Totals:
    """What all of them are together."""

    payloads: int = 0
    inline_bytes: int = 0
    references: int = 0
    stored: int = 0
    """How many different payloads they refer to."""
    stored_bytes: int = 0
    """Bytes of those."""
    bytes: int = 0
    """Of all payloads, once decoded."""
    states: Counter[State] = field(default_factory=Counter)
    _seen: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set, repr=False)

    def add(self, one: Inspected) -> None:
        """Count one."""
        self.payloads += 1
        self.inline_bytes += one.inline_size
        self.bytes += one.size
        self.states[one.state] += 1
        if one.reference is None:
            return
        self.references += 1
        key = (one.reference.driver_name, tuple(sorted(one.reference.claim.claim_data.items())))
        if key not in self._seen:
            self._seen.add(key)
            self.stored += 1
            self.stored_bytes += one.stored_size


class Inspector:
    """Looks at the payloads of one workflow. It belongs to one event loop.

    Args:
        chain: Decodes as the data converter would, but takes what is in clear.
        drivers: Those of the data converter.
        namespace: The workflow's.
        workflow_id: Empty if it is not known.
        concurrency: How many payloads are looked at at the same time.
        take: Is given each payload that can be read, decoded, while it is in hand.
        room: How many bytes of payloads may be in hand at the same time, before they are decoded. What a
            codec may expand is decoded one after the other, whatever its size.
    """

    def __init__(
        self,
        chain: CodecChain,
        drivers: Sequence[StorageDriver],
        namespace: str,
        workflow_id: str = "",
        *,
        concurrency: int,
        take: Callable[[Inspected, Payload], Awaitable[None]] | None = None,
        room: int = ROOM,
    ) -> None:
        self._contexts = ReadingContexts(chain, namespace, workflow_id)
        self._drivers = {driver.name(): driver for driver in drivers}
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._room_size = room
        self._room = Room(room)
        self._understated = False
        self._expanding = asyncio.Lock()
        self._take = take

    async def inspect(
        self, payloads: AsyncIterator[tuple[Inspected, Payload]]
    ) -> AsyncGenerator[Inspected, None]:
        """Yield payloads (`placed`) in their order; several are looked at at the same time."""
        ahead: deque[asyncio.Task[Inspected]] = deque()
        inline = 0  # bytes of those that are ahead
        try:
            async for one, payload in payloads:
                ahead.append(asyncio.create_task(self.look_at(one, payload)))
                inline += one.inline_size
                while ahead and (
                    len(ahead) >= _AHEAD * self._concurrency or inline >= self._room_size or ahead[0].done()
                ):
                    told = await ahead.popleft()
                    inline -= told.inline_size
                    yield told
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def look_at(self, one: Inspected, payload: Payload) -> Inspected:
        """Look at a payload, and note in `one` what is found."""
        async with self._slots:
            if is_reference(payload) or is_encoded_reference(payload):
                await self._look_at_reference(one, payload)
            else:
                async with self._room.taken(one.inline_size):
                    await self._look_inside(one, payload)
        return one

    async def _look_at_reference(self, one: Inspected, payload: Payload) -> None:
        try:
            clear = await self._in_clear(one, payload)
        except Exception as error:  # noqa: BLE001  # a codec may raise anything
            one.state, one.why = "undecodable", message_of(error)
            return
        try:
            one.reference = reference = read_reference(clear)
        except ClaimRejectedError as error:
            one.state, one.why = "rejected", message_of(error)
            return
        one.stored_size = reference.size
        async with self._room.taken(self._size_to_expect(reference)):
            try:
                driver = self._drivers.get(reference.driver_name)
                if driver is None:
                    raise unknown_driver(reference.driver_name, list(self._drivers))  # noqa: TRY301
                [stored] = await driver.retrieve(StorageDriverRetrieveContext(), [reference.claim])
            except Exception as error:  # noqa: BLE001  # a driver may raise anything
                kinds = (state for kind, state in _STATES if isinstance(error, kind))
                one.state, one.why = next(kinds, "unreachable"), message_of(error)
                return
            one.state, one.stored_size = "intact", stored.ByteSize()
            self._understated |= one.stored_size > reference.size > 0
            await self._look_inside(one, stored)

    def _size_to_expect(self, reference: Reference) -> int:
        """Return how many bytes are to be kept free for a stored payload.

        A reference comes from whoever could write to the namespace. One that says nothing may lead to
        anything; and where one has said too little, none is believed any more.
        """
        return self._room_size if self._understated or reference.size <= 0 else reference.size

    async def _in_clear(self, one: Inspected, payload: Payload) -> Payload:
        if is_reference(payload):
            return payload
        async with self._turn() as turn:

            async def decode(chain: CodecChain) -> Payload:
                one.reference_layers.clear()
                return await reference_in_clear(payload, peeling(chain, one.reference_layers, turn))

            return await self._contexts.first(decode)

    async def _look_inside(self, one: Inspected, payload: Payload) -> None:
        async with self._turn() as turn:

            async def decode(chain: CodecChain) -> Payload:
                one.layers.clear()
                [decoded] = await peeling(chain, one.layers, turn).decode([payload])
                return decoded

            one.encoding = encoding_of(payload)
            try:
                decoded = await self._contexts.first(decode)
            except Exception as error:  # noqa: BLE001  # a codec may raise anything
                one.state, one.why = "undecodable", message_of(error)
                return
            one.encoding, one.size = encoding_of(decoded), len(decoded.data)
            one.message_type = decoded.metadata.get("messageType", b"").decode(errors="replace")
            if self._take is not None:
                await self._take(one, decoded)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Yield what waits until no other payload is being expanded; that lasts to the end of the block.

        It is waited for with room in hand, and nobody who has the turn waits for room.
        """
        async with AsyncExitStack() as stack:
            has_it = False

            async def wait() -> None:
                nonlocal has_it
                if not has_it:
                    await stack.enter_async_context(self._expanding)
                    has_it = True

            yield wait


async def placed(messages: AsyncIterator[Held]) -> AsyncGenerator[tuple[Inspected, Payload], None]:
    """Yield the payloads of messages, numbered, each with what is known of it before it was looked at."""
    number = 0
    async for held in messages:
        event_id, event = _named(held.message)
        for place, payload in placed_payloads_in(held.message):
            number += 1
            yield (
                Inspected(number, event_id, event, held.time, field_of(place), payload.ByteSize()),
                payload,
            )


def _named(message: Message) -> tuple[int | None, str]:
    if isinstance(message, HistoryEvent):
        words = (message.WhichOneof("attributes") or "unknown").removesuffix(_ATTRIBUTES).split("_")
        return message.event_id, "".join(word.capitalize() for word in words)
    return None, message.DESCRIPTOR.name.removesuffix("Info")


def field_of(place: Place) -> str:
    """Return a payload's place as a person reads it: `input[0]`, `memo.note`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("payloads", "fields") and not part.endswith(_ATTRIBUTES):
            text += f".{part}"
    return text.removeprefix(".")
