"""Which Temporal namespaces a process may store and read payloads for: `storage.namespaces`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._storage.errors import ClaimRejectedError, StorageMisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.key_layout import Target


@dataclass(frozen=True)
class AllowedNamespaces:
    """The bound between tenants that share a store. The key of a payload says whose it is."""

    names: Sequence[str] | None
    """None if all are allowed."""

    def require_readable(self, claim: ConfinedClaim) -> None:
        """Raise unless the claim's key names an allowed namespace.

        Raises:
            ClaimRejectedError: It names another one, or none.
        """
        if self.names is not None and claim.namespace not in self.names:
            raise ClaimRejectedError(f"A reference leads to a payload {_of(claim.namespace)}{self._advice()}")

    def require_storable(self, target: Target) -> None:
        """Raise unless a payload for this workflow or activity could be read back.

        Raises:
            StorageMisconfiguredError: It could not; nothing should be stored.
        """
        namespace = target.namespace if target is not None else None
        if self.names is not None and namespace not in self.names:
            raise StorageMisconfiguredError(f"A payload is to be stored {_of(namespace)}{self._advice()}")

    def _advice(self) -> str:
        allowed = ", ".join(self.names or ()) or "none"
        return (
            f", which storage.namespaces does not allow here (allowed: {allowed}). Add the namespace, or "
            "correct the one that this client or worker connects to"
        )


def _of(namespace: str | None) -> str:
    return f"of namespace {namespace[:100]!r}" if namespace else "of no namespace"
