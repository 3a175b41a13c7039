"""Payloads as `inspect` and `decode` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.output import bad, counted, heading, printable, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from temporal_payloads._operate.inspection.inspection import Inspected, Totals
    from temporal_payloads._operate.inspection.peeling import Layer

_COLUMNS = ("#", "EVENT", "FIELD", "LAYERS", "INLINE", "STORED", "DRIVER", "STATE", "KEY")
_BELOW = ("KEY", "LAYERS", "FIELD")


def status_of(totals: Totals) -> ExitStatus:
    """Return with which status a command ends that has seen them all."""
    if totals.states["unreachable"]:
        return ExitStatus.UNFINISHED
    well = totals.states["inline"] + totals.states["intact"]
    return ExitStatus.FINE if well == totals.payloads else ExitStatus.FOUND


def print_payloads(found: Sequence[Inspected]) -> None:
    """Print a table of them, and what is wrong with some."""
    print_rows(found)
    wrong = [one for one in found if not one.well]
    if wrong:
        say(heading("What cannot be read"))
        for one in wrong:
            print_wrong(one)


def print_rows(found: Sequence[Inspected], *, titles: bool = True) -> None:
    """Print the table alone."""
    rows = map(_row_of, found)
    table(_COLUMNS, rows, right={"#", "INLINE", "STORED"}, below=_BELOW, titles=titles)


def print_wrong(one: Inspected) -> None:
    """Print why a payload cannot be read."""
    say(f"  #{one.number} {event_of(one)} {printable(one.where)}: ", bad(one.state))
    say(f"    {printable(one.why)}")


def print_totals(totals: Totals) -> None:
    """Print what all of them are together."""
    say(
        f"  {counted(totals.payloads, 'payload')} of {counted(totals.bytes, 'byte')} once decoded; "
        f"{counted(totals.inline_bytes, 'byte')} in the history; {counted(totals.references, 'reference')} "
        f"to {counted(totals.stored, 'stored payload')} of {counted(totals.stored_bytes, 'byte')}"
    )
    wrong = {state: count for state, count in totals.states.items() if state not in ("inline", "intact")}
    if wrong:
        say("  ", bad(", ".join(f"{count:,} {state}" for state, count in sorted(wrong.items()))))


def _row_of(one: Inspected) -> tuple[str | Text, ...]:
    """Return the row of a payload."""
    reference = one.reference
    return (
        str(one.number),
        event_of(one),
        one.where,
        _layers_of(one),
        f"{one.inline_size:,}",
        f"{one.stored_size:,}" if reference else "-",
        reference.driver_name if reference else "-",
        one.state if one.well else bad(one.state),
        key_of(one) or "-",
    )


def event_of(one: Inspected) -> str:
    """Return the event that a payload stands in."""
    return one.event if one.event_id is None else f"{one.event_id} {one.event}"


def key_of(one: Inspected) -> str | None:
    """Return where in its store a payload lies, as its claim says."""
    claim = one.reference.claim.claim_data if one.reference else {}
    return next((claim[name] for name in ("key", "object_name", "object", "blob") if name in claim), None)


def _layers_of(one: Inspected) -> str:
    inside = [*map(_layer, one.layers), one.encoding or "no encoding"]
    around = f"reference in {', '.join(map(_layer, one.reference_layers))}; " if one.reference_layers else ""
    if not one.well and not one.layers:
        return f"{around}{one.encoding or '-'}"
    return around + ", ".join(inside)


def _layer(layer: Layer) -> str:
    return f"{layer.codec} ({layer.key})" if layer.key else layer.codec


def payload_as_json(one: Inspected) -> dict[str, Any]:
    """Return a payload for a program. It has the same keys whatever was found."""
    reference = one.reference
    return {
        "number": one.number,
        "event_id": one.event_id,
        "event": one.event,
        "time": one.time.isoformat() if one.time else None,
        "field": one.where,
        "state": one.state,
        "why": one.why or None,
        "inline_bytes": one.inline_size,
        "reference": {
            "driver": reference.driver_name,
            "claim": dict(reference.claim.claim_data),
            "key": key_of(one),
            "bytes": one.stored_size,
            "layers": [_layer_as_json(layer) for layer in one.reference_layers],
        }
        if reference
        else None,
        "layers": [_layer_as_json(layer) for layer in one.layers],
        "encoding": one.encoding,
        "message_type": one.message_type or None,
        "bytes": one.size,
    }


def _layer_as_json(layer: Layer) -> dict[str, Any]:
    return {"codec": layer.codec, "encoding": layer.encoding, "key": layer.key, "bytes": layer.size}


def totals_as_json(totals: Totals) -> dict[str, Any]:
    """Return the totals for a program."""
    return {
        "payloads": totals.payloads,
        "inline_bytes": totals.inline_bytes,
        "references": totals.references,
        "stored": totals.stored,
        "stored_bytes": totals.stored_bytes,
        "bytes": totals.bytes,
        "states": dict(totals.states),
    }
