"""What was counted of a store. However many payloads there are, it takes no more memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from temporal_payloads._operate.usage.duplicates import DuplicateCounter

if TYPE_CHECKING:
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.key_layout import ParsedKey

AGES: tuple[tuple[str, timedelta | None], ...] = (
    ("under a day", timedelta(days=1)),
    ("1 to 7 days", timedelta(days=7)),
    ("7 to 30 days", timedelta(days=30)),
    ("30 to 90 days", timedelta(days=90)),
    ("90 days to a year", timedelta(days=365)),
    ("over a year", None),
)
"""The ages that are told apart, and up to where each goes."""
UNKNOWN_AGE = "unknown"
"""Of payloads in stores that do not tell when they were written."""
DAYS = 90
"""How many days back are told apart one by one."""
MOST_GROUPS = 10_000
"""Types that are told apart. They come from workers, and could be any number; those beyond are counted as one
of their namespace."""
MOST_NAMESPACES = 10_000
"""Namespaces that are told apart."""
OTHER_NAMESPACES = "(others)"
"""What those beyond are counted as."""


@dataclass
class Tally:
    """So many payloads, of so many bytes."""

    payloads: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.payloads += 1
        self.bytes += size


@dataclass(frozen=True)
class Group:
    """What payloads were stored for."""

    namespace: str | None
    """None if the key names none; `OTHER_NAMESPACES` for those beyond what is told apart."""
    kind: str | None
    """`workflow` or `activity`; None if the key does not tell, or for all types beyond those told apart."""
    type: str | None


@dataclass
class StoreCounts:
    """What was counted of one store.

    Args:
        key: The key of the driver's table.
        now: When it was begun.
    """

    key: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    total: Tally = field(default_factory=Tally)
    aside: Tally = field(default_factory=Tally)
    """Of all, what a collector has put aside."""
    others: int = 0
    """What lies beside the payloads, and no driver has written."""
    groups: dict[Group, Tally] = field(default_factory=dict)
    ages: dict[str, Tally] = field(default_factory=dict)
    days: dict[date, Tally] = field(default_factory=dict)
    """What was written on each of the last days."""
    sizes: dict[int, Tally] = field(default_factory=dict)
    """By size: under 1 KiB (10), under 2 KiB (11), under 4 KiB (12), and so on."""
    duplicates: DuplicateCounter = field(default_factory=DuplicateCounter)
    ended: bool = False
    """Whether all of it was listed."""
    error: dict[str, str] | None = None
    """The `type` and `message` of why it was not."""
    _namespaces: set[str] = field(default_factory=set, repr=False)

    def add(self, payload: ListedPayload) -> None:
        """Count a payload."""
        size, key = payload.size, payload.key
        self.total.add(size)
        if payload.aside:
            self.aside.add(size)
        group = self._group_of(key)
        self.groups.setdefault(group, Tally()).add(size)
        self.sizes.setdefault(max(size.bit_length(), 10), Tally()).add(size)
        self.duplicates.add(key.sha256, size)
        self._add_age(payload.stored, size)

    def _group_of(self, key: ParsedKey) -> Group:
        namespace = key.namespace
        if namespace is not None and namespace not in self._namespaces:
            if len(self._namespaces) >= MOST_NAMESPACES:
                return Group(OTHER_NAMESPACES, None, None)
            self._namespaces.add(namespace)
        group = Group(namespace, key.kind, key.type)
        if group not in self.groups and len(self.groups) >= MOST_GROUPS:
            return Group(namespace, None, None)
        return group

    def _add_age(self, stored: datetime | None, size: int) -> None:
        if stored is None:
            self.ages.setdefault(UNKNOWN_AGE, Tally()).add(size)
            return
        age = self.now - stored
        name = next(name for name, end in AGES if end is None or age < end)
        self.ages.setdefault(name, Tally()).add(size)
        if age < timedelta(days=DAYS):
            self.days.setdefault(stored.astimezone(UTC).date(), Tally()).add(size)

    def by_namespace(self) -> dict[str | None, Tally]:
        """Return how much each namespace has, the largest first."""
        found: dict[str | None, Tally] = {}
        for group, tally in self.groups.items():
            sum_ = found.setdefault(group.namespace, Tally())
            sum_.payloads += tally.payloads
            sum_.bytes += tally.bytes
        return dict(sorted(found.items(), key=lambda item: -item[1].bytes))

    def by_type(self) -> list[tuple[Group, Tally]]:
        """Return how much each type of a namespace has, the largest first."""
        return sorted(self.groups.items(), key=lambda item: -item[1].bytes)

    def by_age(self) -> dict[str, Tally]:
        """Return how much there is of each age, the youngest first."""
        names = [name for name, _ in AGES]
        return {name: self.ages[name] for name in [*names, UNKNOWN_AGE] if name in self.ages}
