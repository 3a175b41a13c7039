"""What `temporal-payloads keys --in-use` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from temporal_payloads._cli.codecs_found import use_of
from temporal_payloads._cli.output import bad, counted, good, heading, printable, say, table
from temporal_payloads._operate.keys_in_use import KeyUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from temporal_payloads._cli.codecs_found import FoundCodec
    from temporal_payloads._operate.holders import Holder
    from temporal_payloads._operate.keys_in_use import KeysInUse
    from temporal_payloads._plugins.keys import KeyDescription

Verdict = Literal["it writes", "in use", "missing", "can be retired", "not known", "no such key"]


@dataclass(frozen=True)
class _RingKey:
    """A key and the codec that has it."""

    key: KeyDescription
    codec: FoundCodec

    @property
    def writes(self) -> bool:
        """Whether it encrypts anything."""
        return self.key.writes and not self.codec.decode_only


@dataclass(frozen=True)
class KeysReport:
    """What was found, and what it means.

    Args:
        codecs: With their keys.
        found: What reading has found, up to now.
        namespaces: Where.
        query: Which workflows, if not all.
        key: The one key that was asked for.
    """

    codecs: Sequence[FoundCodec]
    found: KeysInUse
    namespaces: Sequence[str]
    query: str | None
    key: str | None

    @property
    def ring(self) -> dict[str, _RingKey]:
        """The keys by their ids; where several codecs have one, that which writes."""
        keys = [_RingKey(key, codec) for codec in self.codecs for key in codec.keys]
        by_id = {one.key.id: one for one in keys}
        return by_id | {one.key.id: one for one in keys if one.writes}

    @property
    def ids(self) -> list[str]:
        """The keys that the report is about: those of the ring first."""
        if self.key is not None:
            return [self.key]
        return list(dict.fromkeys([*self.ring, *sorted(self.found.keys)]))

    @property
    def all_well(self) -> bool:
        """Whether the answer is the one that was hoped for: see the command's help."""
        if self.key is not None:
            return self.verdict(self.key) == "can be retired"
        return self.found.complete

    def verdict(self, key: str) -> Verdict:
        """Say what the counts mean for a key."""
        known = self.ring.get(key)
        if key in self.found.keys:
            return "missing" if known is None else "it writes" if known.writes else "in use"
        if known is None:
            return "no such key"
        if known.writes:
            return "it writes"
        return "can be retired" if self.found.complete else "not known"

    def progress(self) -> str:
        """Say in a line how far reading is."""
        read = self.found.read
        what = [counted(read["workflow"], "workflow")]
        if read["schedule"]:
            what.append(counted(read["schedule"], "schedule"))
        return f"read {', '.join([*what, counted(self.found.payloads, 'payload')])} ..."

    # -- for a program

    def parts(self) -> dict[str, Any]:
        """Return what the document says, beside what all documents do."""
        found = self.found
        return {
            "complete": found.complete,
            "namespaces": list(self.namespaces),
            "query": self.query,
            "workflows": found.read["workflow"],
            "running": found.running,
            "schedules": found.read["schedule"],
            "activities": found.read["activity"],
            "nexus_operations": found.read["nexus_operation"],
            "payloads": found.payloads,
            "keys": [self._key_as_json(key) for key in self.ids],
            "gaps": [
                {
                    "what": what,
                    "count": gap.count or None,
                    "why": gap.why,
                    "example": _holder_as_json(gap.holder) if gap.holder else None,
                }
                for what, gap in found.gaps.items()
            ],
        }

    def _key_as_json(self, key: str) -> dict[str, Any]:
        use = self.found.keys.get(key, KeyUse())
        known = self.ring.get(key)
        return {
            "id": key,
            "payloads": use.payloads,
            "workflows": use.holders["workflow"],
            "schedules": use.holders["schedule"],
            "activities": use.holders["activity"],
            "nexus_operations": use.holders["nexus_operation"],
            "newest_use": use.newest.isoformat() if use.newest else None,
            "in_ring": known is not None,
            "writes": known is not None and known.writes,
            "verdict": self.verdict(key),
            "needed_by": [_holder_as_json(holder) for holder in use.examples],
        }

    # -- for a person

    def print(self) -> None:
        """Print the table, what is missing, and what to do."""
        found = self.found
        say(heading(f"Keys in use, in {' and '.join(self.namespaces)}"))
        what = [f"{counted(found.read['workflow'], 'workflow')} ({found.running:,} running)"]
        what.append(counted(found.read["schedule"], "schedule"))
        if found.read["activity"]:
            what.append(counted(found.read["activity"], "activity", "activities") + " outside of workflows")
        if found.read["nexus_operation"]:
            what.append(counted(found.read["nexus_operation"], "Nexus operation") + " outside of workflows")
        say(f"  read: {', '.join(what)}; {counted(found.payloads, 'payload')}")
        if self.ids:
            columns = ("KEY", "PAYLOADS", "WORKFLOWS", "SCHEDULES", "NEWEST USE", "IN THE RING", "VERDICT")
            table(columns, map(self._row, self.ids))
        else:
            say("  no codec has keys, and no payload was encrypted with one that the codecs know of")
        self._print_needed_by()
        self._print_gaps()
        for line in self._advice():
            say(f"  {line}")

    def _row(self, key: str) -> tuple[str | Text, ...]:
        use = self.found.keys.get(key, KeyUse())
        known = self.ring.get(key)
        verdict = self.verdict(key)
        return (
            key,
            f"{use.payloads:,}",
            f"{use.holders['workflow']:,}",
            f"{use.holders['schedule']:,}",
            f"{use.newest:%Y-%m-%d %H:%M} UTC" if use.newest else "-",
            use_of(known.key, known.codec) if known else "no",
            {"can be retired": good, "missing": bad}.get(verdict, str)(verdict),
        )

    def _print_needed_by(self) -> None:
        """Name what needs the key that was asked for, and keys that stand in the way of nothing else."""
        for key in self.ids:
            use = self.found.keys.get(key)
            if use is None or not use.examples or (self.key is None and self.verdict(key) == "it writes"):
                continue
            more = use.holders.total() - len(use.examples)
            say(heading(f"What needs the key {printable(key)}"))
            for holder in use.examples:
                say(f"  {_named(holder)}")
            if more:
                say(f"  and {more:,} more")

    def _print_gaps(self) -> None:
        if self.found.complete:
            return
        say(heading("Not complete: no key can be retired by this"))
        if not self.found.ended:
            say("  reading was interrupted")
        for what, gap in self.found.gaps.items():
            count = f": {gap.count:,}" if gap.count else ""
            say(f"  {printable(what)}{count}")
            if gap.holder:
                say(f"    for instance in {_named(gap.holder)}")
            if gap.why:
                say(f"    {printable(gap.why)}")

    def _advice(self) -> list[str]:
        verdicts = {self.verdict(key) for key in self.ids}
        lines = []
        if "can be retired" in verdicts:
            lines.append(
                "A key can be retired when no process writes with it any more, and nothing outside of these "
                "namespaces needs it: see --help."
            )
        if "missing" in verdicts:
            lines.append("Payloads whose key is missing here cannot be read: add the key to the ring's keys.")
        if "no such key" in verdicts:
            known = ", ".join(map(printable, self.ring)) or "none"
            lines.append(
                f"No payload names this key, and it is not in the ring (there: {known}). Is the id right?"
            )
        return lines


def _named(holder: Holder) -> str:
    run = f", run {holder.run_id}" if holder.run_id else ""
    running = " (running)" if holder.running else ""
    return f"{holder.kind} {printable(holder.id)}{run} in {holder.namespace}{running}"


def _holder_as_json(holder: Holder) -> dict[str, Any]:
    return {
        "kind": holder.kind,
        "namespace": holder.namespace,
        "id": holder.id,
        "run_id": holder.run_id or None,
        "running": holder.running,
    }
