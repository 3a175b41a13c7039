"""What a driver offers beside the SDK's methods, so that its store can be listed, cleaned up and moved.

Deleting from a store that others write to needs a state that no writer produces and every writer undoes: a
payload is first *put aside*, and only what is still in that state is deleted, much later. How a store tells
the states apart is the driver's; what must hold is said at each method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime, timedelta

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._storage.change import Change
    from temporal_payloads._storage.key_layout import ParsedKey


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedPayload:
    """A payload as its store lists it.

    Example::

        layout = KeyLayout()
        key = "v0/ns/orders/wt/Order/wi/order-7/ri/null/d/sha256/" + "0" * 64
        parsed = layout.read(key)
        listed = ListedPayload(claim=layout.claim(key, parsed.sha256), key=parsed, size=70_000, tag="etag-1")
        assert not listed.aside and listed.key.namespace == "orders"
    """

    claim: StorageDriverClaim
    """Its claim in the canonical spelling, as `DriverPlugin.confine` returns it."""
    key: ParsedKey
    """What its key says."""
    size: int
    """Bytes in the store."""
    tag: str
    """The state that it is in, in the store's terms (an ETag, a version id, a time). Every change is made on
    the condition that it is still in this state."""
    stored: datetime | None = None
    """When it was last written, or put aside if it is aside; None where the store does not tell."""
    aside: bool = False
    """Whether it has been put aside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedPage:
    """A page of what a store has.

    Example::

        page = ListedPage(payloads=[], others=3)
        assert page.others == 3
    """

    payloads: Sequence[ListedPayload]
    """The payloads, in no order."""
    others: int = 0
    """How many things lie beside them under the same prefix that no driver wrote. Nothing touches them."""


class StateStore(Protocol):
    """Where a collector keeps what it must know from one collection to the next: files beside the payloads.

    A name is a path of letters, digits, `.`, `_`, `-` and `/` (`marks/orders/3f`). No payload has such a key,
    and no name is the folder of another.

    Example::

        class Drawer(StateStore):
            def __init__(self):
                self._files = {}

            async def read(self, name):
                return self._files.get(name)

            async def write(self, name, data):
                self._files[name] = data

            async def names(self, prefix):
                return sorted(name for name in self._files if name.startswith(prefix))

            async def remove(self, name):
                self._files.pop(name, None)
    """

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there: a reader sees the old bytes or the new ones."""

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class CollectableDriver(ABC):
    """What a storage driver may offer beside the SDK's methods: for `gc`, `usage` and `migrate`.

    A driver derives from this class too, and its `store` does what every writer must: where it finds the
    payload in the store already, and put aside, it brings it back before it returns the claim. All methods
    are safe under concurrent use, and raise a `StorageError` where the store cannot be used at all. That one
    payload cannot be changed is no error but an outcome, `refused`: a collection goes on without it. If no
    payload could be, for want of a right, `probe` raises.

    Example::

        class ShelfDriver(ContentAddressedDriver, CollectableDriver):
            def claim_for(self, namespace, sha256):
                ...
    """

    @abstractmethod
    def claim_for(self, namespace: str | None, sha256: str) -> StorageDriverClaim:
        """Return, without asking the store, where a payload that is moved into it lies.

        It is the claim of a payload that is stored for a workflow of this namespace without type, id and run
        id (`StorageDriverWorkflowInfo(namespace=...)`), or for None if there is no namespace.

        Args:
            namespace: The Temporal namespace; None if the payload has none.
            sha256: Lower-case hex SHA-256 of the serialized payload.

        Raises:
            StorageMisconfiguredError: The store has no place for such a payload.
        """

    @abstractmethod
    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return the parts into which listing can be split, each of which may be listed somewhere else.

        Together they hold every payload of these namespaces (None: those of no namespace), and may hold those
        of others. A part is a text that `list_payloads` understands, the same in every process.
        """

    @abstractmethod
    def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what the store has in a part of it, page by page, in no promised order.

        What is not of the driver's key layout, or not under its prefix, is not a payload. An entry may be
        missing that is written or deleted meanwhile; one may come twice.
        """

    @abstractmethod
    async def probe(self) -> None:
        """Make sure that the store keeps to the conditions on which payloads are deleted.

        It tries them on an object of its own, which it removes.

        Raises:
            StorageMisconfiguredError: It does not, so that nothing may be deleted from it; the message says
                what to do.
        """

    async def aside_looks_missing(self, namespaces: Sequence[str | None]) -> bool:
        """Tell whether a reader takes a payload for missing while it is put aside.

        Such a store is not collected where a missing payload ends a workflow (`missing_payload = "fail"`).

        Args:
            namespaces: Those whose payloads are collected; None: the payloads of none.
        """
        del namespaces
        return False

    @abstractmethod
    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Put payloads aside, each if it is still as it was listed.

        They can be read all the same; or look missing and can be restored, which `aside_looks_missing` tells.

        Args:
            payloads: As listed, not aside.
            grace: How long at least they stay aside before they are deleted.
        """

    @abstractmethod
    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Bring payloads back that are aside. `changed`: a writer has brought it back already."""

    @abstractmethod
    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are aside, each if it is still as it was listed.

        Nobody else puts aside or restores the same payloads meanwhile, so one collection of a store runs at a
        time: in some stores what was brought back and put aside again is in the same state as before.

        A request is sent once. Where its answer is lost the outcome is `unknown`, and nothing is sent again:
        a writer may have brought the payload back between the two.
        """

    @abstractmethod
    def state(self) -> StateStore:
        """Return where a collector keeps its files in this store."""

    def why_not_collected(self) -> str | None:
        """Return why nothing of this store is to be collected; None if it may be.

        Its payloads may expire by themselves, for instance.
        """
        return None
