"""What runs were found to need, kept from one collection to the next: what has ended is read once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.recorded import RecordedReference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.holders import Kind

FORMAT = 1
"""Goes up when reading finds more than it did before: everything is read again then."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What was read of a run, as it was listed then."""

    kind: Kind
    id: str
    run_id: str
    status: str
    closed: datetime | None
    length: int
    references: tuple[RecordedReference, ...]
    """Claims as they were recorded: what they mean is told anew each time, by the settings of that time."""
    hashes: tuple[str, ...] = ()
    """Of payloads that may be needed, in lower-case hex."""
    scheduled_by: str = ""
    gone: datetime | None = None
    """Since when it is not listed any more."""

    @classmethod
    def of(cls, holder: Holder, references: Iterable[RecordedReference], hashes: Iterable[str]) -> KeptRun:
        """Return what was read of a holder."""
        return cls(
            kind=holder.kind,
            id=holder.id,
            run_id=holder.run_id,
            status=holder.status,
            closed=holder.close_time,
            length=holder.history_length,
            references=tuple(references),
            hashes=tuple(hashes),
            scheduled_by=holder.scheduled_by,
        )

    def as_holder(self, namespace: str) -> Holder:
        """Return the run as it was listed."""
        return Holder(
            self.kind,
            namespace,
            self.id,
            self.run_id,
            status=self.status,
            close_time=self.closed,
            history_length=self.length,
            scheduled_by=self.scheduled_by,
        )

    @property
    def key(self) -> bytes:
        """What tells it from others, spread evenly."""
        return key_of(self.kind, self.id, self.run_id)

    def still_holds_for(self, holder: Holder) -> bool:
        """Tell whether this is what would be read again. A failover can rewrite a run that has ended."""
        return self.closed is not None and (self.status, self.closed, self.length) == (
            holder.status,
            holder.close_time,
            holder.history_length,
        )


def key_of(kind: str, holder_id: str, run_id: str) -> bytes:
    """Return 16 bytes that tell a run from all others of its namespace, spread evenly."""
    text = json.dumps([kind, holder_id, run_id])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class KeptRuns:
    """The kept runs of one namespace, in segments by a hash of their ids.

    Args:
        files: Where they are kept.
        owner: What tells the namespace from others of the same name: see `Owner.key`.
        codecs: A fingerprint of the codecs that decode references. What others read is not relied on.
    """

    def __init__(self, files: Files, owner: str, codecs: str) -> None:
        self._files = files
        self._folder = f"kept/{owner}/runs"
        self._codecs = f"{FORMAT}:{codecs}"

    async def parts(self) -> set[int]:
        """Return the numbers of the segments that there are."""
        names = await self._files.store.names(f"{self._folder}/")
        return {int(name.rpartition("/")[2], 16) for name in names}

    async def load(self, part: int) -> tuple[dict[bytes, KeptRun], bool]:
        """Return the runs of a segment, and whether they were read with the same codecs as now.

        Raises:
            DamagedStateError: The segment is damaged.
        """
        data = await self._files.read_bytes(self._name(part))
        if data is None:
            return {}, True
        header, *lines = data.decode("utf-8", "surrogatepass").splitlines()
        runs = (_from_json(json.loads(line)) for line in lines)
        return {run.key: run for run in runs}, json.loads(header)["codecs"] == self._codecs

    async def save(self, part: int, runs: dict[bytes, KeptRun]) -> None:
        """Keep these in place of the segment."""
        if not runs:
            await self._files.store.remove(self._name(part))
            return
        lines = [json.dumps({"codecs": self._codecs})]
        lines += [json.dumps(_as_json(runs[key]), separators=(",", ":")) for key in sorted(runs)]
        await self._files.write_bytes(self._name(part), "\n".join(lines).encode("utf-8", "surrogatepass"))

    def _name(self, part: int) -> str:
        return f"{self._folder}/{part:02x}"


def gone_since(run: KeptRun, now: datetime) -> KeptRun:
    """Return the run as one that is not listed any more."""
    return run if run.gone else replace(run, gone=now)


def _as_json(run: KeptRun) -> list[Any]:
    return [
        run.kind,
        run.id,
        run.run_id,
        run.status,
        run.closed.isoformat() if run.closed else None,
        run.length,
        references_as_json(run.references),
        run.hashes,
        run.scheduled_by,
        run.gone.isoformat() if run.gone else None,
    ]


def _from_json(values: list[Any]) -> KeptRun:
    kind, id_, run_id, status, closed, length, references, hashes, scheduled_by, gone = values
    return KeptRun(
        kind=kind,
        id=id_,
        run_id=run_id,
        status=status,
        closed=as_time(closed),
        length=length,
        references=references_from_json(references),
        hashes=tuple(hashes),
        scheduled_by=scheduled_by,
        gone=as_time(gone),
    )


def references_as_json(references: Iterable[RecordedReference]) -> list[Any]:
    """Return references as JSON has them."""
    return [[one.driver_name, one.claim_data, one.size] for one in references]


def references_from_json(values: list[Any]) -> tuple[RecordedReference, ...]:
    """Return what `references_as_json` wrote."""
    return tuple(
        RecordedReference(name, tuple((field, value) for field, value in claim), size)
        for name, claim, size in values
    )


def as_time(text: str | None) -> datetime | None:
    """Return a time as `isoformat` wrote it."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
