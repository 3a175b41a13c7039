"""The owners that the settings declare, on their clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError

from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.throttle import Throttle, ThrottledService
from temporal_payloads._operate.unreachable import DEFAULT_ADDRESS, cannot_be_used, why_unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.envconfig import ClientConnectConfig

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._settings.collection import OwnerTable


class ClusterUnreachableError(Exception):
    """A cluster of the owners cannot be used."""


async def connect_owners(
    owners: Sequence[OwnerTable],
    chain: CodecChain,
    *,
    default: ClientConnectConfig | None = None,
    default_from: str = "by default",
    requests_per_second: float | None = None,
) -> list[Namespace]:
    """Connect to the clusters of all owners, and ask about their namespaces.

    Args:
        owners: `gc.owners`.
        chain: Decodes references that have been through codecs.
        default: How to connect for owners that name neither an address nor a profile. By default as
            Temporal's own settings say.
        default_from: What says where those are, for a person.
        requests_per_second: Requests a second that each cluster is sent at most.

    Raises:
        ClusterUnreachableError: A cluster does not answer, or does not know a namespace.
    """
    found: dict[tuple[str, str | None, str], Namespace] = {}
    throttles: dict[str, Throttle] = {}
    for number, table in enumerate(owners):
        place = f"gc.owners[{number}]"
        config = _config(table, place, default)
        address_from = _address_from(table, place, default_from)
        address = config["target_host"]
        try:
            client = await Client.connect(**config)
        except (RuntimeError, ValueError, RPCError) as error:  # ValueError: that is no address
            raise ClusterUnreachableError(cannot_be_used(address, address_from, error)) from error
        throttle = throttles.setdefault(address, Throttle(requests_per_second))
        service = ThrottledService(client.service_client, throttle)
        for name in table.namespaces:
            of_namespace = Client(service, namespace=name)
            namespace = Namespace(of_namespace, chain, table.temporal_profile)
            found[address, table.temporal_profile, name] = namespace
            try:
                await namespace.owner()
            except RPCError as error:
                raise ClusterUnreachableError(
                    f"the Temporal server at {address} ({address_from}) does not tell of namespace {name!r} "
                    f"({place}): {why_unreachable(error)}"
                ) from error
    return list(found.values())


def _address_from(table: OwnerTable, place: str, default_from: str) -> str:
    if table.address is not None:
        return f"{place}.address"
    return default_from if table.temporal_profile is None else f"{place}.temporal_profile"


def _config(table: OwnerTable, place: str, default: ClientConnectConfig | None) -> ClientConnectConfig:
    if default is not None and table.address is None and table.temporal_profile is None:
        config = default.copy()
    else:
        try:
            config = ClientConfigProfile.load(table.temporal_profile).to_client_connect_config()
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterUnreachableError(
                f"Temporal's client configuration for {place} cannot be read: {error}"
            ) from error
    if table.address is not None:
        config["target_host"] = table.address
    config.setdefault("target_host", DEFAULT_ADDRESS)
    config["namespace"] = table.namespaces[0]
    return config
