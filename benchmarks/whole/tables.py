"""The whole in words and tables, from a run's results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Results = dict[str, Any]
Row = dict[str, Any]

STORES = {"s3": "S3", "redis": "Redis"}
SHORT = {
    "plain": "plain SDK",
    "peer": "with the sample's codec and drivers (peer)",
    "no converter": "ours without its converter",
    "ours": "ours",
}


def claim(results: Results) -> str:
    """The README's sentence: the headline cell, warm."""
    peer, ours = _headline(results, "peer")["warm"], _headline(results, "ours")["warm"]
    cell = _headline(results, "ours")["cell"]
    size, distance = _size(results, cell["orders"]), results["machine"]["round_trip_ms"]
    return (
        f"Measured end to end (batches of {cell['orders']} orders, {size} each way, {cell['at_once']} at "
        f"once, one worker, S3\n{distance:.0f} ms away; what the activities themselves do comes on top):\n"
        f"**{_rate(ours['rate'])} batches a second instead of {_rate(peer['rate'])}** with the plain SDK and "
        "the published sample's\n"
        f"codec, {ours['rate'] / peer['rate']:.1f} times as many, for {_time(ours['cpu'])} of processor time "
        f"each instead of {_time(peer['cpu'])}.\n"
        f"(These are medians; between the best rounds of both it is {_best_ratio(results)} times, for the "
        "peer's\nrate drops whenever the SDK's deadlock detector steps in.)\n"
    )


def _best_ratio(results: Results) -> str:
    # The first line is the headline's: the parts come after the whole.
    return f"{results['lines'][0]['best_ratio']:.1f}"


def headline(results: Results) -> str:
    """Every number of orders and of batches at once with the first store, warm."""
    rows = [row for row in results["tables"]["whole"] if not row["cell"]["makes_up"]]
    parts = []
    for store in dict.fromkeys(row["cell"]["store"] for row in rows):
        some = [row for row in rows if row["cell"]["store"] == store]
        names = list(dict.fromkeys(row["contestant"] for row in some))
        head = ["orders", "at once", *(SHORT[name] for name in names), "times the peer"]
        head += ["processor time each", "median latency", "peak memory"]
        body = []
        for orders, at_once in dict.fromkeys((row["cell"]["orders"], row["cell"]["at_once"]) for row in some):
            cell = {
                row["contestant"]: row
                for row in some
                if (row["cell"]["orders"], row["cell"]["at_once"]) == (orders, at_once)
            }
            body.append(
                [f"{orders:,}", str(at_once), *(_brief(cell[name]) for name in names), *_ratios(cell)]
            )
        parts.append(
            f"**Batches a second, {STORES[store]}, warm** (pairs are ours : peer):\n\n{_table(head, body)}"
        )
    return "\n\n".join([*parts, _reasons(rows)])


def cells(results: Results) -> str:
    """Every cell in full."""
    parts = []
    rows = results["tables"]["whole"]
    for store in dict.fromkeys(row["cell"]["store"] for row in rows):
        head = [
            "orders",
            "at once",
            "whose",
            "",
            "batches a second",
            "best",
            "processor time each",
            "latency",
        ]
        head += ["p95", "peak memory", "requests each", "warnings, timeouts", "batches in rounds"]
        body: list[list[str]] = []
        for row in rows:
            if row["cell"]["store"] == store:
                body += _in_full(row)
        parts.append(f"## {STORES[store]}\n\n{_table(head, body)}")
    return "\n\n".join(parts) + "\n"


def replays(results: Results) -> str:
    """The replays, both side by side."""
    head = ["payloads", "whose", "seconds", "best", "processor time", "memory", "requests", "rounds"]
    body = [
        [
            f"{row['payloads']:,}",
            row["contestant"],
            f"{row['seconds']:.2f}",
            f"{row['best']:.2f}",
            _time(row["cpu"]),
            _megabytes(row["memory"]),
            _requests(row["requests"]),
            str(row["rounds"]),
        ]
        for row in results["tables"]["replays"]
    ]
    return _table(head, body) + "\n"


