"""The connection to a Temporal server, as Temporal's own tools configure it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.service import RPCError

from temporal_payloads._cli.document import shown_error
from temporal_payloads._cli.exit_status import UnfinishedError
from temporal_payloads._cli.options import PROFILE_OPTION
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._operate.unreachable import DEFAULT_ADDRESS, cannot_be_used
from temporal_payloads._settings.problems import PROFILE_VARIABLE, TEMPORAL_PROFILE_VARIABLE

ADDRESS_OPTION = "--address"
ADDRESS_VARIABLE = "TEMPORAL_ADDRESS"
DEFAULT_NAMESPACE = "default"
_CONNECTING_SECONDS = 10.0
"""How long a server that need not be there is waited for."""

_PANEL = "Temporal"

Address = Annotated[
    str | None,
    typer.Option(
        ADDRESS_OPTION,
        metavar="HOST:PORT",
        help=f"The frontend; else {ADDRESS_VARIABLE} or temporal.toml says, or it is {DEFAULT_ADDRESS}.",
        rich_help_panel=_PANEL,
    ),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="A namespace to read; may be repeated. Else TEMPORAL_NAMESPACE or temporal.toml says, or it is "
        f"{DEFAULT_NAMESPACE!r}.",
        rich_help_panel=_PANEL,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"The namespace; else TEMPORAL_NAMESPACE or temporal.toml says, or it is {DEFAULT_NAMESPACE!r}.",
        rich_help_panel=_PANEL,
    ),
]
TemporalConfig = Annotated[
    Path | None,
    typer.Option(
        "--temporal-config",
        metavar="FILE",
        help="The configuration of Temporal's own tools (address, namespace, TLS, API key), instead of "
        "temporal.toml; TEMPORAL_... variables override it.",
        rich_help_panel=_PANEL,
    ),
]
TemporalProfile = Annotated[
    str | None,
    typer.Option(
        "--temporal-profile", metavar="NAME", help="The profile of that file.", rich_help_panel=_PANEL
    ),
]


class TemporalUnreachableError(UnfinishedError):
    """The server cannot be used."""


@dataclass(frozen=True)
class Connection:
    """How to connect, and who said where to."""

    config: ClientConnectConfig
    address_from: str
    """What says where the server is, for a person."""


def connection_asked_for(
    address: str | None, temporal_config: Path | None, temporal_profile: str | None
) -> Connection:
    """Return how to connect.

    Args:
        address: What `--address` says.
        temporal_config: What `--temporal-config` says.
        temporal_profile: What `--temporal-profile` says.

    Raises:
        ConfigurationError: Temporal's configuration cannot be read.
    """
    try:
        loaded = ClientConfigProfile.load(temporal_profile, config_source=temporal_config)
        config = loaded.to_client_connect_config()
    except (OSError, RuntimeError, ValueError) as error:
        asked_for = ""
        if temporal_profile is None and TEMPORAL_PROFILE_VARIABLE in os.environ:
            asked_for = (
                f". {TEMPORAL_PROFILE_VARIABLE} is set: if it shall choose a profile of temporal-payloads, "
                f"unset it, and do so with {PROFILE_OPTION} or {PROFILE_VARIABLE}"
            )
        raise ConfigurationError(
            Problem(f"Temporal's client configuration cannot be read: {error}{asked_for}")
        ) from error
    if address:
        config["target_host"] = address
        return Connection(config, ADDRESS_OPTION)
    if "target_host" in config:
        file = temporal_config or os.environ.get("TEMPORAL_CONFIG_FILE") or "temporal.toml"
        return Connection(config, ADDRESS_VARIABLE if os.environ.get(ADDRESS_VARIABLE) else str(file))
    config["target_host"] = DEFAULT_ADDRESS
    return Connection(config, f"by default; {ADDRESS_OPTION} or {ADDRESS_VARIABLE} name another")


def namespaces_asked_for(namespaces: Sequence[str] | None, connection: Connection) -> list[str]:
    """Return the namespaces to read, each once."""
    named = namespaces or [connection.config.get("namespace") or DEFAULT_NAMESPACE]
    return list(dict.fromkeys(named))


async def connect(connection: Connection, namespaces: Sequence[str]) -> list[Client]:
    """Connect once, and return a client for each namespace.

    Raises:
        TemporalUnreachableError: The server does not answer, or refuses.
    """
    config = connection.config
    config["namespace"] = namespaces[0]
    try:
        client = await Client.connect(**config)
    except (RuntimeError, ValueError, RPCError) as error:  # ValueError: that is no address
        raise TemporalUnreachableError(
            cannot_be_used(config["target_host"], connection.address_from, error)
        ) from error
    return [client, *(Client(client.service_client, namespace=name) for name in namespaces[1:])]


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
