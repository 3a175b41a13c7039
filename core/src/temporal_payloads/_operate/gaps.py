"""What could not be read, so that what was read is not all there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._errors import failure_type_of, message_of

if TYPE_CHECKING:
    from temporal_payloads._operate.holders import Holder


@dataclass
class Gap:
    """Something that was not read, so that it may need anything."""

    count: int
    """0 if it is not known."""
    why: str
    """Of the first of them."""
    holder: Holder | None

    def as_json(self, what: str) -> dict[str, Any]:
        """Return it as JSON has it, with what is missing."""
        holder = self.holder
        example = holder and {"kind": holder.kind, "id": holder.id, "run_id": holder.run_id}
        return {"what": what, "count": self.count or None, "why": self.why, "example": example}


class Gaps(dict[str, Gap]):
    """By what is missing."""

    def miss(self, what: str, why: str = "", holder: Holder | None = None, *, count: int = 1) -> None:
        """Note that something was not read."""
        gap = self.setdefault(what, Gap(0, why, holder))
        gap.count += count

    def miss_for(self, what: str, error: Exception, holder: Holder) -> None:
        """Note that something was not read, for this error."""
        self.miss(f"{what} ({failure_type_of(error)})", message_of(error), holder)

    def as_json(self) -> list[dict[str, Any]]:
        """Return them as JSON has them."""
        return [gap.as_json(what) for what, gap in self.items()]
