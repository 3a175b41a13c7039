"""The stores of the settings, as a collector needs them: open, with what tells their payloads apart."""

from __future__ import annotations

import hashlib
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.collection.claims import Claims
from temporal_payloads._operate.collection.state import DirectoryState, Files
from temporal_payloads._operate.recorded import ConfinedReferences
from temporal_payloads._storage.collecting import CollectableDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._operate.collection.claims import Place
    from temporal_payloads._plugins.events import CollectionEvent
    from temporal_payloads._settings.settings import PayloadSettings
    from temporal_payloads._storage.managed_driver import ManagedDriver


class NoStateError(Exception):
    """There is nowhere to keep what a collector must know."""


@dataclass(frozen=True)
class Stores:
    """The stores of the settings."""

    collectable: Mapping[str, CollectableDriver]
    """Those that can be collected, by the keys of their drivers' tables."""
    refused: Mapping[str, str]
    """By key: why another one is not."""
    fingerprints: Mapping[str, str]
    """By key: what tells a store from others."""
    claims: Claims
    files: Files
    """Where the collector keeps what it must know."""
    chain: CodecChain
    """Decodes as workers do, and reads what is in clear as well."""
    codecs: str
    """A fingerprint of what it decodes."""
    final_tables: Mapping[str, Sequence[str]]
    """By key: the tables that read from the store, and where a missing payload ends a workflow."""
    names: Mapping[str, str]
    """By key: the name that references record."""
    notify: Callable[[CollectionEvent], None]
    """Tells observers of a collection."""


@asynccontextmanager
async def stores_open(assembly: Assembly) -> AsyncIterator[Stores]:
    """Open all stores of the settings that are not off.

    Raises:
        StorageError: One cannot be opened.
        NoStateError: None of them keeps the collector's files, and the settings name no directory.
    """
    settings = assembly.settings
    async with AsyncExitStack() as stack:
        opened = {
            key: await stack.enter_async_context(driver.opened())
            for key, driver in assembly.drivers.items()
            if not _off(settings, key)
        }
        collectable: dict[str, CollectableDriver] = {}
        refused = {key: "it is off" for key in assembly.drivers if key not in opened}
        for key, driver in opened.items():
            if not isinstance(driver, CollectableDriver):
                refused[key] = "its driver cannot list what it has stored"
            elif (why := driver.why_not_collected()) is not None:
                refused[key] = why
            else:
                collectable[key] = driver
        moved_to: dict[ManagedDriver, list[Place]] = {}
        for key, managed in assembly.drivers.items():
            later = [opened[one] for one in _chain(settings, key) if one in opened]
            moved_to[managed] = [one.claim_for for one in later if isinstance(one, CollectableDriver)]
        chain = assembly.reading_chain
        external = assembly.converter.external_storage
        yield Stores(
            collectable=collectable,
            refused=refused,
            fingerprints={key: driver.fingerprint for key, driver in assembly.drivers.items()},
            claims=Claims(ConfinedReferences(external.drivers if external else ()), moved_to),
            files=_files(settings, collectable),
            chain=chain,
            codecs=_codecs(settings, chain),
            final_tables={key: _final_tables(settings, key) for key in collectable},
            names={key: driver.name() for key, driver in assembly.drivers.items()},
            notify=assembly.observers.notify,
        )


def _files(settings: PayloadSettings, collectable: Mapping[str, CollectableDriver]) -> Files:
    if settings.gc.state is not None:
        return Files(DirectoryState(settings.gc.state))
    # In the store that new payloads go to; else in the first of the table.
    for key in (settings.storage.default_driver, *collectable):
        if key in collectable:
            return Files(collectable[key].state())
    raise NoStateError(
        "no store keeps the collector's files; name a directory in gc.state, where every collection finds "
        "what the last one has left"
    )


def _chain(settings: PayloadSettings, key: str) -> list[str]:
    """Return the drivers that a driver's payloads are moved to, the one after the other."""
    chain: list[str] = []
    table = settings.storage.drivers.get(key)
    while table is not None and table.moved_to and table.moved_to not in chain:
        chain.append(table.moved_to)
        table = settings.storage.drivers.get(table.moved_to)
    return chain


def _final_tables(settings: PayloadSettings, store: str) -> list[str]:
    return [
        key
        for key, table in settings.storage.drivers.items()
        if table.missing_payload == "fail" and store in (key, *_chain(settings, key))
    ]


def _off(settings: PayloadSettings, key: str) -> bool:
    table = settings.storage.drivers.get(key)
    return table is not None and table.off


def _codecs(settings: PayloadSettings, chain: CodecChain) -> str:
    named: list[Any] = [
        [name, (settings.codec[name].type if name in settings.codec else None) or name]
        for name in (*settings.codecs, *settings.decode_only)
    ]
    taken = [sorted(chain.raw_encodings), sorted(chain.converter_reads or ())]
    return hashlib.sha256(json.dumps([named, taken]).encode()).hexdigest()[:16]
