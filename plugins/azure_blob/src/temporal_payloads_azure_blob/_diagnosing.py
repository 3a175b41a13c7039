"""What `temporal-payloads check` finds of a container: rights one by one, and the account's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError
from temporal_payloads.plugin import Finding

from temporal_payloads_azure_blob._errors import code_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.blob.aio import ContainerClient
    from temporal_payloads.plugin import DiagnosisContext

READERS = frozenset({"worker", "reader", "collector"})
WRITERS = frozenset({"worker", "collector"})
COLLECTOR = frozenset({"collector"})
_ONE_SECOND = timedelta(seconds=1)
"""In which a `Date` header tells the time."""


@dataclass
class ContainerDiagnosis:
    """Looks at a container.

    Args:
        container: Its client.
        missing: The name of a blob that never exists.
        context: What core tells.
        written: The names of what was stored in it for this check.
    """

    container: ContainerClient
    missing: str
    context: DiagnosisContext
    written: Sequence[str]
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> list[Finding]:
        """Return what is found."""
        await self._reads_and_clock()
        has = True if self.written else None
        self._permission("write", has, WRITERS, "" if has else "it takes --write")
        await self._lists()
        await self._deletes()
        return self.findings

    async def _reads_and_clock(self) -> None:
        dates: list[str] = []
        asked = self.context.now()
        refused = None
        try:
            await self.container.get_blob_client(self.missing).get_blob_properties()
        except HttpResponseError as error:
            headers = getattr(error.response, "headers", {})  # which its type does not promise
            dates.append(headers.get("Date", ""))
            refused = error if error.status_code != HTTPStatus.NOT_FOUND else None
        answered = self.context.now()
        theirs = _date(dates)
        if theirs is not None:
            self.findings.append(
                self.context.clock(theirs, asked=asked, answered=answered, resolution=_ONE_SECOND)
            )
        self._permission("read", refused is None, READERS, _said(refused))

    async def _lists(self) -> None:
        refused = None
        try:
            async for _ in self.container.list_blobs(name_starts_with="v0/", results_per_page=1):
                break
        except HttpResponseError as error:
            refused = _denied(error)
        self._permission("list", refused is None, COLLECTOR, _said(refused))

    async def _deletes(self) -> None:
        if not self.written:
            self._permission("delete", None, COLLECTOR, "it takes --write")
            return
        left: dict[str, str] = {}
        for name in self.written:
            try:
                await self.container.delete_blob(name)
            except HttpResponseError as error:
                left[name] = _said(_denied(error))
        self._permission("delete", not left, COLLECTOR, next(iter(left.values()), ""))
        if left:
            self._found(
                "warning",
                "clean-up",
                f"What was written for this check is still in the container: {', '.join(left)}",
                "Delete it with another login, or leave it to gc: nothing refers to it",
            )
        else:
            self._found("ok", "clean-up", "what was written for this check was deleted")

    def _permission(self, name: str, has: bool | None, needed_by: frozenset[Any], why: str) -> None:
        self.findings.append(
            self.context.permission(
                name,
                has=has,
                needed_by=needed_by,
                why=why,
                place=f"{self.context.place}.container",
                advice=f"Grant the login the right to {name} blobs: by its role, or by the permissions of "
                "its SAS",
            )
        )

    def _found(self, level: Any, check: str, message: str, advice: str = "") -> None:
        place = f"{self.context.place}.container"
        self.findings.append(Finding(level=level, check=check, place=place, message=message, advice=advice))


def _denied(error: HttpResponseError) -> HttpResponseError:
    """Return an error that tells of a right; any other is raised."""
    if error.status_code not in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED}:
        raise error
    return error


def _said(error: HttpResponseError | None) -> str:
    # Azure's own sentence holds the request, with the signature of a SAS.
    return "" if error is None else f"HTTP {error.status_code} {code_of(error)}"


def _date(dates: list[str]) -> datetime | None:
    try:
        return parsedate_to_datetime(dates[0]) if dates and dates[0] else None
    except ValueError:
        return None
