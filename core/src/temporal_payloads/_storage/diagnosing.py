"""What a driver may tell of its store for `temporal-payloads check`: findings, each with what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from temporalio.converter import StorageDriverClaim

Level = Literal["ok", "skipped", "warning", "problem"]
Use = Literal["worker", "reader", "collector"]

CLOCK_WARNING = timedelta(seconds=30)
"""What a codec server's tokens are allowed by default (`codec_server.auth.jwt.leeway`)."""
CLOCK_PROBLEM = timedelta(minutes=5)
"""AWS refuses signatures that are 15 minutes off; Kerberos, and many a token, what is off by 5."""
READERS: frozenset[Use] = frozenset({"worker", "reader", "collector"})
"""Who needs the right to read payloads: everybody, for the collector reads what it keeps in the store.

Example::

    finding = DiagnosisContext(place="storage.drivers.shelf").permission("look", has=True, needed_by=READERS)
    assert finding.message == "granted; needed by workers, readers and the collector"
"""
WRITERS: frozenset[Use] = frozenset({"worker", "collector"})
"""Who needs the right to write payloads: workers, and the collector for its probe and its files.

Example::

    context = DiagnosisContext(place="storage.drivers.shelf", use="reader")
    assert context.permission("put", has=False, needed_by=WRITERS).level == "ok"
"""
COLLECTOR: frozenset[Use] = frozenset({"collector"})
"""Who needs the right to list payloads, or to delete them: the collector alone.

Example::

    context = DiagnosisContext(place="storage.drivers.shelf", use="collector")
    assert context.permission("discard", has=False, needed_by=COLLECTOR).level == "problem"
"""
_DATE_HEADER_STEP = timedelta(seconds=1)
_WHO = {"worker": "workers", "reader": "readers", "collector": "the collector"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Example::

        finding = Finding(
            level="warning",
            check="lid",
            place="storage.drivers.shelf.url",
            message="The shelf has no lid, so that what is on it fades within a year",
            advice="Order one, or store what is to be kept for longer somewhere else",
        )
        assert finding.level == "warning"
    """

    level: Literal["ok", "skipped", "warning", "problem"]
    """`skipped`: it could not be looked at, and the message says why. `problem`: payloads are, or will be,
    lost or out of reach. `warning`: that may become so."""
    check: str
    """What was looked at, in a word or three, always the same: `clock`, `permission s3:GetObject`."""
    message: str
    """What was found, and what that means. It holds no secret."""
    place: str = ""
    """Where it is configured (`storage.drivers.s3.bucket`); empty if nowhere."""
    advice: str = ""
    """What to do; empty where nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisContext:
    """What a driver's `diagnose` is told, and how it words what all drivers look at.

    Example::

        class LiddedShelfDriver(ShelfDriver):
            async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
                asked = context.now()
                theirs = await self._shelf.time()
                return [
                    context.clock(theirs, asked=asked, answered=context.now()),
                    context.permission("lift", has=await self._shelf.may("lift"), needed_by={"worker"}),
                ]
    """

    place: str
    """The driver's table (`storage.drivers.s3`)."""
    use: Literal["worker", "reader", "collector"] = "worker"
    """What the process is to do whose rights are looked at: a worker stores and reads, a reader (a codec
    server) only reads, the collector (`gc`) lists, puts aside and deletes."""
    use_named: bool = True
    """Whether somebody has said so. If not, a process that lacks what a reader does not need may be one: that
    is a warning."""
    namespaces: Sequence[str] = ("default",)
    """Temporal namespaces whose payloads are stored."""
    namespaces_named: bool = True
    """Whether somebody has named them: an option, a variable, the settings. If not, a store that is made for
    each namespace may be missing, and that is `skipped`."""
    retention: timedelta | None = None
    """How long Temporal keeps the histories of closed workflows: the longest of the namespaces; None if that
    is not known."""
    written: Sequence[StorageDriverClaim] = ()
    """Payloads that were stored for this check, with the right to write there. `diagnose` removes them, which
    shows the right to delete; without any it writes and deletes nothing."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    """Tells the time by the local clock."""

    def clock(
        self,
        theirs: datetime,
        *,
        asked: datetime,
        answered: datetime,
        resolution: timedelta = timedelta(0),
        place: str = "",
    ) -> Finding:
        """Return what is found by comparing the store's clock with the local one.

        Half a minute apart is a warning, five minutes are a problem.

        Args:
            theirs: The store's time, with its time zone.
            asked: The local time just before it was asked for.
            answered: The local time just after.
            resolution: In what steps the store tells its time: a second where it cuts off what is less.
            place: Where the store's address is configured; by default the driver's table.
        """
        ahead, behind = theirs - answered, asked - theirs - resolution
        apart = max(ahead, behind, timedelta(0))
        if apart < CLOCK_WARNING:
            return Finding(level="ok", check="clock", place=place or self.place, message="agrees with ours")
        which = "ahead of" if ahead > behind else "behind"
        return Finding(
            level="problem" if apart >= CLOCK_PROBLEM else "warning",
            check="clock",
            place=place or self.place,
            message=f"The store's clock is {_told(apart)} {which} the one of this machine: requests may be "
            "refused for their signature, tokens seem expired, and ages of payloads are off by as much",
            advice="Let both machines keep their time by NTP",
        )

    def permission(
        self,
        name: str,
        *,
        has: bool | None,
        needed_by: Collection[Literal["worker", "reader", "collector"]],
        why: str = "",
        place: str = "",
        advice: str = "",
    ) -> Finding:
        """Return what is found of one right.

        That a right is missing is a problem only for whom it is needed; and a warning where nobody has said
        what the process is to do, and a reader does not need it.

        Args:
            name: The right in the store's words.
            has: Whether the role has it; None if that could not be found out.
            needed_by: Who needs it, one at least.
            why: What the store said, or why it could not be found out.
            place: Where the role is configured; by default the driver's table.
            advice: How to give the right, if it is not simply granted.
        """
        whose = [_WHO[use] for use in _WHO if use in needed_by]
        needed = f"needed by {' and '.join([', '.join(whose[:-1]), whose[-1]] if whose[1:] else whose)}"
        reason = f" ({why})" if why else ""
        check = f"permission {name}"
        place = place or self.place
        if has is None:
            level: Level = "skipped" if self.use in needed_by else "ok"
            return Finding(
                level=level, check=check, place=place, message=f"not tried{reason}; it is {needed}"
            )
        if has:
            return Finding(level="ok", check=check, place=place, message=f"granted; {needed}")
        if self.use not in needed_by:
            return Finding(level="ok", check=check, place=place, message=f"not granted; {needed}")
        advice = advice or f"Grant {name} to the role, or use another role"
        may_be_reader = not self.use_named and "reader" not in needed_by
        return Finding(
            level="warning" if may_be_reader else "problem",
            check=check,
            place=place,
            message=f"not granted{reason}; it is {needed}",
            advice=f"{advice}; if this process only reads, say --use reader" if may_be_reader else advice,
        )


@dataclass(kw_only=True)
class Diagnosis:
    """Looks at one store, and gathers what is found of it. A driver's own derives from it.

    Args:
        context: What core tells.
        place: Where it is configured what the store is: where findings say that they belong.

    Example::

        @dataclass
        class ShelfDiagnosis(Diagnosis):
            shelf: shelf_client.Shelf

            def how_to_grant(self, permission):
                return f"Put {permission} on the list at the shelf's door"

            async def run(self):
                self.permission("lift", await self.shelf.may("lift"), READERS)
                if not await self.shelf.has_lid():
                    self.found("warning", "lid", "What is on the shelf fades within a year", "Order a lid")
                return self.findings
    """

    context: DiagnosisContext
    place: str
    findings: list[Finding] = field(default_factory=list, init=False)
    """What was found, in its order."""

    def found(
        self,
        level: Literal["ok", "skipped", "warning", "problem"],
        check: str,
        message: str,
        advice: str = "",
        *,
        place: str = "",
    ) -> None:
        """Add a finding; see `Finding`. By default its place is that of the diagnosis."""
        self.findings.append(
            Finding(level=level, check=check, place=place or self.place, message=message, advice=advice)
        )

    def permission(
        self,
        name: str,
        has: bool | None,
        needed_by: Collection[Literal["worker", "reader", "collector"]],
        why: str = "",
        *,
        place: str = "",
    ) -> None:
        """Add what is found of one right; see `DiagnosisContext.permission`."""
        self.findings.append(
            self.context.permission(
                name,
                has=has,
                needed_by=needed_by,
                why=why,
                place=place or self.place,
                advice=self.how_to_grant(name),
            )
        )

    def how_to_grant(self, permission: str) -> str:
        """Return what to do where a right is missing; nothing if it is simply granted."""
        del permission
        return ""

    def cleaned_up(self, left: Collection[str], where: str, advice: str) -> None:
        """Add what is found of deleting what was stored for this check.

        Args:
            left: The keys of what could not be deleted.
            where: What they are still in (`the bucket 'payloads'`).
            advice: Who can delete them.
        """
        if not left:
            self.found("ok", "clean-up", "what was written for this check was deleted")
            return
        self.found(
            "warning",
            "clean-up",
            f"What was written for this check is still in {where}: {', '.join(left)}",
            f"{advice}: nothing refers to it",
        )

    def http_clock(self, date: str | None, *, asked: datetime, answered: datetime) -> bool:
        """Add what is found of the clock of an HTTP server; tell whether it has told its time.

        Args:
            date: The header `Date` of its answer, if there is one.
            asked: The local time just before it was asked.
            answered: The local time just after.
        """
        try:
            theirs = parsedate_to_datetime(date) if date else None
        except ValueError:
            theirs = None
        if theirs is None:
            return False
        self.findings.append(
            self.context.clock(theirs, asked=asked, answered=answered, resolution=_DATE_HEADER_STEP)
        )
        return True


def _told(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds())))
