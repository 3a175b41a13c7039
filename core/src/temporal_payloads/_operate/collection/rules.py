"""What becomes of a payload: which rule keeps it, or condemns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from temporal_payloads._operate.collection.schedules import Uncertain
from temporal_payloads._operate.marks import (
    Marks,
    mark_of_claim,
    mark_of_hash,
    mark_of_open_run,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from temporal_payloads._operate.collection.aside import PutAside
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.key_layout import ParsedKey

Action = Literal["keep", "put_aside", "record", "restore", "delete"]
"""`record`: it is aside, and that is recorded from now on."""
NULL = "null"
"""What a key says in the place of an id that was not known."""


class Rule(StrEnum):
    """Why a payload stays, or goes."""

    NEEDED = "something refers to it"
    NEEDED_BY_HASH = "something may refer to it: its hash was found"
    NOT_DECLARED = "its namespace is none of gc.owners"
    NO_NAMESPACE = "its key names no namespace"
    OWN_RUN_OPEN = "the run that it was stored for is open"
    OF_A_SCHEDULE = "it may be the last result of a schedule"
    YOUNG = "it was stored less than gc.grace before the collection began"
    INCOMPLETE = "not everything that may refer to it could be read"
    UNREFERENCED = "nothing refers to it"
    WAITS = "it has been aside for less than gc.grace before the collection began"
    NOT_RECORDED = "it is aside, and since when is not recorded"
    DUE = "it has been aside for gc.grace, and nothing refers to it"
    UNDONE = "what was put aside is brought back"
    NOT_ASIDE = "it is not aside, or another collection has put it aside"


@dataclass(frozen=True)
class Decision:
    """What is to be done with a payload, and why."""

    action: Action
    rule: Rule


class Decider(Protocol):
    """Says what becomes of payloads."""

    def decide(self, payload: ListedPayload, marks: Sequence[Marks], put: PutAside | None) -> Decision:
        """Decide on a payload.

        Args:
            payload: As its store lists it.
            marks: Those of its part, of all owners.
            put: When it was put aside, as it was recorded.
        """


@dataclass(frozen=True)
class Rules:
    """Decides on payloads, by what a collection has marked."""

    begun: datetime
    """When the collection began; also of one that is resumed."""
    grace: timedelta
    complete: bool
    """Whether everything was marked."""
    namespaces: frozenset[str]
    """Those that were marked."""
    without_namespace: bool = False
    """Whether payloads whose keys name no namespace are swept too."""
    open_runs: Sequence[Marks] = ()
    uncertain: Mapping[str, Uncertain] = field(default_factory=dict)
    """By namespace: whose payloads may be the last result of a schedule."""

    def decide(self, payload: ListedPayload, marks: Sequence[Marks], put: PutAside | None) -> Decision:
        """Decide on a payload; see `Decider`."""
        not_ours = _not_ours(payload, self.namespaces, without_namespace=self.without_namespace)
        if not_ours is not None and not payload.aside:
            return Decision("keep", not_ours)
        kept_by = self._why_kept(payload, marks)
        if kept_by is not None:
            # Whoever's it is: it may have been put aside when its namespace was declared.
            return Decision("restore" if payload.aside else "keep", kept_by)
        if not_ours is not None:
            return Decision("keep", not_ours)
        return self._aside(payload, put) if payload.aside else self._in_use(payload)

    def _in_use(self, payload: ListedPayload) -> Decision:
        if payload.stored is not None and payload.stored >= self.begun - self.grace:
            return Decision("keep", Rule.YOUNG)
        if not self.complete:
            return Decision("keep", Rule.INCOMPLETE)
        return Decision("put_aside", Rule.UNREFERENCED)

    def _aside(self, payload: ListedPayload, put: PutAside | None) -> Decision:
        if put is None:
            # Only from a complete mark on: two of them, a grace apart, come before a delete.
            return Decision("record" if self.complete else "keep", Rule.NOT_RECORDED)
        # What the store says counts too: somebody else may have put it aside once more.
        since = put.time if payload.stored is None else max(put.time, payload.stored)
        if since + self.grace > self.begun:
            return Decision("keep", Rule.WAITS)
        if not self.complete:
            return Decision("keep", Rule.INCOMPLETE)
        return Decision("delete", Rule.DUE)

    def _why_kept(self, payload: ListedPayload, marks: Sequence[Marks]) -> Rule | None:
        key = payload.key
        by_claim = mark_of_claim(payload.claim, key.sha256)
        if any(by_claim in some for some in marks):
            return Rule.NEEDED
        by_hash = mark_of_hash(key.sha256)
        if any(by_hash in some for some in marks):
            return Rule.NEEDED_BY_HASH
        # Without a namespace it may be of any.
        namespaces = self.namespaces if key.namespace is None else {key.namespace}
        if any(self._own_run_is_open(key, namespace) for namespace in namespaces):
            return Rule.OWN_RUN_OPEN
        if any(
            may_be_last_result(key, self.uncertain.get(namespace, Uncertain())) for namespace in namespaces
        ):
            return Rule.OF_A_SCHEDULE
        return None

    def _own_run_is_open(self, key: ParsedKey, namespace: str) -> bool:
        if key.kind is None or key.id is None:
            return False
        run_id = "" if key.run_id in (None, NULL) else str(key.run_id)
        run = mark_of_open_run(namespace, key.kind, key.id, run_id)
        return any(run in some for some in self.open_runs)


def may_be_last_result(key: ParsedKey, uncertain: Uncertain) -> bool:
    """Tell whether a payload may be the last result of a schedule.

    Args:
        key: The payload's.
        uncertain: Whose payloads may be such, in its namespace.
    """
    # A key that was too long to have an id in it, or under which a payload was moved, may be of any workflow.
    if key.id is None or key.id == NULL:
        return bool(uncertain)
    return uncertain.may_have_started(str(key.id))


@dataclass(frozen=True)
class Undo:
    """Brings back what was put aside."""

    namespaces: frozenset[str]
    """Those whose payloads may be touched."""
    without_namespace: bool = False
    collection: str | None = None
    """The collection that put it aside; None for whatever is aside."""

    def decide(self, payload: ListedPayload, marks: Sequence[Marks], put: PutAside | None) -> Decision:
        """Decide on a payload; as `Rules` does."""
        del marks
        kept_by = _not_ours(payload, self.namespaces, without_namespace=self.without_namespace)
        if kept_by is not None:
            return Decision("keep", kept_by)
        of_collection = self.collection is None or (put is not None and put.collection == self.collection)
        if not payload.aside or not of_collection:
            return Decision("keep", Rule.NOT_ASIDE)
        return Decision("restore", Rule.UNDONE)


def _not_ours(payload: ListedPayload, namespaces: frozenset[str], *, without_namespace: bool) -> Rule | None:
    namespace = payload.key.namespace
    if namespace is None:
        return None if without_namespace else Rule.NO_NAMESPACE
    return None if namespace in namespaces else Rule.NOT_DECLARED