def settings(results: Results) -> str:
    """What each contestant is made of."""
    parts = []
    for row in results["tables"]["settings"]:
        if row["store"] == "s3":
            # `DataConverter` is only mentioned: these are no programs.
            language = "toml" if row["contestant"] in ("no converter", "ours") else ""
            parts.append(
                f"{row['title'][0].upper()}{row['title'][1:]}:\n\n```{language}\n{row['settings'].strip()}\n```\n"
            )
    return "\n".join(parts)


def _headline(results: Results, contestant: str) -> Row:
    of = {"store": "s3", "orders": 400, "at_once": 10, "makes_up": False}
    [row] = [
        row for row in results["tables"]["whole"] if row["cell"] == of and row["contestant"] == contestant
    ]
    return dict(row)


def _size(results: Results, orders: int) -> str:
    [row] = [row for row in results["tables"]["sizes"] if row["orders"] == orders]
    return f"{row['bytes'] / 1e6:.1f} MB"


def _brief(row: Row) -> str:
    return _rate(row["warm"]["rate"]) if row["warm"] else row["reason"].partition(":")[0]


def _ratios(cell: dict[str, Row]) -> list[str]:
    peer, ours = cell["peer"]["warm"], cell["ours"]["warm"]
    if not ours:
        return [""] * 4
    mine = [_time(ours["cpu"]), _time(ours["median"]), _megabytes(cell["ours"]["peak"])]
    if not peer:
        return ["", *(f"{each} : -" for each in mine)]
    theirs = [_time(peer["cpu"]), _time(peer["median"]), _megabytes(cell["peer"]["peak"])]
    both = (f"{one} : {other}" for one, other in zip(mine, theirs, strict=True))
    return [f"{ours['rate'] / peer['rate']:.1f}", *both]


def _reasons(rows: Iterable[Row]) -> str:
    """Why there is no figure, once each."""
    told: dict[str, list[str]] = {}
    for row in rows:
        kind, _, why = (row["reason"] or "").partition(": ")
        if kind == "fails":
            cell = row["cell"]
            where = f"{SHORT[row['contestant']]}, {cell['orders']:,} orders, {STORES[cell['store']]}"
            told.setdefault(why, []).append(where)
    lines = [f"- fails ({'; '.join(dict.fromkeys(places))}): {why}." for why, places in told.items()]
    if any((row["reason"] or "").startswith("not measured") for row in rows):
        lines.append("- not measured: one round would have taken too long.")
    return "\n".join(lines) + "\n"


def _in_full(row: Row) -> Iterable[list[str]]:
    cell = row["cell"]
    whose = f"{row['contestant']}{', orders made up' if cell['makes_up'] else ''}"
    place = [f"{cell['orders']:,}", str(cell["at_once"]), whose]
    trouble = f"{row['warnings']}, {row['timeouts']}"
    if row["reason"]:
        yield [*place, row["reason"], *[""] * 7, trouble if row["idle"] else "", ""]
    for state in ("cold", "warm"):
        if figures := row[state]:
            yield [
                *place,
                state,
                _rate(figures["rate"]),
                _rate(figures["best_rate"]),
                _time(figures["cpu"]),
                _time(figures["median"]),
                _time(figures["p95"]),
                _megabytes(row["peak"]) if state == "warm" else "",
                _requests(figures["requests"]),
                trouble if state == "warm" else "",
                f"{figures['batches']} in {figures['rounds']}",
            ]


def _table(head: list[str], body: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def _requests(requests: dict[str, float]) -> str:
    told = [
        f"{count:,.0f} {request}" if count >= 10 else f"{count:.2g} {request}"
        for request, count in sorted(requests.items())
        if count
    ]
    return ", ".join(told) or "none"
