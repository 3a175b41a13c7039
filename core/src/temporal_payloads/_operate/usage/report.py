"""What was counted, for a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporal_payloads._operate.usage.counts import StoreCounts


def store_as_json(counts: StoreCounts) -> dict[str, Any]:
    """Return what was counted of a store."""
    return {
        "key": counts.key,
        **asdict(counts.total),
        "aside": asdict(counts.aside),
        "others": counts.others,
        "duplicates": asdict(counts.duplicates.counted()),
        "namespaces": [{"namespace": name, **asdict(tally)} for name, tally in counts.by_namespace().items()],
        "types": [{**asdict(group), **asdict(tally)} for group, tally in counts.by_type()],
        "ages": [{"age": name, **asdict(tally)} for name, tally in counts.by_age().items()],
        "days": [{"day": day.isoformat(), **asdict(tally)} for day, tally in sorted(counts.days.items())],
        "sizes": [{"under": 1 << bits, **asdict(tally)} for bits, tally in sorted(counts.sizes.items())],
        "complete": counts.ended,
        "error": counts.error,
    }
