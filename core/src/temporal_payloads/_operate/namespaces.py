"""The Temporal namespaces whose payloads may be in the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import ListNamespacesRequest, ListNamespacesResponse

if TYPE_CHECKING:
    from temporalio.client import Client

    from temporal_payloads._settings.settings import PayloadSettings

_PAGE = 200


def namespaces_of_settings(settings: PayloadSettings) -> list[str]:
    """Return the namespaces that the settings name, each once."""
    named = [name for owner in settings.gc.owners for name in owner.namespaces]
    return list(dict.fromkeys([*(settings.storage.namespaces or ()), *named]))


async def namespaces_of_server(client: Client) -> list[str]:
    """Return the namespaces that a server has, but for its own.

    Raises:
        RPCError: It does not tell.
    """
    names: list[str] = []
    request = ListNamespacesRequest(page_size=_PAGE)
    while True:
        found: ListNamespacesResponse = await client.workflow_service.list_namespaces(request, retry=True)
        names += [one.namespace_info.name for one in found.namespaces]
        if not found.next_page_token:
            return [name for name in names if name != "temporal-system"]
        request.next_page_token = found.next_page_token
