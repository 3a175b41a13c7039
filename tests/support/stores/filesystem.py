"""A directory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.stores.store import Store
from temporal_payloads_filesystem._paths import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class FilesystemStore(Store):
    """A directory, which needs no server."""

    directory: Path
    is_there: bool = True
    type = "filesystem"
    driver_name = "filesystem"

    @property
    def address(self) -> tuple[str, int]:
        """Nobody listens."""
        raise NotImplementedError

    def through(self, port: int) -> FilesystemStore:
        """Return a store that is as far away as one behind a port where nobody listens."""
        return dataclasses.replace(self, directory=self.directory / f"behind-{port}", is_there=False)

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.filesystem]`."""
        return {"path": str(self.directory), "create": self.is_there}

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the file."""
        return self._file(claim).read_bytes()

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the file."""
        self._file(claim).write_bytes(data)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Remove the file."""
        self._file(claim).unlink()

    def _file(self, claim: Mapping[str, str]) -> Path:
        folders, name = place_of(claim["key"])
        return self.directory.joinpath(*folders, name)
