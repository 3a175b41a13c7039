"""What `temporal-payloads check` finds of a container: rights one by one, and the account's clock."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

from temporal_payloads_azure_blob._errors import code_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.blob.aio import ContainerClient
    from temporal_payloads.plugin import Finding


@dataclass
class ContainerDiagnosis(Diagnosis):
    """Looks at a container.

    Args:
        container: Its client.
        missing: The name of a blob that never exists.
        written: The names of what was stored in it for this check.
    """

    container: ContainerClient
    missing: str
    written: Sequence[str]

    async def run(self) -> list[Finding]:
        """Return what is found."""
        await self._reads_and_clock()
        has = True if self.written else None
        self.permission("write", has, WRITERS, "" if has else "it takes --write")
        await self._lists()
        await self._deletes()
        return self.findings

    async def _reads_and_clock(self) -> None:
        date = None
        asked = self.context.now()
        refused = None
        try:
            await self.container.get_blob_client(self.missing).get_blob_properties()
        except HttpResponseError as error:
            headers = getattr(error.response, "headers", {})  # which its type does not promise
            date = headers.get("Date")
            refused = None if error.status_code == HTTPStatus.NOT_FOUND else _denied(error)
        self.http_clock(date, asked=asked, answered=self.context.now())
        self.permission("read", refused is None, READERS, _said(refused))

    async def _lists(self) -> None:
        refused = None
        try:
            async for _ in self.container.list_blobs(name_starts_with="v0/", results_per_page=1):
                break
        except HttpResponseError as error:
            refused = _denied(error)
        self.permission("list", refused is None, COLLECTOR, _said(refused))

    async def _deletes(self) -> None:
        if not self.written:
            self.permission("delete", None, COLLECTOR, "it takes --write")
            return
        left: dict[str, str] = {}
        for name in self.written:
            try:
                await self.container.delete_blob(name)
            except HttpResponseError as error:
                left[name] = _said(_denied(error))
        self.permission("delete", not left, COLLECTOR, next(iter(left.values()), ""))
        self.cleaned_up(left, "the container", "Delete it with another login, or leave it to gc")

    def how_to_grant(self, permission: str) -> str:
        """Return how a login is given a right."""
        return (
            f"Grant the login the right to {permission} blobs: by its role, or by the permissions of its SAS"
        )


def _denied(error: HttpResponseError) -> HttpResponseError:
    """Return an error that tells of a right; any other is raised."""
    if error.status_code not in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED}:
        raise error
    return error


def _said(error: HttpResponseError | None) -> str:
    # Azure's own sentence holds the request, with the signature of a SAS.
    return "" if error is None else f"HTTP {error.status_code} {code_of(error)}"
