"""The headline: whole order batches, by how many orders, how many at once, which store, and whose worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from local_servers import start_temporal
from order_batch.orders import make_orders
from temporalio.converter import DataConverter

from benchmarks.harness import Config, Line, Report, duration
from benchmarks.servers import Servers
from benchmarks.whole.batches import connect
from benchmarks.whole.cells import Budget, Cell, Ground, Row, measure
from benchmarks.whole.contestants import CONTESTANTS
from benchmarks.whole.stores import open_stores

STORES = ("s3", "redis")
ORDERS = (1, 200, 400, 2_000)
AT_ONCE = (1, 10, 50)
HEADLINE = Cell("s3", 400, 10)
MADE_UP = replace(HEADLINE, makes_up=True)
MOST_ORDERS = max(ORDERS)

FULL = {
    "s3": Budget(warm=3, cold=8, longest=25),
    # What another store changes shows in fewer rounds.
    "redis": Budget(warm=2, most_rounds=2, cold=6, longest=20),
}
HEADLINE_BUDGET = Budget(least_rounds=3)
QUICK = Budget(shortest=0, warm=0, cold=0)


async def run(config: Config, servers: Servers) -> Report:
    """Measure every cell that time allows."""
    rows: list[Row] = []
    with start_temporal(servers.directory / "whole") as server, open_stores(servers) as stores:
        ground = Ground(server.address, await connect(server.address), servers.directory)
        for cell, contestants, budget in _plan(config):
            estimates: dict[str, float | None] = {}
            for name in contestants:
                estimate = _seconds_each(rows, cell, name)
                if reason := _reason(rows, cell, name, estimate, budget):
                    rows.append(Row(cell, name, reason))
                else:
                    estimates[name] = estimate
            if estimates:
                print(f"{cell.store}:{cell.orders}:{cell.at_once}", end=" ", flush=True)
                rows += await measure(cell, estimates, budget, stores[cell.store], ground)
    return Report(
        _lines(rows),
        tables={"whole": [asdict(row) for row in rows], "settings": _settings(), "sizes": _sizes()},
    )


def _plan(config: Config) -> Iterator[tuple[Cell, list[str], Budget]]:
    everybody = list(CONTESTANTS)
    if config.quick:
        yield HEADLINE, ["peer", "ours"], QUICK
        return
    for store in STORES:
        # The plain SDK has no store, so it is the same beside each.
        contestants = [name for name in everybody if name != "plain" or store == STORES[0]]
        for orders in ORDERS:
            for at_once in AT_ONCE:
                cell = Cell(store, orders, at_once)
                yield cell, contestants, HEADLINE_BUDGET if cell == HEADLINE else FULL[store]
    yield MADE_UP, ["peer", "ours"], FULL["s3"]


def _seconds_each(rows: list[Row], cell: Cell, contestant: str) -> float | None:
    """How long a batch took with fewer of them at once."""
    known = [
        1 / row.warm.rate
        for row in rows
        if row.warm and row.contestant == contestant and _but_for_at_once(row.cell) == _but_for_at_once(cell)
    ]
    return known[-1] if known else None


def _but_for_at_once(cell: Cell) -> Cell:
    return replace(cell, at_once=0, makes_up=False)


def _reason(
    rows: list[Row], cell: Cell, contestant: str, estimate: float | None, budget: Budget
) -> str | None:
    """Why a contestant does not take part."""
    for row in rows:
        same = row.contestant == contestant and _but_for_at_once(row.cell) == _but_for_at_once(cell)
        if same and _failed(row) and row.cell.at_once <= cell.at_once:
            return f"{row.reason}, with {row.cell.at_once} at once"
    if estimate and estimate * cell.at_once > budget.longest:
        return f"not measured: a round takes about {estimate * cell.at_once:.0f} s"
    return None


def _lines(rows: list[Row]) -> list[Line]:
    lines = []
    for cell, more in ((HEADLINE, ""), (MADE_UP, ", orders made up by the activity")):
        what = f"order batches of {cell.orders}, {cell.at_once} at once, to S3{more}"
        peer, ours = (_row(rows, cell, name) for name in ("peer", "ours"))
        if not (peer and ours and peer.warm and ours.warm):
            continue
        wanted = 4 if cell == HEADLINE else 1
        faster, best = ours.warm.rate / peer.warm.rate, ours.warm.best_rate / peer.warm.best_rate
        lines.append(
            Line(
                what,
                f"{peer.warm.rate:.2f}/s",
                f"{ours.warm.rate:.2f}/s",
                faster,
                f"{wanted} times" if wanted > 1 else "no slower",
                faster >= wanted,
                best,
            )
        )
        less, best = peer.warm.cpu / ours.warm.cpu, peer.warm.best_cpu / ours.warm.best_cpu
        lines.append(
            Line(
                f"{what}: processor time each",
                duration(peer.warm.cpu),
                duration(ours.warm.cpu),
                less,
                "at most a quarter" if wanted == 4 else "no more",
                less >= wanted,
                best,
            )
        )
    return [*lines, *_large(rows)]


def _large(rows: list[Row]) -> list[Line]:
    """Does a workflow of many orders keep the deadlock detector quiet."""
    told: dict[str, str] = {}
    quiet: dict[str, bool] = {}
    for name in ("peer", "ours"):
        some = [row for row in rows if row.contestant == name and row.cell.orders == MOST_ORDERS]
        if not some:
            return []
        fails = any(_failed(row) for row in some)
        warnings, timeouts = sum(row.warnings for row in some), sum(row.timeouts for row in some)
        told[name] = f"{warnings} warnings, {timeouts} timeouts{'; fails' if fails else ''}"
        quiet[name] = not (fails or warnings or timeouts)
    return [
        Line(
            f"order batches of {MOST_ORDERS:,}: deadlock warnings, workflow task timeouts",
            told["peer"],
            told["ours"],
            None,
            "none",
            quiet["ours"],
        )
    ]


def _failed(row: Row) -> bool:
    return bool(row.reason and row.reason.startswith("fails"))


def _row(rows: list[Row], cell: Cell, contestant: str) -> Row | None:
    return next((row for row in rows if row.cell == cell and row.contestant == contestant), None)


def _sizes() -> list[dict[str, int]]:
    """The bytes of JSON that a batch takes, each way."""
    to_payloads = DataConverter.default.payload_converter.to_payloads
    return [
        {"orders": orders, "bytes": len(to_payloads([make_orders("benchmark", orders)])[0].data)}
        for orders in ORDERS
    ]


def _settings() -> list[dict[str, str]]:
    return [
        {
            "contestant": name,
            "title": contestant.title,
            "store": store,
            "settings": contestant.settings(store),
        }
        for name, contestant in CONTESTANTS.items()
        for store in STORES
    ]
