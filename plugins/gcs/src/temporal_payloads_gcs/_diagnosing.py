"""What `temporal-payloads check` finds of a bucket: rights, clock, settings by which payloads are lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

from temporal_payloads_gcs._errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import aiohttp
    from temporal_payloads.plugin import Finding

    from temporal_payloads_gcs._http import Http

_PAYLOADS = "v0/"
"""What the names of payloads begin with."""


@dataclass
class BucketDiagnosis(Diagnosis):
    """Looks at one bucket.

    Args:
        http: Sends requests.
        bucket: Its name.
        written: The names of what was stored in it for this check.
        named: Whether it must be there: it has a fixed name, or that of a namespace which somebody named.
    """

    http: Http
    bucket: str
    written: Sequence[str]
    named: bool = True

    async def run(self) -> list[Finding]:
        """Return what is found."""
        if await self._lists_and_clock():
            has = True if self.written else None
            self.permission("storage.objects.get", has, READERS, "" if has else "it takes --write")
            self.permission("storage.objects.create", has, WRITERS, "" if has else "it takes --write")
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
                self.found("problem", "bucket", told, f"Create it, or correct {self.place}")
            else:
                told = (
                    f"not looked at: there is no bucket {self.bucket!r}, and nobody has named the namespaces"
                )
                self.found("skipped", "bucket", f"{told} whose payloads are stored (--namespace)")
            return False
        if not self.http_clock(next(iter(dates), None), asked=asked, answered=answered):
            self.found("skipped", "clock", "the store did not tell its time")
        why = refused.text if refused else ""
        self.permission("storage.objects.list", refused is None, COLLECTOR, why)
        return True

    async def _deletes(self) -> None:
        if not self.written:
            self.permission("storage.objects.delete", None, COLLECTOR, "it takes --write")
            return
        refusals = {
            name: await self._refused("DELETE", f"/o/{quote(name, safe='')}") for name in self.written
        }
        left = {name: refused.text for name, refused in refusals.items() if refused is not None}
        self.permission("storage.objects.delete", not left, COLLECTOR, next(iter(left.values()), ""))
        self.cleaned_up(left, f"the bucket {self.bucket!r}", "Delete it with another role")

    async def _settings(self) -> None:
        found: dict[str, Any] = {}

        async def receive(response: aiohttp.ClientResponse) -> None:
            found.update(json.loads(await response.read()))

        refused = await self._refused("GET", "?fields=lifecycle,versioning,retentionPolicy", receive)
        if refused is not None:
            why = f"to see the bucket's settings takes storage.buckets.get ({refused.text})"
            self.found("skipped", "lifecycle", f"not looked at: {why}")
            return
        for rule in found.get("lifecycle", {}).get("rule", []):
            self._lifecycle(rule)
        if not any(finding.check == "lifecycle" for finding in self.findings):
            self.found("ok", "lifecycle", "no rule deletes payloads")
        versions = found.get("versioning", {}).get("enabled")
        self.found("ok", "versioning", "enabled: what is deleted stays as a version" if versions else "off")
        if period := found.get("retentionPolicy", {}).get("retentionPeriod"):
            self.found(
                "warning",
                "object lock",
                f"Objects are locked for {timedelta(seconds=int(period))}: until then nobody deletes what "
                "is to be forgotten",
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
        self.found(
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

    def how_to_grant(self, permission: str) -> str:
        """Return how a role is given a right."""
        return f"Grant {permission} on the bucket {self.bucket!r} to the role"


async def _read(response: aiohttp.ClientResponse) -> None:
    await response.read()
