"""What a namespace refers to, read as a collection reads it: what has ended is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._operate.collection.marking import Marking

if TYPE_CHECKING:
    from typing import Any

    from temporal_payloads._operate.migration.wanted import Wanted
    from temporal_payloads._operate.recorded import RecordedReference


class Reading(Marking):
    """Hands on the references that marking comes by, and writes no marks.

    Args:
        wanted: Where they go.
        arguments: See `Marking`.
    """

    def __init__(self, *arguments: Any, wanted: Wanted, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._wanted = wanted

    def _mark_reference(self, reference: RecordedReference) -> None:
        self._wanted.refer(reference)

    def _mark_hash(self, sha256: str) -> None:
        self._wanted.doubt(sha256)

    async def _write(self) -> None:
        """Write nothing: nothing is swept."""
