"""The connection to a Temporal server, as Temporal's own tools configure it."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.service import RPCError

from temporal_payloads._cli.options import PROFILE_OPTION
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.problems import PROFILE_VARIABLE, TEMPORAL_PROFILE_VARIABLE

ADDRESS_OPTION = "--address"
ADDRESS_VARIABLE = "TEMPORAL_ADDRESS"
DEFAULT_ADDRESS = "localhost:7233"
DEFAULT_NAMESPACE = "default"


class TemporalUnreachableError(Exception):
    """The server cannot be used."""


@dataclass(frozen=True)
class Connection:
    """How to connect, and who said where to."""

    config: ClientConnectConfig
    address_from: str
    """What says where the server is, for a person."""


def temporal_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which server, and which namespaces."""
    group = parser.add_argument_group(
        "Temporal",
        "What is not given here comes from the variables and the profile of Temporal's own tools:\n"
        "  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_..., temporal.toml",
    )
    group.add_argument(
        ADDRESS_OPTION, metavar="HOST:PORT", help=f"the frontend; by default {DEFAULT_ADDRESS}"
    )
    group.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        help=f"a namespace to read; may be repeated. By default {DEFAULT_NAMESPACE!r}",
    )
    group.add_argument(
        "--temporal-config", metavar="FILE", help="Temporal's client configuration, instead of temporal.toml"
    )
    group.add_argument("--temporal-profile", metavar="NAME", help="the profile of that file")


def connection_asked_for(arguments: argparse.Namespace) -> Connection:
    """Return how to connect.

    Raises:
        ConfigurationError: Temporal's configuration cannot be read.
    """
    try:
        profile = ClientConfigProfile.load(
            arguments.temporal_profile,
            config_source=Path(arguments.temporal_config) if arguments.temporal_config else None,
        )
        config = profile.to_client_connect_config()
    except (OSError, RuntimeError, ValueError) as error:
        asked_for = ""
        if arguments.temporal_profile is None and TEMPORAL_PROFILE_VARIABLE in os.environ:
            asked_for = (
                f". {TEMPORAL_PROFILE_VARIABLE} is set: if it shall choose a profile of temporal-payloads, "
                f"unset it, and do so with {PROFILE_OPTION} or {PROFILE_VARIABLE}"
            )
        raise ConfigurationError(
            Problem(f"Temporal's client configuration cannot be read: {error}{asked_for}")
        ) from error
    if arguments.address:
        config["target_host"] = arguments.address
        return Connection(config, ADDRESS_OPTION)
    if "target_host" in config:
        return Connection(
            config, ADDRESS_VARIABLE if os.environ.get(ADDRESS_VARIABLE) else _file_of_temporal(arguments)
        )
    config["target_host"] = DEFAULT_ADDRESS
    return Connection(config, f"by default; {ADDRESS_OPTION} or {ADDRESS_VARIABLE} name another")


def _file_of_temporal(arguments: argparse.Namespace) -> str:
    named: str | None = arguments.temporal_config or os.environ.get("TEMPORAL_CONFIG_FILE")
    return named or "temporal.toml"


def namespaces_asked_for(arguments: argparse.Namespace, connection: Connection) -> list[str]:
    """Return the namespaces to read, each once."""
    named: list[str] = arguments.namespace or [connection.config.get("namespace") or DEFAULT_NAMESPACE]
    return list(dict.fromkeys(named))


async def connect(connection: Connection, namespaces: list[str]) -> list[Client]:
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
            f"the Temporal server at {config['target_host']} ({connection.address_from}) cannot be used: "
            f"{_why(error)}"
        ) from error
    return [client, *(Client(client.service_client, namespace=name) for name in namespaces[1:])]


def _why(error: Exception) -> str:
    """Return what the system says, where the SDK's core puts it into the structures of its transport."""
    text = str(error)
    of_system = re.search(r'tonic::transport::Error\(.*\b(?:message|error): "([^"]+)"', text, re.DOTALL)
    return of_system[1] if of_system else text
