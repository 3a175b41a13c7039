"""What came of reading a namespace, and of marking what it needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from temporal_payloads._operate.collection.kept import as_time
from temporal_payloads._operate.collection.schedules import Uncertain


@dataclass
class Marked:
    """What came of reading a namespace. It may be looked at while that goes on."""

    namespace: str
    listed: int = 0
    """Runs, schedules and activities."""
    read: int = 0
    """Those of them that were read; of the others, what was read in an earlier collection is known."""
    running: int = 0
    deleted: int = 0
    """Those that were deleted meanwhile."""
    kept: int = 0
    """Runs that are not listed any more, and still count."""
    marks: int = 0
    """Known when they are written."""
    folder: str = ""
    """Where the marks lie: each attempt has a folder of its own."""
    chunks: list[int] = field(default_factory=list)
    """The marks lie in files of several parts: the first part of each, in order."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """What could not be read: nothing is swept then."""
    uncertain: Uncertain = field(default_factory=Uncertain)
    """Whose payloads may be the last result of a schedule."""
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether what has no mark is needed by nobody in this namespace."""
        return self.ended is not None and not self.gaps

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        document = asdict(self)
        document["uncertain"] = {
            name: None if ids is None else sorted(ids) for name, ids in document["uncertain"].items()
        }
        for name in ("began", "ended"):
            time: datetime | None = document[name]
            document[name] = time.isoformat() if time else None
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Marked:
        """Return what `as_json` made."""
        uncertain: dict[str, Any] = {
            name: None if ids is None else frozenset(ids) for name, ids in document["uncertain"].items()
        }
        times = {name: as_time(document[name]) for name in ("began", "ended")}
        return cls(**document | times | {"uncertain": Uncertain(**uncertain)})
