"""What a server lists of a namespace, part by part, in constant memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from temporal_payloads._operate.collection.kept import as_time, key_of
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.partitions import Partitions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Listed:
    """Holders of a namespace.

    Args:
        namespace: Whose they are.
        directory: A local directory for what does not fit into memory.
    """

    def __init__(self, namespace: str, directory: Path) -> None:
        self._namespace = namespace
        self._partitions = Partitions(directory)

    def add(self, holder: Holder) -> None:
        """Note one."""
        self._partitions.add(key_of(holder.kind, holder.id, holder.run_id), _packed(holder))

    @property
    def count(self) -> int:
        """How many were noted."""
        return self._partitions.count

    @property
    def parts(self) -> Sequence[int]:
        """The parts that have any: the first bytes of their keys."""
        return self._partitions.parts

    def part(self, number: int) -> dict[bytes, Holder]:
        """Return those of a part, by their keys; one that was noted twice as it was the second time."""
        return {key: _unpacked(self._namespace, record) for key, record in self._partitions.part(number)}


def _packed(holder: Holder) -> bytes:
    return json.dumps(
        [
            holder.kind,
            holder.id,
            holder.run_id,
            holder.status,
            holder.start_time.isoformat() if holder.start_time else None,
            holder.close_time.isoformat() if holder.close_time else None,
            holder.history_length,
            holder.type,
            holder.division,
            holder.scheduled_by,
        ]
    ).encode()


def _unpacked(namespace: str, record: bytes) -> Holder:
    kind, id_, run_id, status, start, close, length, type_, division, scheduled_by = json.loads(record)
    return Holder(
        kind,
        namespace,
        id_,
        run_id,
        status=status,
        start_time=as_time(start),
        close_time=as_time(close),
        history_length=length,
        type=type_,
        division=division,
        scheduled_by=scheduled_by,
    )
