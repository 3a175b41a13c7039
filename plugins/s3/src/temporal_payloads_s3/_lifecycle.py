"""What a bucket's lifecycle rules mean for payloads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporal_payloads.plugin import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAYLOADS = "v0/"
"""What the keys of payloads begin with."""
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
"""Storage classes from which nothing is read without a restore that takes hours."""


def look_at_lifecycle(
    rules: Sequence[Mapping[str, Any]], place: str, retention: timedelta | None
) -> list[Finding]:
    """Return what the rules mean for payloads.

    A rule for objects of certain tags or sizes counts as if it were for all of them: one is enough.

    Args:
        rules: As S3 tells them.
        place: Where the bucket is configured.
        retention: How long Temporal keeps histories; None if that is not known.
    """
    ours = [rule for rule in rules if rule.get("Status") == "Enabled" and _is_for_payloads(_prefix(rule))]
    findings = [finding for rule in ours for finding in _look_at(rule, place, retention)]
    if not findings:
        told = "no rule expires or archives payloads"
        findings.append(Finding(level="ok", check="lifecycle", place=place, message=told))
    if not any("AbortIncompleteMultipartUpload" in rule for rule in ours):
        findings.append(
            Finding(
                level="warning",
                check="lifecycle of uploads",
                place=place,
                message="No rule aborts incomplete multipart uploads: the parts that a process leaves behind "
                "that is killed while it writes a large payload are paid for, and shown by no listing",
                advice="Add a lifecycle rule with AbortIncompleteMultipartUpload after 1 day",
            )
        )
    else:
        told = "incomplete multipart uploads are aborted"
        findings.append(Finding(level="ok", check="lifecycle of uploads", place=place, message=told))
    return findings


def _look_at(rule: Mapping[str, Any], place: str, retention: timedelta | None) -> Iterator[Finding]:
    name = f"The lifecycle rule {rule.get('ID', '')!r}"
    expiration = rule.get("Expiration", {})
    if "Date" in expiration:
        yield Finding(
            level="problem",
            check="lifecycle",
            place=place,
            message=f"{name} deletes all payloads on {expiration['Date']:%Y-%m-%d}, those of running "
            "workflows too",
            advice="Disable it, or let it leave out the prefix v0/",
        )
    if "Days" in expiration:
        yield _expires(name, timedelta(days=expiration["Days"]), place, retention)
    for transition in rule.get("Transitions", []):
        if transition.get("StorageClass") in ARCHIVES:
            yield Finding(
                level="problem",
                check="lifecycle",
                place=place,
                message=f"{name} moves payloads to {transition['StorageClass']} after "
                f"{transition.get('Days', 0)} days: workflows that need one then wait for a restore by hand",
                advice="Let it leave out the prefix v0/, or move them to GLACIER_IR or another class that is "
                "read at once",
            )


def _expires(name: str, after: timedelta, place: str, retention: timedelta | None) -> Finding:
    deletes = f"{name} deletes payloads {after.days} days after they were stored"
    if retention is None:
        kept = "the retention of the namespaces is not known"
    elif after <= retention:
        kept = f"histories are kept for {_days(retention)} after a workflow has closed"
    else:
        kept = (
            f"with a retention of {_days(retention)} workflows may run for {_days(after - retention)} at most"
        )
    return Finding(
        level="problem" if retention is not None and after <= retention else "warning",
        check="lifecycle",
        place=place,
        message=f"{deletes}, and {kept}: a workflow that needs one that is gone waits for ever",
        advice="Disable it and let gc delete what nothing needs; or let it wait for longer than the "
        "retention and the longest run together, and set missing_payload = 'fail'",
    )


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} days"


def _prefix(rule: Mapping[str, Any]) -> str:
    where = rule.get("Filter", {})
    prefix: str = where.get("Prefix") or where.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
    return prefix


def _is_for_payloads(prefix: str) -> bool:
    return prefix.startswith(PAYLOADS) or PAYLOADS.startswith(prefix)
