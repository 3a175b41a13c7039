"""What the tests ask of a store: how it is configured, and the way around the driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.values import THRESHOLD
from temporal_payloads import PayloadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Store(ABC):
    """A store on a real server, as settings name it and as its own administrator sees it."""

    @property
    @abstractmethod
    def type(self) -> str:
        """What the settings call the driver."""

    @property
    @abstractmethod
    def driver_name(self) -> str:
        """The name that references record by default."""

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""

    @abstractmethod
    def through(self, port: int) -> Store:
        """Return the same store behind a proxy on this port."""

    @abstractmethod
    def table(self) -> dict[str, Any]:
        """Return the driver's table in the settings; failures show at once, without the client's retries."""

    @abstractmethod
    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return what lies under a claim's key."""

    @abstractmethod
    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Put something else under a claim's key."""

    @abstractmethod
    def delete(self, claim: Mapping[str, str]) -> None:
        """Remove what lies under a claim's key."""

    def settings(self, *, driver: dict[str, Any] | None = None, **changes: Any) -> PayloadSettings:
        """Return settings with gzip and this store.

        Args:
            driver: Changes to the driver's table.
            changes: Changes to `[storage]`; what stands at the root of the settings goes there.
        """
        top = {"codecs": ["gzip"], "encode_failures": True}
        top |= {name: changes.pop(name) for name in list(changes) if name in PayloadSettings.model_fields}
        storage = {"threshold": THRESHOLD, "drivers": {self.type: self.table() | (driver or {})}, **changes}
        return PayloadSettings.model_validate(top | {"storage": storage})
