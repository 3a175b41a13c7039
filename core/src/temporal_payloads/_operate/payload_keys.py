"""Which keys a payload needs: those of all its layers, and of the payload that it refers to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from temporalio.converter import (
    PayloadCodec,
    StorageDriverRetrieveContext,
    WorkflowSerializationContext,
)

from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._concurrency.shared_work import shared
from temporal_payloads._operate.histories import reference_in
from temporal_payloads._operate.room import Room
from temporal_payloads._storage.external_storage import unknown_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import StorageDriver

    from temporal_payloads._concurrency.shared_work import Board
    from temporal_payloads._storage.references import Reference

ROOM = 64 * 1024 * 1024
"""Bytes of stored payloads that are in hand at the same time, by what their references say."""
REMEMBERED = 64 * 1024
"""Stored payloads that are not fetched again where another reference leads to them; some 10 MB."""
LONGEST_ID = 2048
"""Characters of a key's id: it comes from a payload, which can say anything."""

Keys = tuple[str, ...]


@dataclass(frozen=True)
class FoundKeys:
    """The keys of a payload."""

    ids: Keys
    """Outermost first; each once."""
    error: Exception | None = None
    """Why there may be more: a layer could not be decoded, a stored payload not be fetched."""


class PayloadKeys:
    """Finds the keys of payloads. It belongs to one event loop.

    Args:
        chain: Decodes as the data converter would; its codecs tell the keys (`CodecPlugin`).
        drivers: Fetch what references lead to.
        concurrency: How many payloads are fetched at the same time.
        room: How many bytes of them may be in hand at the same time.
    """

    def __init__(
        self, chain: CodecChain, drivers: Sequence[StorageDriver], *, concurrency: int, room: int = ROOM
    ) -> None:
        self._chain = chain
        self._drivers = {driver.name(): driver for driver in drivers}
        self._slots = asyncio.Semaphore(concurrency)
        self._room = Room(room)
        self._known: OrderedDict[bytes, Keys] = OrderedDict()
        self._fetches: Board[bytes, Keys] = {}

    def reader(self, namespace: str, workflow_id: str) -> KeyReader:
        """Return what reads the payloads of one workflow."""
        context = WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id)
        return KeyReader(self, namespace, self._chain.with_context(context))

    async def of_stored(
        self, reference: Reference, namespace: str, keys_of: Callable[[Payload], Any]
    ) -> Keys:
        """Return the keys of a stored payload, which is fetched once."""
        driver = self._drivers.get(reference.driver_name)
        if driver is None:
            raise unknown_driver(reference.driver_name, list(self._drivers))
        key = _digest(namespace, reference)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]

        async def fetch(_: Sequence[bytes]) -> dict[bytes, Keys]:
            async with self._room.taken(reference.size), self._slots:
                context = StorageDriverRetrieveContext()
                [payload] = await driver.retrieve(context, [reference.claim])
                keys: Keys = await keys_of(payload)
            self._known[key] = keys
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return {key: keys}

        return (await shared(self._fetches, [key], fetch))[key]


class KeyReader:
    """Finds the keys of one workflow's payloads."""

    def __init__(self, owner: PayloadKeys, namespace: str, chain: CodecChain) -> None:
        self._owner = owner
        self._namespace = namespace
        self._chain = chain

    async def keys_of(self, payload: Payload) -> FoundKeys:
        """Return the keys of a payload as it stands in a history. It does not raise."""
        seen: dict[str, None] = {}
        try:
            chain = self._noting(seen)
            reference = await reference_in(payload, chain)
            if reference is None:
                await chain.decode([payload])
            else:
                stored = await self._owner.of_stored(reference, self._namespace, self._keys_of_stored)
                seen.update(dict.fromkeys(stored))
        except _StoredError as error:
            return FoundKeys((*seen, *(key for key in error.ids if key not in seen)), error.why)
        except Exception as error:  # noqa: BLE001  # a codec or a driver may raise anything
            return FoundKeys(tuple(seen), error)
        return FoundKeys(tuple(seen))

    async def _keys_of_stored(self, payload: Payload) -> Keys:
        seen: dict[str, None] = {}
        try:
            await self._noting(seen).decode([payload])
        except Exception as error:
            raise _StoredError(tuple(seen), error) from error
        return tuple(seen)

    def _noting(self, seen: dict[str, None]) -> CodecChain:
        # Without require_encrypted: what is in clear needs no key.
        return self._chain.reading(lambda codec: _noting(codec, seen))


class _StoredError(Exception):
    """A stored payload has layers that could not be decoded, and these keys around them."""

    def __init__(self, ids: Keys, why: Exception) -> None:
        super().__init__(ids, why)
        self.ids = ids
        self.why = why


def _noting(named: NamedCodec, seen: dict[str, None]) -> NamedCodec:
    key_of = getattr(named.codec, "key_of", None)
    return named if key_of is None else replace(named, codec=_Noting(named.codec, key_of, seen))


class _Noting(PayloadCodec):
    """Decodes with a codec, and notes the keys of what it is given and of what it leaves."""

    def __init__(
        self, codec: PayloadCodec, key_of: Callable[[Payload], str | None], seen: dict[str, None]
    ) -> None:
        self._codec = codec
        self._key_of = key_of
        self._seen = seen

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Not for this object."""
        raise NotImplementedError

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode; see `temporalio.converter.PayloadCodec.decode`."""
        self._note(payloads)
        decoded = await self._codec.decode(payloads)
        # One that is encrypted twice keeps a layer, which no codec of the chain takes off.
        self._note(decoded)
        return decoded

    def why_left_alone(self, payload: Payload) -> str | None:
        """Say what the codec says."""
        why: str | None = getattr(self._codec, "why_left_alone", lambda _: None)(payload)
        return why

    def _note(self, payloads: Sequence[Payload]) -> None:
        for payload in payloads:
            key = self._key_of(payload)
            if key is not None:
                self._seen[key[:LONGEST_ID]] = None


def _digest(namespace: str, reference: Reference) -> bytes:
    # With the namespace: a payload may be bound to it, so that it is not read in another one.
    place = [namespace, reference.driver_name, dict(reference.claim.claim_data)]
    return hashlib.sha256(json.dumps(place, sort_keys=True).encode()).digest()
