"""Which collections there were, and what is aside since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.collection.ledger import Ledger

if TYPE_CHECKING:
    from temporal_payloads._operate.collection.report import Collection, Report
    from temporal_payloads._operate.collection.state import Files


@dataclass(frozen=True)
class AsideNow:
    """What one collection has put aside in one store, and is aside yet."""

    driver: str
    """The key of its table."""
    collection: str
    payloads: int
    bytes: int
    since: str | None
    due: str | None
    """From when on a collection that begins may delete all of it."""


@dataclass(frozen=True)
class Status:
    """The collections, the latest first, and what is aside."""

    collections: list[dict[str, Any]]
    aside: list[AsideNow]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


async def read_status(files: Files) -> Status:
    """Read what collections have left.

    Raises:
        StorageError: The collector's files cannot be read.
        DamagedStateError: One of them is damaged.
    """
    collections: dict[str, Collection] = {}
    reports: dict[str, Report] = {}
    ledger = Ledger(files)
    for collection_id in reversed(await ledger.begun()):
        collections[collection_id] = await ledger.collection(collection_id)
        report = await ledger.report(collection_id)
        if report is not None:
            reports[collection_id] = report
    aside: dict[str, list[AsideNow]] = {}
    for report in reports.values():  # the latest first
        for driver, swept in report.stores.items():
            if driver not in aside:
                aside[driver] = [
                    AsideNow(driver, by, count, size, *_when(collections.get(by), reports.get(by)))
                    for by, (count, size) in sorted(swept["aside"].items())
                ]
    return Status(
        [_shown(one, reports.get(one.id)) for one in collections.values()],
        [one for found in aside.values() for one in found],
    )


def _when(collection: Collection | None, report: Report | None) -> tuple[str | None, str | None]:
    """Return since when what a collection has put aside is aside, and when all of it is due."""
    if collection is None:
        return None, None
    ended = datetime.fromisoformat(report.ended) if report and report.ended else None
    return collection.began.isoformat(), (ended + collection.grace).isoformat() if ended else None


def _shown(collection: Collection, report: Report | None) -> dict[str, Any]:
    changes = [
        {"driver": driver, "action": action, "outcome": outcome, "payloads": count}
        for driver, swept in (report.stores if report else {}).items()
        for action, outcomes in sorted(swept["outcomes"].items())
        for outcome, count in sorted(outcomes.items())
    ]
    return {
        "id": collection.id,
        "purpose": collection.purpose,
        "began": collection.began.isoformat(),
        "ended": report.ended if report else None,
        "complete": report.complete if report else False,
        "changes": changes,
    }
