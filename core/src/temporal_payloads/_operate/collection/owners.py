"""Whose payloads a store has: the namespaces, on whatever cluster, that share it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetClusterInfoRequest
from temporalio.service import RPCError, RPCStatusCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from temporalio.client import Client


@dataclass(frozen=True)
class Owner:
    """A namespace whose payloads are in the stores."""

    namespace: str
    namespace_id: str
    """The server's: a namespace that is deleted and made again has another one."""
    retention: timedelta
    """How long the server keeps what has ended."""
    cluster: str
    """The cluster's id. A global namespace is on several clusters under one id, each with its own runs."""
    address: str
    """Where the cluster is."""
    profile: str | None = None
    """The profile of Temporal's client configuration by which it is connected: behind one address a proxy may
    lead to several clusters."""
    shared: bool = False
    """Whether another owner has the same ids: on a copy of the cluster, or the same connected differently."""

    @property
    def key(self) -> str:
        """What its files are called by."""
        parts: list[str | None] = [self.cluster, self.namespace_id, self.namespace]
        if self.shared:
            parts += [self.address, self.profile]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


async def owner_of(client: Client, profile: str | None = None) -> Owner:
    """Ask the server about the client's namespace.

    Args:
        client: Of the namespace.
        profile: That of Temporal's client configuration by which it is connected.

    Raises:
        RPCError: It does not tell.
    """
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace), retry=True
    )
    return Owner(
        namespace=client.namespace,
        namespace_id=described.namespace_info.id,
        retention=described.config.workflow_execution_retention_ttl.ToTimedelta(),
        cluster=await _cluster_of(client, profile),
        address=client.service_client.config.target_host,
        profile=profile,
    )


async def _cluster_of(client: Client, profile: str | None) -> str:
    try:
        info = await client.workflow_service.get_cluster_info(GetClusterInfoRequest(), retry=True)
    except RPCError as error:
        if error.status not in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            raise
        # It does not tell everybody. How it is connected tells it from others, too.
        address = client.service_client.config.target_host
        return address if profile is None else f"{profile} {address}"
    return info.cluster_id


def told_apart(owners: Iterable[Owner]) -> list[Owner]:
    """Return the owners, in order, so that each has a key of its own."""
    listed = list(owners)
    counts = Counter(owner.key for owner in listed)
    return [replace(owner, shared=counts[owner.key] > 1) for owner in listed]
