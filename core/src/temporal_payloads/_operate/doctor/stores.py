"""What the drivers find of their stores."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from temporal_payloads._errors import reason_of
from temporal_payloads._storage.diagnosing import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._storage.diagnosing import DiagnosisContext
    from temporal_payloads._storage.managed_driver import ManagedDriver


async def look_at_stores(
    usable: Mapping[str, ManagedDriver],
    context: DiagnosisContext,
    written: Mapping[str, Sequence[StorageDriverClaim]],
    retrieve_only: Sequence[str],
) -> list[Finding]:
    """Return what each driver finds of its store, all asked at once.

    Args:
        usable: The drivers by their tables' keys.
        context: What they are told; place, use and what was written are those of each.
        written: What was stored for this check, by the same keys.
        retrieve_only: The keys of those that take no new payloads: a worker only reads there.
    """

    async def look(key: str, driver: ManagedDriver) -> list[Finding]:
        place, claims = f"storage.drivers.{key}", written.get(key, ())
        use = "reader" if key in retrieve_only and context.use == "worker" else context.use
        try:
            found = await driver.diagnose(replace(context, place=place, written=claims, use=use))
        except Exception as error:  # noqa: BLE001  # a driver may raise anything
            told = reason_of(error)
            return [Finding(level="problem", check="store", place=place, message=told), *_left(place, claims)]
        if found is not None:
            return found
        return [
            Finding(
                level="skipped",
                check="store",
                place=place,
                message="the plugin does not look at its store: it has no diagnose",
            ),
            *_left(place, claims),
        ]

    found = await asyncio.gather(*(look(key, driver) for key, driver in usable.items()))
    # A store can take a payload though its check failed. Nobody looks at it then.
    others = [_left(f"storage.drivers.{key}", claims) for key, claims in written.items() if key not in usable]
    return [finding for findings in (*found, *others) for finding in findings]


def _left(place: str, claims: Sequence[StorageDriverClaim]) -> list[Finding]:
    """Tell of payloads that nobody has removed."""
    if not claims:
        return []
    keys = ", ".join(claim.claim_data.get("key", "?") for claim in claims)
    return [
        Finding(
            level="warning",
            check="clean-up",
            place=place,
            message=f"What was written for this check is still in the store: {keys}",
            advice="Delete it by hand, or leave it to gc: nothing refers to it",
        )
    ]
