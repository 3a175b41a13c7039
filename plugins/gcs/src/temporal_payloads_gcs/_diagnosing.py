"""What `temporal-payloads check` finds of a bucket: rights, clock, settings by which payloads are lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from temporal_payloads.plugin import Finding

from temporal_payloads_gcs._errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import aiohttp
    from temporal_payloads.plugin import DiagnosisContext

    from temporal_payloads_gcs._http import Http

READERS = frozenset({"worker", "reader", "collector"})
WRITERS = frozenset({"worker", "collector"})
COLLECTOR = frozenset({"collector"})
_PAYLOADS = "v0/"
"""What the names of payloads begin with."""
_ONE_SECOND = timedelta(seconds=1)
"""In which a `Date` header tells the time."""


@dataclass
class BucketDiagnosis:
    """Looks at one bucket.

    Args:
        http: Sends requests.
        bucket: Its name.
        context: What core tells.
        written: The names of what was stored in it for this check.
        named: Whether it must be there: it has a fixed name, or that of a namespace which somebody named.
    """

    http: Http
    bucket: str
    context: DiagnosisContext
    written: Sequence[str]
    named: bool = True
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> list[Finding]:
        """Return what is found."""
        if await self._lists_and_clock():
            has = True if self.written else None
            self._permission("storage.objects.get", has, READERS, "" if has else "it takes --write")
            self._permission("storage.objects.create", has, WRITERS, "" if has else "it takes --write")
            await self._deletes()
            await self._settings()
        return self.findings

    async def _lists_and_clock(self) -> bool:
        """Look at what the first answer tells; tell whether there is such a bucket."""
        dates: list[str] = []

        async def receive(response: aiohttp.ClientResponse) -> None:
            dates.append(response.headers.get("Date", ""))
            await response.read()

        asked = self.context.now()
        refused = await self._refused("GET", f"/o?prefix={quote(_PAYLOADS, safe='')}&maxResults=1", receive)
        answered = self.context.now()
        if refused is not None and refused.status == HTTPStatus.NOT_FOUND:
            told = f"There is no bucket {self.bucket!r}: payloads that belong there cannot be stored"
            if self.named:
                self._found("problem", "bucket", told, f"Create it, or correct {self._place}")
            else:
                told = (
                    f"not looked at: there is no bucket {self.bucket!r}, and nobody has named the namespaces"
                )
                self._found("skipped", "bucket", f"{told} whose payloads are stored (--namespace)")
            return False
        theirs = _date(dates)
        if theirs is None:
            self._found("skipped", "clock", "the store did not tell its time")
        else:
            self.findings.append(
                self.context.clock(theirs, asked=asked, answered=answered, resolution=_ONE_SECOND)
            )
        why = refused.text if refused else ""
        self._permission("storage.objects.list", refused is None, COLLECTOR, why)
        return True

    async def _deletes(self) -> None:
        if not self.written:
            self._permission("storage.objects.delete", None, COLLECTOR, "it takes --write")
            return
        refusals = {
            name: await self._refused("DELETE", f"/o/{quote(name, safe='')}") for name in self.written
        }
        left = {name: refused.text for name, refused in refusals.items() if refused is not None}
        self._permission("storage.objects.delete", not left, COLLECTOR, next(iter(left.values()), ""))
        if left:
            self._found(
                "warning",
                "clean-up",
                f"What was written for this check is still in the bucket {self.bucket!r}: {', '.join(left)}",
                "Delete it with another role: nothing refers to it",
            )
        else:
            self._found("ok", "clean-up", "what was written for this check was deleted")

    async def _settings(self) -> None:
        found: dict[str, Any] = {}

        async def receive(response: aiohttp.ClientResponse) -> None:
            found.update(json.loads(await response.read()))

        refused = await self._refused("GET", "?fields=lifecycle,versioning,retentionPolicy", receive)
        if refused is not None:
            why = f"to see the bucket's settings takes storage.buckets.get ({refused.text})"
            self._found("skipped", "lifecycle", f"not looked at: {why}")
            return
        for rule in found.get("lifecycle", {}).get("rule", []):
            self._lifecycle(rule)
        if not any(finding.check == "lifecycle" for finding in self.findings):
            self._found("ok", "lifecycle", "no rule deletes payloads")
        versions = found.get("versioning", {}).get("enabled")
        self._found("ok", "versioning", "enabled: what is deleted stays as a version" if versions else "off")
        if period := found.get("retentionPolicy", {}).get("retentionPeriod"):
            self._found(
                "warning",
                "object lock",
                f"Objects are locked for {timedelta(seconds=int(period))}: until then nobody deletes what "
                "is to "
                "be forgotten",
                "Remove the retention policy, unless the law asks for it",
            )

    def _lifecycle(self, rule: Mapping[str, Any]) -> None:
        condition = rule.get("condition", {})
        prefixes = condition.get("matchesPrefix") or [""]
        ours = any(prefix.startswith(_PAYLOADS) or _PAYLOADS.startswith(prefix) for prefix in prefixes)
        # With it, only versions that were replaced or deleted already.
        if rule.get("action", {}).get("type") != "Delete" or not ours or condition.get("isLive") is False:
            return
        retention, age = self.context.retention, condition.get("age")
        after = f"when they are {age} days old" if age is not None else "on a condition of its own"
        short = age is not None and retention is not None and timedelta(days=age) <= retention
        self._found(
            "problem" if short else "warning",
            "lifecycle",
            f"A lifecycle rule deletes payloads {after}: a workflow that needs one that is gone waits for "
            "ever",
            "Remove the rule; or let it wait for longer than the namespace's retention and the longest run "
            "together, and set missing_payload = 'fail'",
        )

    async def _refused(self, method: str, path: str, receive: Any = None) -> RefusedError | None:
        """Send a request about the bucket, and return the store's refusal."""
        try:
            await self.http.send(method, f"/storage/v1/b/{self.bucket}{path}", receive or _read)
        except RefusedError as error:
            if error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}:
                return error
            raise
        return None

    @property
    def _place(self) -> str:
        return f"{self.context.place}.bucket"

    def _permission(self, name: str, has: bool | None, needed_by: frozenset[Any], why: str) -> None:
        advice = f"Grant {name} on the bucket {self.bucket!r} to the role"
        self.findings.append(
            self.context.permission(
                name, has=has, needed_by=needed_by, why=why, place=self._place, advice=advice
            )
        )

    def _found(self, level: Any, check: str, message: str, advice: str = "") -> None:
        self.findings.append(
            Finding(level=level, check=check, place=self._place, message=message, advice=advice)
        )


async def _read(response: aiohttp.ClientResponse) -> None:
    await response.read()


def _date(dates: list[str]) -> datetime | None:
    try:
        return parsedate_to_datetime(dates[0]) if dates else None
    except ValueError:
        return None
