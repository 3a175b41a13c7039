"""From which driver to which one payloads are moved, and whether they can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._storage.errors import StorageMisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.managed_driver import ManagedDriver
    from temporal_payloads._storage.sources import Source


class MoveRefusedError(Exception):
    """Payloads cannot be moved like that; the message says why, and what to do."""


@dataclass(frozen=True)
class Move:
    """A driver whose payloads are moved, and the one that they are moved to."""

    source_key: str
    destination_key: str
    source: ManagedDriver
    destination: ManagedDriver

    def concerns(self, driver: ManagedDriver) -> bool:
        """Tell whether what a driver's references lead to is to be moved.

        It is, too, where that driver's payloads were moved to the source before.
        """
        return any(each is self.source for each in _chain(driver))

    def stores_of(
        self, driver: ManagedDriver, claim: ConfinedClaim
    ) -> Iterator[tuple[Source, ConfinedClaim]]:
        """Yield where a payload may lie by now, the newest store first, without the destination.

        Args:
            driver: That of its reference.
            claim: The reference's, confined by that driver.
        """
        before: list[ManagedDriver] = []
        for each in _chain(driver):
            if each is self.destination:
                break
            before.append(each)
        for each in reversed(before):
            if not each.off:
                yield (each.own_store if each is driver else each.moved_store), claim

    @property
    def is_configured(self) -> bool:
        """Whether the settings say that the source's payloads are read from the destination."""
        return self.source is not self.destination and any(
            each is self.destination for each in _chain(self.source)
        )

    async def require_places(self) -> None:
        """Raise unless the destination can say where a payload lies.

        Raises:
            MoveRefusedError: It cannot.
            StorageError: It cannot be opened.
        """
        async with self.destination.opened() as driver:
            try:
                self.destination.moved_store.places_of(driver)
            except StorageMisconfiguredError as error:
                raise MoveRefusedError(error.message) from error

    async def has_place_without_namespace(self) -> str | None:
        """Return why the destination has no place for payloads without namespace; None if it has one.

        Raises:
            StorageError: It cannot be opened.
        """
        async with self.destination.opened() as driver:
            try:
                self.destination.moved_store.places_of(driver)(None, "0" * 64)
            except StorageMisconfiguredError as error:
                return error.message
        return None


def move_between(assembly: Assembly, source: str, destination: str, *, copies: bool) -> Move:
    """Return the move between two drivers of the settings.

    Args:
        assembly: What the settings describe.
        source: The key of the driver's table whose payloads are moved.
        destination: That of the driver that they are moved to.
        copies: Whether they are to be copied, and not only looked for.

    Raises:
        MoveRefusedError: They cannot be.
    """
    for key in (source, destination):
        if key not in assembly.drivers:
            known = ", ".join(assembly.drivers) or "none"
            raise MoveRefusedError(
                f"there is no driver {key!r}: no table [storage.drivers.{key}] (but: {known})"
            )
    move = Move(source, destination, assembly.drivers[source], assembly.drivers[destination])
    if move.source is move.destination:
        raise MoveRefusedError("payloads are moved from one driver to another one")
    for key, driver in ((source, move.source), (destination, move.destination)):
        if driver.trusts_claims:
            raise MoveRefusedError(
                f"payloads are moved by their hashes, and storage.drivers.{key} confines no claim, so that "
                "nothing tells which one a claim stands for. Give that driver a method confine(claim)"
            )
    table = assembly.settings.storage.drivers.get(destination)
    if table is not None and table.moved_to is not None:
        raise MoveRefusedError(
            f"storage.drivers.{destination} is itself moved_to {table.moved_to!r}; move to that one"
        )
    if move.source.moved_to is not None and not move.is_configured:
        moved_to = assembly.settings.storage.drivers[source].moved_to
        raise MoveRefusedError(f"storage.drivers.{source} is moved_to {moved_to!r}, not to {destination!r}")
    if copies and move.source.off:
        raise MoveRefusedError(
            f"storage.drivers.{source} is off: nothing can be read from its store. Take off back, also "
            "before --verify: while it is off, nothing tells whether what only its list shows is needed"
        )
    if copies and table is not None and table.retrieve_only:
        raise MoveRefusedError(f"storage.drivers.{destination} is retrieve_only, so nothing new can go to it")
    return move


def _chain(driver: ManagedDriver) -> Iterator[ManagedDriver]:
    """Yield a driver, the one that its payloads are moved to, and so on."""
    following: ManagedDriver | None = driver
    while following is not None:
        yield following
        following = following.moved_to
