"""What `temporal-payloads migrate` says: how far it is, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._cli.output import bad, counted, good, heading, printable, say, table
from temporal_payloads._cli.progress import Step
from temporal_payloads._operate.units import in_units

if TYPE_CHECKING:
    from temporal_payloads._operate.migration.report import Failure, Outcome, Report

NAMED = 20
"""Payloads that are named. All of them, up to a thousand, are in the document that --json prints."""


def progress_of(report: Report) -> Step:
    """Say in a line how far it is."""
    if report.phase in ("reading", "listing"):
        found = f"{report.runs:,} runs, {counted(report.references, 'reference')} to payloads of it"
        return Step(f"{report.phase}: {found} ...")
    done = f"{counted(report.payloads, 'payload')}, {in_units(report.bytes)}"
    return Step(f"{report.phase}: {done} ...", done=report.payloads, total=report.expected)


def print_report(report: Report, *, verifies: bool, off: bool) -> None:
    """Print what was done, what is not in the new store and why, and what was not read."""
    source, destination = printable(report.source), printable(report.destination)
    say(heading(f"{'Needed from' if verifies else 'Moved from'} {source}, in {destination}"))
    _print_counts(report, verifies=verifies)
    if report.rejected:
        say(f"  {counted(report.rejected, 'reference')} that no driver follows")
    rows = [
        (outcome, f"{count:,}", meaning)
        for outcome, meaning in _MEANINGS.items()
        if (count := report.outcomes[outcome])
    ]
    if rows:
        table(("OUTCOME", "PAYLOADS", "WHAT IT MEANS"), rows, right={"PAYLOADS"})
    if report.failures:
        say(heading("Not in the new store"))
        for failure in report.failures[:NAMED]:
            _print(failure)
        if report.failed > NAMED:
            say(f"  and {report.failed - NAMED:,} more; --json names up to a thousand")
    if report.gaps:
        say(heading("Not complete: what was not read may need any payload"))
        for gap in report.gaps:
            say(f"  {printable(str(gap['namespace'] or source))}: {gap['count'] or 'some'} {gap['what']}")
            say(f"    {printable(gap['why'])}")
    for finding in report.findings:
        say("  ", bad("not proved: "), printable(finding))
    if report.ok:
        names = ", ".join(map(printable, report.namespaces))
        what = f"{source} lists of {names}" if report.everything else f"the histories of {names} refer to"
        then = "it is off, and its store can go" if off else "set off = true in its table"
        proved = f"nothing that {what} is needed from {source} any more: {then}"
        copied = f"all that {what} is in {destination}; when nobody writes to {source} any more, --verify"
        say("  ", good(proved if verifies else copied))


def _print_counts(report: Report, *, verifies: bool) -> None:
    if report.everything:
        say(f"  listed: {counted(report.references, 'payload')}")
        found = counted(report.payloads, "payload")
    else:
        say(f"  read: {counted(report.runs, 'run')} ({report.runs_read:,} of them now)")
        found = f"{counted(report.references, 'reference')} to {counted(report.payloads, 'payload')}"
    say(f"  {found}, {in_units(report.bytes)} {'found' if verifies else 'copied'}")


_MEANINGS: dict[Outcome, str] = {
    "copied": "into the new store, and verified there",
    "present": "it is in the new store, and what it should be",
    "done": "an earlier run has copied it",
    "missing": "no store has it",
    "damaged": "what lies under its key is another payload",
    "refused": "the new store does not take it",
}


def _print(failure: Failure) -> None:
    key = failure.claim.get("key") or failure.sha256
    say(f"  {failure.outcome}: {printable(failure.driver)} {printable(key)}")
    say(f"    {printable(failure.why)}")
