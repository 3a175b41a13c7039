"""What observers, and so metrics, are told of a store when a collection has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._operate.collection.rules import Rule
from temporal_payloads._plugins.events import CollectionEvent

if TYPE_CHECKING:
    from datetime import datetime

    from temporal_payloads._operate.collection.rules import Action
    from temporal_payloads._operate.collection.sweeping import Swept


def event_of(
    driver: str, swept: Swept, *, complete: bool, began: datetime, ended: datetime
) -> CollectionEvent:
    """Return what came of a collection in one store.

    Args:
        driver: The driver name that references record.
        swept: What was found in the store, all its parts together.
        complete: Whether everything was marked.
        began: When the collection began.
        ended: When it ended.
    """
    put_aside, deleted = _done(swept, "put_aside"), _done(swept, "delete")
    condemned = swept.rules.get(Rule.UNREFERENCED.name.lower(), (0, 0))
    unneeded = condemned[0] - put_aside[0], condemned[1] - put_aside[1]
    aside = sum(count for count, _ in swept.aside.values()), sum(size for _, size in swept.aside.values())
    gone = [sum(parts) for parts in zip(unneeded, aside, deleted, strict=True)]
    return CollectionEvent(
        driver=driver,
        complete=complete,
        payloads={"needed": swept.listed - gone[0], "unneeded": unneeded[0], "aside": aside[0]},
        size={"needed": swept.size - gone[1], "unneeded": unneeded[1], "aside": aside[1]},
        put_aside=put_aside[0],
        restored=_done(swept, "restore")[0],
        deleted=deleted[0],
        deleted_size=deleted[1],
        duration=(ended - began).total_seconds(),
        ended=ended.timestamp(),
    )


def _done(swept: Swept, action: Action) -> tuple[int, int]:
    """Return for how many payloads an action was taken, and their bytes: of all of them, in proportion."""
    count, size = swept.actions.get(action, (0, 0))
    done = swept.outcomes.get(action, {}).get("done", 0)
    return done, size * done // count if count else 0
