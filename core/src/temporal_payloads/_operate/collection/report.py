"""What a collection is, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.owners import Owner
from temporal_payloads._operate.collection.sweeping import Swept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from temporal_payloads._operate.collection.rules import Action

Purpose = Literal["plan", "put-aside", "delete", "collect", "undo"]
"""What a collection is for. `collect`: both `put-aside` and `delete`."""

ACTIONS: Mapping[Purpose, frozenset[Action]] = {
    "plan": frozenset(),
    "put-aside": frozenset({"restore", "record", "put_aside"}),
    "delete": frozenset({"restore", "record", "delete"}),
    "collect": frozenset({"restore", "record", "put_aside", "delete"}),
    "undo": frozenset({"restore"}),
}


@dataclass(frozen=True)
class Collection:
    """A collection, as it was begun. Whoever goes on with it finds the same."""

    id: str
    purpose: Purpose
    began: datetime
    grace: timedelta
    owners: tuple[Owner, ...]
    without_namespace: bool
    stores: Mapping[str, str]
    """By the keys of the drivers' tables: what tells the stores from others."""
    segments: tuple[str, ...] = ()
    """The files with records of what is aside that there were at its beginning."""
    undo_of: str | None = None
    """The collection whose payloads are brought back; None for all."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        document = asdict(self)
        document["began"] = self.began.isoformat()
        document["grace"] = self.grace.total_seconds()
        for owner in document["owners"]:
            owner["retention"] = owner["retention"].total_seconds()
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Collection:
        """Return what `as_json` made."""
        owners = [
            Owner(**owner | {"retention": timedelta(seconds=owner["retention"])})
            for owner in document["owners"]
        ]
        return cls(
            **document
            | {
                "began": datetime.fromisoformat(document["began"]).astimezone(UTC),
                "grace": timedelta(seconds=document["grace"]),
                "owners": tuple(owners),
                "segments": tuple(document["segments"]),
            }
        )


@dataclass
class Report:
    """What came of a collection."""

    id: str
    purpose: Purpose
    began: str
    ended: str | None = None
    complete: bool = False
    """Whether everything was marked, so that something could be swept."""
    incomplete: list[str] = field(default_factory=list)
    """Why not."""
    namespaces: list[dict[str, Any]] = field(default_factory=list)
    """What was marked: see `Marked`."""
    stores: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was swept, by the keys of the drivers' tables: see `Swept`."""
    refused: dict[str, str] = field(default_factory=dict)
    """By key: why a store was not collected."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def why_incomplete(collection: Collection, marked: Iterable[Marked]) -> list[str]:
    """Return what keeps marks from being all marks; nothing if they are."""
    reasons: list[str] = []
    ended: list[datetime] = []
    for one in marked:
        reasons += [_why(one.namespace, **gap) for gap in one.gaps]
        if one.ended is None:
            reasons.append(f"{one.namespace}: it was not read to its end")
        else:
            ended.append(one.ended)
    if len(ended) < len(collection.owners) and not reasons:
        reasons.append("not all namespaces were read")
    # None: the server does not tell, or keeps everything.
    retentions = [owner.retention for owner in collection.owners if owner.retention]
    if ended and retentions and max(ended) - collection.began >= min(retentions):
        reasons.append(
            f"marking took {max(ended) - collection.began}, and a namespace keeps what has ended for "
            f"{min(retentions)}: what moved meanwhile may have been missed; begin a new collection, which "
            "reads only what is new"
        )
    return reasons


def _why(namespace: str, *, what: str, count: int | None, why: str, example: dict[str, str] | None) -> str:
    reason = f"{namespace}: {count or 'some'} {what}: {why}"
    if example is None:
        return reason
    run = f", run {example['run_id']}" if example["run_id"] else ""
    return f"{reason} ({'for instance ' if count != 1 else ''}{example['kind']} {example['id']!r}{run})"


def merged(parts: Iterable[Swept]) -> Swept:
    """Return what was swept of a store, all parts together."""
    total: Swept | None = None
    for part in parts:
        if total is None:
            total = Swept(part.driver, "")
        for name in ("listed", "size", "others"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        for name in ("rules", "actions", "garbage", "undeclared", "aside"):
            counts: dict[str, list[int]] = getattr(total, name)
            for key, (count, size) in getattr(part, name).items():
                known = counts.setdefault(key, [0, 0])
                known[0] += count
                known[1] += size
        for action, outcomes in part.outcomes.items():
            known_outcomes = total.outcomes.setdefault(action, {})
            for outcome, count in outcomes.items():
                known_outcomes[outcome] = known_outcomes.get(outcome, 0) + count
        total.segments = sorted({*total.segments, *part.segments})
        total.damaged = sorted({*total.damaged, *part.damaged})
        total.refused = total.refused or part.refused
    return total or Swept("", "")


def swept_from_json(document: dict[str, Any]) -> Swept:
    """Return what `Swept.as_json` made."""
    return Swept(**{one.name: document[one.name] for one in fields(Swept)})
