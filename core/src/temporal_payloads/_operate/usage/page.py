"""What was counted as one HTML page with plots. It asks nothing of anybody, and runs no script."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

from temporal_payloads._operate.units import UNITS, in_units
from temporal_payloads._operate.usage.counts import DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from temporal_payloads._operate.usage.counts import Group, StoreCounts, Tally

_MOST_ROWS = 25
"""Rows of a plot with a row for each namespace or type."""
_PLOT_WIDTH, _PLOT_HEIGHT = 900, 170
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --muted: #5d6b82; --line: #dfe4ec; --paper: #fff;
  --card: #f6f8fb; --bar: #3b6fd4; --track: #e6ebf4; --warn: #b4541a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --muted: #9aa7bd; --line: #2c3547;
  --paper: #131822; --card: #1b2230; --bar: #6f9cf5; --track: #263046; --warn: #f0a06a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 3rem 0 .75rem; }
h3 { font-size: .95rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .muted { color: var(--muted); } .warn { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--muted); font-size: .8rem;
  padding: .2rem .8rem .2rem 0; }
td { padding: .28rem .8rem .28rem 0; border-top: 1px solid var(--line); vertical-align: middle; }
td.name { overflow-wrap: anywhere; } .number { text-align: right; white-space: nowrap; width: 6.5rem; }
.bar { width: 34%; padding-right: 0; }
@media (max-width: 40rem) { .bar { display: none; } .number { width: auto; } }
.track { background: var(--track); border-radius: .25rem; height: .8rem; overflow: hidden; }
.track i { display: block; height: 100%; background: var(--bar); border-radius: .25rem; min-width: 2px; }
.plot { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .75rem .75rem .25rem; }
svg { display: block; width: 100%; height: auto; } svg rect { fill: var(--bar); }
svg text { fill: var(--muted); font: 11px system-ui, sans-serif; } svg line { stroke: var(--line); }
"""


def _power_of_two(bits: int) -> str:
    unit, rest = divmod(bits, 10)
    return f"{1 << rest} {UNITS[unit - 1]}"


def page(stores: Sequence[StoreCounts], namespaces: Sequence[str], now: datetime) -> str:
    """Return the page.

    Args:
        stores: What was counted.
        namespaces: Whose payloads were looked for.
        now: When.
    """
    payloads = sum(one.total.payloads for one in stores)
    size = sum(one.total.bytes for one in stores)
    body = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><meta name=referrer content=no-referrer>",
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Stored payloads, {now:%Y-%m-%d}</title><style>{_STYLE}</style><main>",
        (
            f"<h1>Stored payloads</h1><p class=muted>{now:%Y-%m-%d %H:%M} UTC. Looked for: "
            f"{escape(', '.join(namespaces) or 'no namespace')}, and payloads of none."
        ),
        _tiles([(f"{payloads:,}", "payloads"), (in_units(size), "stored"), (f"{len(stores):,}", "stores")]),
        *(part for one in stores for part in _store(one, now)),
        "</main></html>",
    ]
    return "\n".join(body)


def _store(counts: StoreCounts, now: datetime) -> Iterator[str]:
    total = counts.total
    yield f"<h2>{escape(counts.key)}</h2>"
    if counts.error:
        yield f"<p class=warn>Not listed to its end: {escape(counts.error['message'])}"
    again = counts.duplicates.counted()
    about = "" if again.share == 1 else "about "
    tiles = [
        (f"{total.payloads:,}", "payloads"),
        (in_units(total.bytes), "stored"),
        (in_units(total.bytes / total.payloads) if total.payloads else "-", "a payload, on average"),
        (f"{about}{in_units(again.bytes)}", f"there once more ({about}{again.payloads:,} payloads)"),
    ]
    if counts.aside.payloads:
        tiles.append((in_units(counts.aside.bytes), f"put aside ({counts.aside.payloads:,} payloads)"))
    if counts.others:
        tiles.append((f"{counts.others:,}", "things beside them that no driver has written"))
    yield _tiles(tiles)
    if not total.payloads:
        return
    namespaces = [
        ("(none)" if name is None else name, tally) for name, tally in counts.by_namespace().items()
    ]
    yield _rows("By namespace", "namespace", namespaces, total)
    yield _rows(
        "By type", "namespace and type", [(_told(group), tally) for group, tally in counts.by_type()], total
    )
    yield _rows("By age", "age", list(counts.by_age().items()), total)
    if counts.days:
        days = [(now - timedelta(days=back)).date() for back in range(DAYS - 1, -1, -1)]
        columns = [(f"{day:%Y-%m-%d}", counts.days.get(day)) for day in days]
        marks = {index: f"{day:%b %d}" for index, day in enumerate(days) if index % 15 == 0}
        yield _columns(f"Stored on each of the last {DAYS} days, as far as it is there still", columns, marks)
    first, last = min(counts.sizes), max(counts.sizes)
    ends = range(first, last + 1)
    columns = [(f"under {_power_of_two(bits)}", counts.sizes.get(bits)) for bits in ends]
    marks = {index: f"< {_power_of_two(bits)}" for index, bits in enumerate(ends) if index % 2 == 0}
    yield _columns("By size", columns, marks, of_payloads=True)


