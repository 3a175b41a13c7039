"""What was decided, why, and what came of it: one line of JSON for each, in files that are never changed."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.marks import mark_of_claim

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from temporal_payloads._operate.collection.rules import Decision
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._storage.change import Change
    from temporal_payloads._storage.collecting import ListedPayload


class Manifest:
    """The manifest of one collection.

    Args:
        files: Where it is kept.
        collection: The collection's id.
    """

    def __init__(self, files: Files, collection: str) -> None:
        self._files = files
        self._folder = f"manifests/{collection}"

    async def decided(
        self, driver: str, decisions: Sequence[tuple[ListedPayload, Decision]], time: datetime
    ) -> None:
        """Write down what is going to be done, before it is, and what is kept without being needed."""
        await self._write(
            [
                {
                    "time": time.isoformat(),
                    "payload": mark_of_claim(payload.claim, payload.key.sha256).hex(),
                    "driver": driver,
                    "action": decision.action,
                    "rule": decision.rule.name.lower(),
                    "why": decision.rule.value,
                    "claim": dict(payload.claim.claim_data),
                    "namespace": payload.key.namespace,
                    "size": payload.size,
                    "stored": payload.stored.isoformat() if payload.stored else None,
                    "tag": payload.tag,
                }
                for payload, decision in decisions
            ],
            time,
        )

    async def done(
        self, action: str, payloads: Sequence[ListedPayload], changes: Sequence[Change], time: datetime
    ) -> None:
        """Write down what came of it."""
        await self._write(
            [
                {
                    "time": time.isoformat(),
                    "payload": mark_of_claim(payload.claim, payload.key.sha256).hex(),
                    "action": action,
                    "outcome": change,
                }
                for payload, change in zip(payloads, changes, strict=True)
            ],
            time,
        )

    async def lines(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what was written, in about the order in which it was."""
        for name in await self._files.store.names(f"{self._folder}/"):
            for line in (await self._files.read_bytes(name) or b"").splitlines():
                yield json.loads(line)

    async def _write(self, lines: Sequence[dict[str, Any]], time: datetime) -> None:
        if lines:
            name = f"{self._folder}/{time:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(6)}"
            text = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
            await self._files.write_bytes(name, text.encode())
