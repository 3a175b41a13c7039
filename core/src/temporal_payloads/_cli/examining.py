"""The examination that `check` runs, with a Temporal server if there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_payloads._cli.document import shown_error
from temporal_payloads._cli.temporal import (
    DEFAULT_NAMESPACE,
    Connection,
    TemporalUnreachableError,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._operate.doctor.examination import Examination, Wanted, examine

if TYPE_CHECKING:
    from temporalio.client import Client

    from temporal_payloads._build.assembly import Assembly

_CONNECTING_SECONDS = 10.0


class TemporalIfThere:
    """A server that is asked if it can be reached, and must be reached if an option names it.

    Args:
        address: What `--address` says.
        namespaces: What `--namespace` says.
        temporal_config: What `--temporal-config` says.
        temporal_profile: What `--temporal-profile` says.

    Raises:
        ConfigurationError: It must be reached, and Temporal's configuration cannot be read.
    """

    def __init__(
        self,
        address: str | None,
        namespaces: list[str] | None,
        temporal_config: Path | None,
        temporal_profile: str | None,
    ) -> None:
        self.namespaces: Sequence[str] = namespaces or (DEFAULT_NAMESPACE,)
        self.namespaces_named = bool(namespaces)
        """Whether an option, a variable or Temporal's configuration names them."""
        self.error: dict[str, str] | None = None
        """Why it could not be asked, if it must be."""
        self._must_answer = bool(address or namespaces or temporal_config or temporal_profile)
        self._connection: Connection | None = None
        self._unusable = ""
        try:
            self._connection = connection_asked_for(address, temporal_config, temporal_profile)
            self.namespaces = namespaces_asked_for(namespaces, self._connection)
            self.namespaces_named |= bool(self._connection.config.get("namespace"))
        except ConfigurationError as error:
            if self._must_answer:
                raise
            self._unusable = str(error)

    async def clients(self) -> tuple[list[Client], str | None]:
        """Return a client for each namespace; or none, and why."""
        try:
            return await self._connected(), None
        except TemporalUnreachableError as error:
            if self._must_answer:
                self.error = shown_error(error)
            return [], str(error)

    async def _connected(self) -> list[Client]:
        if self._connection is None:
            raise TemporalUnreachableError(self._unusable)
        try:
            async with asyncio.timeout(_CONNECTING_SECONDS):
                return await connect(self._connection, self.namespaces)
        except TimeoutError:
            address = self._connection.config.get("target_host")
            raise TemporalUnreachableError(f"the Temporal server at {address} does not answer") from None


async def examine_with(
    assembly: Assembly, unusable: Collection[str], wanted: Wanted, temporal: TemporalIfThere
) -> Examination:
    """Look at everything that can be looked at.

    Args:
        assembly: The converter, built without a cache.
        unusable: The keys of the drivers that cannot be used; their stores are left alone.
        wanted: What is to be looked at.
        temporal: The server.
    """
    clients, no_temporal = await temporal.clients()
    usable = {key: driver for key, driver in assembly.drivers.items() if key not in unusable}
    async with AsyncExitStack() as stack:
        for driver in usable.values():
            await stack.enter_async_context(driver.kept_open())
        return await examine(assembly, usable, wanted, clients=clients, no_temporal=no_temporal)