def _told(group: Group) -> str:
    namespace = "(none)" if group.namespace is None else group.namespace
    return f"{namespace} · {group.kind} {group.type}" if group.kind else f"{namespace} · type not in the key"


def _tiles(tiles: Iterable[tuple[str, str]]) -> str:
    inside = "".join(f"<div class=tile><b>{escape(number)}</b>{escape(what)}</div>" for number, what in tiles)
    return f"<div class=tiles>{inside}</div>"


def _rows(title: str, what: str, rows: Sequence[tuple[str, Tally]], total: Tally) -> str:
    """Return a table in which each row has a bar."""
    lines = [
        (
            f"<h3>{title}</h3><table><tr><th>{what}<th class=number>payloads<th class=number>bytes"
            "<th class=number>share<th class=bar>"
        )
    ]
    for name, tally in rows[:_MOST_ROWS]:
        share = tally.bytes / total.bytes if total.bytes else 0
        lines.append(
            f"<tr><td class=name>{escape(name)}<td class=number>{tally.payloads:,}"
            f"<td class=number>{in_units(tally.bytes)}<td class=number>{share:.1%}"
            f"<td class=bar><div class=track><i style='width:{share:.2%}'></i></div>"
        )
    rest = rows[_MOST_ROWS:]
    if rest:
        payloads, size = sum(tally.payloads for _, tally in rest), sum(tally.bytes for _, tally in rest)
        share = size / total.bytes if total.bytes else 0
        lines.append(
            f"<tr class=muted><td class=name>{len(rest):,} more<td class=number>{payloads:,}"
            f"<td class=number>{in_units(size)}<td class=number>{share:.1%}<td class=bar>"
        )
    return "\n".join([*lines, "</table>"])


def _columns(
    title: str,
    columns: Sequence[tuple[str, Tally | None]],
    marks: dict[int, str],
    *,
    of_payloads: bool = False,
) -> str:
    """Return a plot with a column for each value."""
    values = [0 if tally is None else tally.payloads if of_payloads else tally.bytes for _, tally in columns]
    highest = max(values)
    width = _PLOT_WIDTH / len(columns)
    parts = [
        (
            f"<h3>{escape(title)}</h3><div class=plot><svg viewBox='0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT + 24}' "
            "role=img "
            f"aria-label='{escape(title)}'>"
        ),
        f"<text x=0 y=11>{f'{highest:,} payloads' if of_payloads else in_units(highest)}</text>",
        f"<line x1=0 y1={_PLOT_HEIGHT} x2={_PLOT_WIDTH} y2={_PLOT_HEIGHT} />",
    ]
    for index, ((name, tally), value) in enumerate(zip(columns, values, strict=True)):
        if value and tally is not None:
            height = max(1.0, (_PLOT_HEIGHT - 18) * value / highest)
            told = f"{name}: {tally.payloads:,} payloads, {in_units(tally.bytes)}"
            parts.append(
                f"<rect x={index * width + width * 0.1:.1f} y={_PLOT_HEIGHT - height:.1f} "
                f"width={width * 0.8:.1f} height={height:.1f} rx=1.5><title>{escape(told)}</title></rect>"
            )
        if index in marks:
            parts.append(f"<text x={index * width:.1f} y={_PLOT_HEIGHT + 16}>{escape(marks[index])}</text>")
    return "".join([*parts, "</svg></div>"])
