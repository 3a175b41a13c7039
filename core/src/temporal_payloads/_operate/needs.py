"""What a holder needs from stores: for a collector, which deletes the rest."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._operate.contexts import ReadingContexts
from temporal_payloads._operate.embedded import (
    EFFORT,
    Effort,
    TooIntricateError,
    hashes_in,
    hashes_within,
    opaque_in,
    payloads_within,
)
from temporal_payloads._operate.gaps import Gaps
from temporal_payloads._operate.histories import payloads_in, reference_in_clear
from temporal_payloads._operate.holders import UnknownHolderError, held_by
from temporal_payloads._operate.recorded import RecordedReference
from temporal_payloads._storage.errors import ClaimRejectedError
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload
    from temporalio.client import Client

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._operate.holders import Holder

_DEEPEST = 16
"""Payloads within payloads that are looked into."""
_OF_THE_API = b"temporal.api."


@dataclass
class Needs:
    """What a holder needs.

    Which payload ends where:

    - A reference in any form is in `references`, whether or not its driver is configured or takes the claim
      (`ConfinedReferences` tells).
    - What says that it is a reference and cannot be read as one is read by nobody. It is no gap, for
      anybody can put such into an input; what in it may be a hash is in `hashes`.
    - An encoded reference that the codecs do not decode is a gap, and so is any other payload that they do
      not: a proxy may have encoded a reference like everything else. Anybody can bring about this gap, too,
      but to go on without the codec or key would lose payloads.
    - What is made to be looked at for ever (`embedded.Effort`) is a gap as well.
    - Inside of the server's own workflows whatever may be a hash is in `hashes` as well.
    """

    references: set[RecordedReference] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    """In doubt: lower-case hex SHA-256 of payloads that may be needed, wherever they lie."""
    messages: int = 0
    """Events and descriptions that were read."""
    payloads: int = 0
    """Payloads in them."""
    gaps: Gaps = field(default_factory=Gaps)
    """What could not be read, so that it may need anything."""

    @property
    def complete(self) -> bool:
        """Whether nothing else is needed."""
        return not self.gaps


async def needs_of(client: Client, holder: Holder, chain: CodecChain) -> Needs:
    """Read all messages of a holder, page by page, and return what it needs.

    Nothing is fetched from a store. Memory is bound by a page and the distinct references.

    Args:
        client: Of the holder's namespace; its data converter is not used.
        holder: As it was listed.
        chain: Decodes as the data converter would, but must not require that payloads are encrypted.

    Raises:
        RPCError: A message could not be had; `NOT_FOUND` where the holder was deleted meanwhile.
    """
    reading = _Reading(holder, chain)
    try:
        messages = held_by(client, holder)
    except UnknownHolderError as error:
        reading.needs.gaps.miss("executions of an unknown kind", str(error), holder)
        return reading.needs
    async with aclosing(messages):
        async for held in messages:
            reading.needs.messages += 1
            for payload in payloads_in(held.message):
                reading.needs.payloads += 1
                await reading.note(payload)
            for data in opaque_in(held.message):
                await reading.look_into(data)
    return reading.needs


class _Reading:
    def __init__(self, holder: Holder, chain: CodecChain) -> None:
        self.needs = Needs()
        self._holder = holder
        self._contexts = ReadingContexts(chain, holder.namespace, holder.id)

    async def note(self, payload: Payload, depth: int = 0, effort: Effort | None = None) -> None:
        """Note what a payload needs, as it stands in a message; or, with an effort, inside of another one."""
        if is_reference(payload) or is_encoded_reference(payload):
            await self._note_reference(payload, effort)
            return
        try:
            [decoded] = await self._contexts.first(lambda codec: codec.decode([payload]))
        except Exception as error:  # noqa: BLE001  # a codec may raise anything
            self.needs.gaps.miss_for("payloads that no codec decodes", error, self._holder)
            decoded = payload
        if is_reference(decoded) or is_encoded_reference(decoded):
            await self._note_reference(decoded, effort)
        elif self._may_hold_others(decoded):
            await self._look_into_decoded(decoded.data, payload.data, depth + 1, effort)

    async def look_into(self, data: bytes) -> None:
        """Note what the payloads inside of data need, and whatever may be a hash."""
        await self._look_into(data, 0, Effort(data), hashes=True)

    async def _look_into_decoded(
        self, data: bytes, encoded: bytes, depth: int | None, effort: Effort | None
    ) -> None:
        # What stands in clear inside of another payload was searched for hashes with that one.
        new = effort is None or data != encoded
        if effort is None:
            effort = Effort(data)
        elif new:
            effort.grow(data)
        await self._look_into(data, depth, effort, hashes=new)

    async def _look_into(self, data: bytes, depth: int | None, effort: Effort, *, hashes: bool) -> None:
        """Note what is in data; without a depth only what may be a hash."""

        def look() -> tuple[set[str], list[Payload]]:
            found = set(hashes_within(data, effort)) if hashes else set()
            payloads = [] if depth is None else list(payloads_within(data, effort))
            if payloads and depth is not None and depth >= _DEEPEST:
                raise TooIntricateError
            return found, payloads

        try:
            found, payloads = await run_off_loop(look, EFFORT * len(data))
        except Exception as error:  # noqa: BLE001  # what a stranger makes up must not end a collection
            self.needs.hashes.update(hashes_in(data))
            self.needs.gaps.miss_for("payloads that could not be looked into", error, self._holder)
            return
        self.needs.hashes |= found
        for payload in payloads:
            await self.note(payload, depth or 0, effort)

    async def _note_reference(self, payload: Payload, effort: Effort | None) -> None:
        try:
            clear = await self._contexts.first(lambda codec: reference_in_clear(payload, codec))
        except Exception as error:  # noqa: BLE001  # a codec may raise anything
            self.needs.gaps.miss_for("references that could not be decoded", error, self._holder)
            return
        try:
            reference = read_reference(clear)
        except ClaimRejectedError:
            await self._look_into_decoded(clear.data, b"", None, effort)
        else:
            self.needs.references.add(RecordedReference.of(reference))

    def _may_hold_others(self, payload: Payload) -> bool:
        message_type = payload.metadata.get("messageType", b"")
        return bool(self._holder.division) or message_type.startswith(_OF_THE_API)
