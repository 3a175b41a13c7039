"""Marks of what a namespace needs, and of its open runs: what a sweep reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporal_payloads._operate.marks import PARTS, WIDTH, mark_of_hash, mark_of_open_run
from temporal_payloads._operate.partitions import Partitions

if TYPE_CHECKING:
    from pathlib import Path

    from temporal_payloads._operate.collection.claims import Claims
    from temporal_payloads._operate.collection.marked import Marked
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.holders import Holder
    from temporal_payloads._operate.recorded import RecordedReference

_CHUNK = 1024 * 1024
"""Bytes of marks from which on a file is written: small namespaces have one."""


class Marking:
    """Marks whatever is needed. It is a `Needed`.

    Args:
        claims: Tells the marks of references.
        work: A local directory for what does not fit into memory.
    """

    def __init__(self, claims: Claims, work: Path) -> None:
        self._claims = claims
        self._marks = Partitions(work / "marks")
        self._open = Partitions(work / "open")

    def refer(self, reference: RecordedReference) -> None:
        """Mark the payload that a reference leads to; see `Needed.refer`."""
        for mark in self._claims.marks_of(reference):
            self._marks.add(mark)

    def doubt(self, sha256: str) -> None:
        """Mark payloads of this hash, wherever they lie."""
        self._marks.add(mark_of_hash(sha256))

    def note_open(self, holder: Holder) -> None:
        """Mark a run as open, by its run id and without."""
        for run_id in (holder.run_id, ""):
            self._open.add(mark_of_open_run(holder.namespace, holder.kind, holder.id, run_id))

    async def write(self, files: Files, folder: str, marked: Marked) -> None:
        """Write the marks, and note where.

        Args:
            files: Where to.
            folder: The folder in it; nobody else writes there.
            marked: What is noted in.

        Raises:
            StorageError: The collector's files cannot be written.
        """
        marked.folder = folder
        chunk = bytearray()
        first = 0
        for part in range(PARTS):
            await asyncio.sleep(0)  # for the heartbeats
            # Not in a thread: whoever gives this up removes the directory that it works in.
            chunk += b"".join(self._marks.keys(part))
            if chunk and (len(chunk) >= _CHUNK or part == PARTS - 1):
                await files.write_bytes(f"{folder}/{first:02x}", bytes(chunk))
                marked.chunks.append(first)
                marked.marks += len(chunk) // WIDTH
                chunk.clear()
                first = part + 1
        open_runs = [key for part in self._open.parts for key in self._open.keys(part)]
        await files.write_bytes(f"{folder}/open", b"".join(open_runs))
