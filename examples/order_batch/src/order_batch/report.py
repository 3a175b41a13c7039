"""What a person, or with `--json` a machine, is shown."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from order_batch.history import PayloadRow
from order_batch.starter import Batch

_WIDTH_OF_A_FILE = 100

_out = Console()
if not _out.is_terminal:
    _out.width = _WIDTH_OF_A_FILE
_log = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Tell what is going on, on standard error."""
    _log.print(message, soft_wrap=True)


def complain(message: str) -> None:
    """Tell what went wrong, on standard error."""
    # Not as markup: an error may well contain square brackets.
    _log.print(message, style="red", markup=False, soft_wrap=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Tell what is being done, with a spinner on a terminal."""
    say(f"{what} ...")
    with _log.status(""):
        yield


def show(batch: Batch, *, as_json: bool) -> None:
    """Print the batch's summary and where its payloads are, on standard output."""
    if as_json:
        print(json.dumps(asdict(batch), indent=2))
        return
    summary = batch.summary
    print(f"\nBatch {summary.batch_id}: {summary.order_count:,} orders processed")
    print(f"  Total shipping cost: ${summary.total_shipping_cost_cents / 100:,.2f}")
    print(f"  Total weight:        {summary.total_weight_grams / 1000:,.1f} kg")
    print(f"  Avg delivery:        {summary.average_delivery_days:.1f} days")
    _show_payloads(batch.payloads)


def _show_payloads(rows: Sequence[PayloadRow]) -> None:
    stored = list(dict.fromkeys((row.driver, row.key) for row in rows if row.driver))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Event")
    table.add_column("Payload")
    table.add_column("Bytes", justify="right")
    table.add_column("Where")
    for row in rows:
        # Keys are long: each stands below the table, once.
        where = f"{row.driver} \\[{stored.index((row.driver, row.key)) + 1}]" if row.driver else "inline"
        table.add_row(f"{row.event_id} {row.event}", row.what, f"{row.size:,}", where)
    _out.print(table)
    for number, (driver, key) in enumerate(stored, start=1):
        print(f"  [{number}] {driver}: {key}")
    in_history = sum(row.size_in_history for row in rows)
    print(f"  The history holds {in_history:,} of these {sum(row.size for row in rows):,} bytes.", flush=True)
