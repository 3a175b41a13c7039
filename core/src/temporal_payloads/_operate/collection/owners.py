"""Whose payloads a store has: the namespaces, on whatever cluster, that share it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

if TYPE_CHECKING:
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

    @property
    def key(self) -> str:
        """What its files are called by."""
        return hashlib.sha256(f"{self.namespace_id}/{self.namespace}".encode()).hexdigest()[:16]


async def owner_of(client: Client) -> Owner:
    """Ask the server about the client's namespace.

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
    )
