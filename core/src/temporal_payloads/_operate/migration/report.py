"""What came of a migration, or of its verification."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from temporal_payloads._operate.migration.wanted import WantedPayload

Outcome = Literal["copied", "present", "done", "missing", "damaged", "refused"]
"""What became of one payload.

`copied`: into the destination, and verified there. `present`: it was there already, and is what it should be.
`done`: an earlier run has copied it. `missing`: no store has it; of a verification, the destination does not.
`damaged`: what a store has under its key is another payload. `refused`: the destination does not take it.
"""
WELL: frozenset[Outcome] = frozenset({"copied", "present", "done"})
MOST_NAMED = 1000
"""Payloads that are named with the reason for which they are not in the destination."""


@dataclass(frozen=True)
class Failure:
    """A payload that is not in the destination."""

    outcome: Outcome
    driver: str
    """The name that a reference to it records."""
    claim: dict[str, str]
    namespace: str | None
    sha256: str
    size: int
    """Bytes, as its reference says; 0 if it does not say."""
    why: str


@dataclass
class Report:
    """What was done. It may be looked at while that goes on."""

    source: str
    """The keys of the drivers' tables."""
    destination: str
    namespaces: list[str] = field(default_factory=list)
    """Those that were asked what they need, or whose payloads were listed. Of others nothing is told."""
    everything: bool = False
    """Whether what the source lists was taken, and no history read."""
    phase: Literal["reading", "listing", "copying", "verifying", "ended"] = "reading"
    runs: int = 0
    """Workflows, schedules and activities that were listed."""
    runs_read: int = 0
    """Those of them that were read; what an earlier run or collection has read is known."""
    references: int = 0
    """To payloads that are to be moved, or that the source's store lists."""
    payloads: int = 0
    """Different ones that were looked at."""
    expected: int | None = None
    """The most that there are, for progress: references may lead to the same one. None while that is read."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    bytes: int = 0
    """Of the payloads that were copied or, of a verification, found."""
    rejected: int = 0
    """References that nobody follows: their drivers reject their claims."""
    in_doubt: int = 0
    """Payloads that may be needed, though no reference to them was found; they are among the references."""
    failures: list[Failure] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """What could not be read, so that it may need any payload."""
    findings: list[str] = field(default_factory=list)
    """Why it is not proved that nothing is needed from the source any more, though all was read."""

    @property
    def duplicates(self) -> int:
        """References to a payload to which another one led already."""
        return self.references - self.payloads if self.phase == "ended" else 0

    @property
    def failed(self) -> int:
        """Payloads that are not in the destination."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in WELL)

    @property
    def complete(self) -> bool:
        """Whether everything was read, so that nothing else is to be moved."""
        return self.phase == "ended" and not self.gaps

    @property
    def ok(self) -> bool:
        """Whether everything that was to be moved is in the destination."""
        return self.complete and not self.failed and not self.findings

    def note(self, payload: WantedPayload, outcome: Outcome, size: int, why: str) -> None:
        """Note what became of a payload."""
        self.payloads += 1
        self.outcomes[outcome] += 1
        self.bytes += size
        if outcome not in WELL and len(self.failures) < MOST_NAMED:
            driver, claim = payload.places[0]
            self.failures.append(
                Failure(
                    outcome=outcome,
                    driver=driver.name(),
                    claim=dict(claim.claim.claim_data),
                    namespace=payload.namespace,
                    sha256=payload.sha256,
                    size=payload.size,
                    why=why,
                )
            )

    def parts(self) -> dict[str, Any]:
        """Return it as JSON has it, with the same keys whatever was found."""
        return {
            "source": self.source,
            "destination": self.destination,
            "namespaces": self.namespaces,
            "complete": self.complete,
            "runs": self.runs,
            "runs_read": self.runs_read,
            "references": self.references,
            "payloads": self.payloads,
            "duplicates": self.duplicates,
            "copied": self.outcomes["copied"],
            "present": self.outcomes["present"],
            "done": self.outcomes["done"],
            "missing": self.outcomes["missing"],
            "damaged": self.outcomes["damaged"],
            "refused": self.outcomes["refused"],
            "bytes": self.bytes,
            "rejected": self.rejected,
            "in_doubt": self.in_doubt,
            "failures": [asdict(failure) for failure in self.failures],
            "gaps": self.gaps,
            "findings": self.findings,
        }
