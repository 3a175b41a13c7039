"""Trying whether a store keeps to the conditions on which payloads are deleted from it."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from temporalio.api.common.v1 import Payload

from temporal_payloads._storage.errors import PayloadNotFoundError, StorageError, StorageMisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from temporal_payloads._storage.change import Change
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.key_layout import Target

_GRACE = timedelta(hours=1)
"""For which the payload of a probe that broke off stays aside, where what is aside goes by itself."""


class _Probed(Protocol):
    """A `ContentAddressedDriver` that is a `CollectableDriver` too."""

    def name(self) -> str: ...
    def key_for(self, target: Target, sha256: str) -> str: ...
    async def write(self, items: Mapping[str, bytes]) -> None: ...
    async def read(self, keys: Sequence[str]) -> list[bytes | None]: ...
    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]: ...
    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]: ...


async def probe_conditions(driver: _Probed, look: Callable[[str], Awaitable[ListedPayload | None]]) -> None:
    """Try on a payload of the probe's own what deleting depends on; for `CollectableDriver.probe`.

    Args:
        driver: A `ContentAddressedDriver` that is a `CollectableDriver` too.
        look: Returns what the store would list under a key, None if nothing.

    Raises:
        StorageMisconfiguredError: The store does not keep to the conditions.

    Example::

        class ShelfDriver(ContentAddressedDriver, CollectableDriver):
            async def probe(self):
                await probe_conditions(self, self._look)
    """
    # Random, so that no other writer stores it meanwhile.
    data = Payload(data=secrets.token_bytes(32)).SerializeToString(deterministic=True)
    key = driver.key_for(None, hashlib.sha256(data).hexdigest())

    def require(kept: bool, otherwise: str) -> None:  # as of an assertion
        if not kept:
            raise StorageMisconfiguredError(
                f"Nothing may be deleted from the store of driver {driver.name()!r}, which {otherwise}: "
                "deleting would race with writers. See that no proxy or emulator stands in its place, and "
                "that its version is one that the documentation names"
            )

    async def read() -> bytes | None:
        try:
            return (await driver.read([key]))[0]
        except PayloadNotFoundError:
            return None

    async def found(*, aside: bool) -> ListedPayload:
        seen = await look(key)
        require(seen is not None, "does not list what was just stored")
        assert seen is not None
        require(
            seen.aside is aside, "does not list that it is put aside" if aside else "lists it as put aside"
        )
        return seen

    try:
        await driver.write({key: data})
        stored = await found(aside=False)
        await driver.delete([replace(stored, aside=True)])
        require(await read() == data, "deletes what was never put aside")
        require(await driver.put_aside([stored], grace=_GRACE) == ["done"], "puts nothing aside")
        aside = await found(aside=True)
        await driver.write({key: data})
        await driver.delete([aside])
        require(await read() == data, "deletes what was stored again")
        stored = await found(aside=False)
        require(await driver.put_aside([stored], grace=_GRACE) == ["done"], "puts nothing aside twice")
        require(await driver.delete([await found(aside=True)]) == ["done"], "deletes nothing that is aside")
        require(await read() is None, "still has what was deleted")
    except BaseException:
        with suppress(StorageError):
            if (seen := await look(key)) and not seen.aside:
                await driver.put_aside([seen], grace=_GRACE)
            if seen := await look(key):
                await driver.delete([seen])
        raise
