"""What the Temporal server says of a namespace, and what that means for its payloads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._storage.diagnosing import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporalio.client import Client

    from temporal_payloads._settings.models import StorageSettings
    from temporal_payloads._storage.managed_driver import ManagedDriver

COUNTED = ("TemporalExternalPayloadCount", "TemporalExternalPayloadSizeBytes")
"""The search attributes in which the server counts what is offloaded."""
DEFAULT_BLOB_LIMIT = 2 * 1024 * 1024
"""Bytes of a payload that a server takes, unless it says otherwise."""


@dataclass
class NamespaceFacts:
    """What was found out of the namespaces."""

    findings: list[Finding] = field(default_factory=list)
    retention: dict[str, timedelta] = field(default_factory=dict)
    """How long each keeps the histories of closed workflows."""

    @property
    def longest_retention(self) -> timedelta | None:
        """Of all of them; None if none is known."""
        return max(self.retention.values(), default=None)


async def look_at_namespaces(clients: Sequence[Client], storage: StorageSettings) -> NamespaceFacts:
    """Ask the server for the namespaces, their limits and search attributes.

    Raises:
        RPCError: The server does not answer, or refuses; a namespace that is not there is a finding.
    """
    facts = NamespaceFacts()
    for client in clients:
        await _look_at(client, storage, facts)
    return facts


async def _look_at(client: Client, storage: StorageSettings, facts: NamespaceFacts) -> None:
    name = client.namespace
    place = f"namespace {name}"
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name), retry=True
        )
    except RPCError as error:
        if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED):
            raise
        there = error.status is not RPCStatusCode.NOT_FOUND
        facts.findings.append(
            Finding(
                level="problem",
                check="namespace",
                place=place,
                message=f"The server does not show it: {error.message}",
                advice="Grant the role to read the namespace"
                if there
                else "Name another with --namespace or TEMPORAL_NAMESPACE, or create it",
            )
        )
        return
    retention = described.config.workflow_execution_retention_ttl.ToTimedelta()
    facts.retention[name] = retention
    kept = f"histories are kept for {told(retention)} after a workflow has closed"
    facts.findings.append(Finding(level="ok", check="namespace", place=place, message=kept))
    facts.findings.append(
        _blob_limit(place, int(described.namespace_info.limits.blob_size_limit_error), storage)
    )
    facts.findings.append(await _search_attributes(client, place))


def _blob_limit(place: str, limit: int, storage: StorageSettings) -> Finding:
    said = f"the server takes payloads of up to {limit or DEFAULT_BLOB_LIMIT:,} bytes"
    if not limit:
        said = f"the server does not say how large a payload may be ({DEFAULT_BLOB_LIMIT:,} bytes by default)"
    threshold = storage.stored_from
    if threshold is None:
        return Finding(
            level="ok", check="blob size limit", place=place, message=f"{said}; nothing is offloaded"
        )
    if threshold > (limit or DEFAULT_BLOB_LIMIT):
        return Finding(
            level="problem",
            check="blob size limit",
            place="storage.threshold",
            message=f"Payloads are offloaded from {threshold:,} bytes on, but {said}: what lies between is "
            "refused, and its workflow task fails",
            advice="Set storage.threshold below the server's limit; the SDK's default is 256KiB",
        )
    return Finding(
        level="ok",
        check="blob size limit",
        place=place,
        message=f"{said}; they are offloaded from {threshold:,} bytes on",
    )


async def _search_attributes(client: Client, place: str) -> Finding:
    check = "search attributes"
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), retry=True
        )
    except RPCError as error:
        return Finding(
            level="skipped",
            check=check,
            place=place,
            message=f"the server does not list them: {error.message}",
        )
    if set(COUNTED) <= set(listed.system_attributes):
        return Finding(
            level="ok",
            check=check,
            place=place,
            message=f"the server counts offloaded payloads ({COUNTED[0]})",
        )
    return Finding(
        level="warning",
        check=check,
        place=place,
        message="This server does not count offloaded payloads: no list filter finds workflows that have "
        "some",
        advice=f"Update the server to a release that has {COUNTED[0]}",
    )


async def compare_expiry(
    clients: Sequence[Client], drivers: Mapping[str, ManagedDriver], facts: NamespaceFacts
) -> list[Finding]:
    """Compare how long stores keep payloads with how long workflows may need them.

    A workflow needs its payloads from its start until its history is gone: as long as it runs, and the
    namespace's retention.
    """
    findings: list[Finding] = []
    for key, driver in drivers.items():
        if driver.expiry is None:
            continue
        place = f"storage.drivers.{key}"
        for client in clients:
            retention = facts.retention.get(client.namespace)
            if retention is not None:
                findings.append(await _compare(client, place, driver.expiry, retention))
    return findings


async def _compare(client: Client, place: str, expiry: timedelta, retention: timedelta) -> Finding:
    namespace = client.namespace
    keeps = f"The store keeps payloads for {told(expiry)}"
    if expiry <= retention:
        return Finding(
            level="problem",
            check="expiry",
            place=place,
            message=f"{keeps}, and namespace {namespace!r} keeps histories for {told(retention)} after a "
            "workflow has closed: they cannot be read to their end, and a reset fails",
            advice="Let payloads live for longer than the retention and the longest run together",
        )
    spare = expiry - retention
    since = (datetime.now(UTC) - spare).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        counted = await client.count_workflows(f'ExecutionStatus = "Running" AND StartTime < "{since}"')
    except RPCError as error:
        return Finding(
            level="skipped",
            check="expiry",
            place=place,
            message=f"{keeps}; the server does not count what runs for longer: {error.message}",
        )
    if counted.count:
        runs = f"{counted.count:,} workflows run" if counted.count > 1 else "1 workflow runs"
        return Finding(
            level="problem",
            check="expiry",
            place=place,
            message=f"{keeps}, and in namespace {namespace!r} {runs} for more than {told(spare)}: with a "
            f"retention of {told(retention)} their first payloads expire before their histories do",
            advice="Let payloads live for longer than the retention and the longest run together, or let "
            "long workflows continue as new",
        )
    return Finding(
        level="ok",
        check="expiry",
        place=place,
        message=f"the store keeps payloads for {told(expiry)}: enough for runs of {told(spare)} with the "
        f"retention of namespace {namespace!r}, {told(retention)}; nothing runs for longer now",
    )


def told(duration: timedelta) -> str:
    """Return a duration for a person, in days where it has no other parts."""
    days, rest = divmod(duration, timedelta(days=1))
    return str(duration) if rest or not days else "1 day" if days == 1 else f"{days:,} days"
