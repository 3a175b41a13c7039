"""`temporal-payloads usage`: what is stored."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from temporalio.service import RPCError

from temporal_payloads._build.assembly import build
from temporal_payloads._cli.completion import driver_keys
from temporal_payloads._cli.document import document, errors_in_document, shown_error
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import (
    bad,
    complain,
    counted,
    heading,
    printable,
    say,
    say_json,
    table,
    warn,
)
from temporal_payloads._cli.progress import telling_progress
from temporal_payloads._cli.temporal import Address, TemporalConfig, TemporalIfThere, TemporalProfile
from temporal_payloads._operate.namespaces import namespaces_of_server, namespaces_of_settings
from temporal_payloads._operate.units import in_units
from temporal_payloads._operate.usage.counts import Group, StoreCounts, Tally
from temporal_payloads._operate.usage.listing import count_stores
from temporal_payloads._operate.usage.page import page
from temporal_payloads._operate.usage.report import store_as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from temporal_payloads._settings.settings import PayloadSettings
    from temporal_payloads._storage.managed_driver import ManagedDriver

EPILOG = """\
Nothing is read but listings: by prefix from S3, GCS and Azure (a thousand payloads a request), by SCAN from
Redis, by pages from a table. It can be interrupted, and shows what it has. While payloads are stored and
deleted meanwhile it may miss some; a Redis that grows or shrinks may show some twice.

Stores that are divided by namespace are asked for these namespaces: those that --namespace names; else those
of the Temporal server, if it can be reached, and those in storage.namespaces and gc.owners. Payloads of no
namespace are always counted. The type null is of payloads whose type was not known when they were stored.

Duplicates are payloads with equal bytes under several keys: what other workflows, or other runs of one, have
stored as well. Up to 131,072 different payloads in a store they are counted; beyond that they are estimated
from a sample of so many, and said to be (share is less than 1).

Exit status:
  0 all was counted
  2 the settings are wrong
  3 a store cannot be listed, or the page cannot be written

--json prints:
  version, ok, namespaces, drivers, error (or null), problems
  drivers: key, payloads, bytes, aside, others, duplicates, namespaces, types,
    ages, days, sizes, complete, error (or null)
  drivers.aside: payloads, bytes (of all, what gc has put aside)
  drivers.duplicates: payloads, bytes, share (what is there once more)
  drivers.namespaces: namespace, payloads, bytes
  drivers.types: namespace, kind, type, payloads, bytes
  drivers.ages: age, payloads, bytes
  drivers.days: day, payloads, bytes (of the last 90 days)
  drivers.sizes: under, payloads, bytes
  drivers.error: type, message
  error: type, message (why it could not be done)
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads usage
  temporal-payloads usage --driver s3 --namespace orders --namespace billing
  temporal-payloads usage --html usage.html
  temporal-payloads usage --json | jq '.drivers[] | {key, payloads, bytes}'
"""
_BAR = 24
"""Characters of the longest bar."""


def run(
    *,
    drivers: Annotated[
        list[str] | None,
        typer.Option(
            "--driver",
            metavar="KEY",
            help="The key of a driver's table; may be repeated. Else all.",
            autocompletion=driver_keys,
        ),
    ] = None,
    namespaces: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", metavar="NAME", help="A namespace to look for; may be repeated. Else all known."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="Types that are shown of each store, the largest first.")
    ] = 20,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a page with plots; no other file is needed."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Count what is stored, by namespace, type, age and driver.

    Lists what the stores have, and counts payloads and bytes, however many there are in the same memory. No
    payload is read.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, namespaces=namespaces or [], drivers=[]):
        assembly = build(settings)
        chosen = {key: assembly.drivers[key] for key in _chosen(drivers, assembly.drivers)}
        temporal = TemporalIfThere(address, None, temporal_config, temporal_profile)
    counts = {key: StoreCounts(key) for key in chosen}
    looked_for: list[str] = list(namespaces or ())

    async def count() -> None:
        if not namespaces:
            looked_for.extend(await _known_namespaces(settings, temporal))
        await count_stores(chosen, looked_for, counts)

    interrupted = False
    try:
        with telling_progress(lambda: _progress(counts)):
            asyncio.run(count())
    except KeyboardInterrupt:
        interrupted = True
    error = temporal.error
    if html is not None and not interrupted:
        error = _write(html, page(list(counts.values()), looked_for, datetime.now(UTC))) or error
    failed = error is not None or any(one.error for one in counts.values())
    if as_json:
        stores = [store_as_json(one) for one in counts.values()]
        ok = not failed and not interrupted
        say_json(document(ok=ok, error=error, namespaces=looked_for, drivers=stores))
    else:
        _print_all(counts, limit, error)
    if interrupted:
        complain("interrupted: the counts are of what was listed until then")
        return ExitStatus.INTERRUPTED
    return ExitStatus.UNFINISHED if failed else ExitStatus.FINE


def _write(file: Path, text: str) -> dict[str, str] | None:
    """Write a page, and return why it could not be."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        return shown_error(UnfinishedError(f"cannot write {file}: {error.strerror}"))
    return None


def _print_all(counts: Mapping[str, StoreCounts], limit: int, error: dict[str, str] | None) -> None:
    for one in counts.values():
        _print(one, limit)
    if not counts:
        say("No driver is configured: every payload stays in the history.")
    if error:
        complain(error["message"])


def _chosen(asked: Sequence[str] | None, known: Mapping[str, ManagedDriver]) -> list[str]:
    """Return the drivers that were asked for; by default all whose stores are used."""
    unknown = [key for key in asked or () if key not in known]
    if unknown:
        raise WrongUseError(
            f"there is no driver {unknown[0]!r} in the settings (but: {', '.join(known) or 'none'})"
        )
    return list(dict.fromkeys(asked or [key for key, driver in known.items() if not driver.off]))


async def _known_namespaces(settings: PayloadSettings, temporal: TemporalIfThere) -> list[str]:
    """Return the namespaces of the settings, and those of the server if it tells."""
    names = [*temporal.namespaces, *namespaces_of_settings(settings)]
    clients, why = await temporal.clients()
    if clients:
        try:
            names += await namespaces_of_server(clients[0])
        except RPCError as error:
            why = f"the Temporal server does not list its namespaces: {error.message}"
    if why is not None:
        names = list(dict.fromkeys(names))
        warn(f"{why}. Looked for are payloads of {', '.join(names)}, and of none; --namespace names others")
    return list(dict.fromkeys(names))


def _progress(counts: Mapping[str, StoreCounts]) -> str:
    payloads = sum(one.total.payloads for one in counts.values())
    size = sum(one.total.bytes for one in counts.values())
    return f"listing: {counted(payloads, 'payload')}, {in_units(size)} ..."


def _print(counts: StoreCounts, limit: int) -> None:
    total = counts.total
    say(heading(counts.key), f": {counted(total.payloads, 'payload')}, {in_units(total.bytes)}")
    if counts.error:
        say("  ", bad("not listed to its end:"), f" {printable(counts.error['message'])}")
    if not total.payloads:
        return
    again = counts.duplicates.counted()
    about = "" if again.share == 1 else "about "
    say(f"  duplicates: {about}{counted(again.payloads, 'payload')}, {about}{in_units(again.bytes)}")
    if counts.aside.payloads:
        say(f"  put aside: {counted(counts.aside.payloads, 'payload')}, {in_units(counts.aside.bytes)}")
    if counts.others:
        say(f"  beside them: {counted(counts.others, 'thing')} that no driver has written")
    namespaces = [((_named(name),), tally) for name, tally in counts.by_namespace().items()]
    _print_shares(("NAMESPACE",), namespaces, total)
    types = [((_named(group.namespace), *_told(group)), tally) for group, tally in counts.by_type()]
    _print_shares(("NAMESPACE", "STORED FOR", "TYPE"), types[:limit], total)
    if len(types) > limit:
        say(f"  and {counted(len(types) - limit, 'type')} more: --limit shows them")
    _print_shares(("AGE",), [((name,), tally) for name, tally in counts.by_age().items()], total)


def _print_shares(
    names: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Tally]], total: Tally
) -> None:
    columns = (*names, "PAYLOADS", "BYTES", "SHARE", "")
    cells = [
        (
            *cells,
            f"{tally.payloads:,}",
            in_units(tally.bytes),
            f"{tally.bytes / total.bytes:.1%}" if total.bytes else "-",
            _bar(tally.bytes, total.bytes),
        )
        for cells, tally in rows
    ]
    table(columns, cells, right={"PAYLOADS", "BYTES", "SHARE"})


def _bar(part: int, whole: int) -> str:
    blocks = "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    return blocks * round(_BAR * part / whole) if whole else ""


def _named(namespace: str | None) -> str:
    return "(none)" if namespace is None else namespace


def _told(group: Group) -> tuple[str, str]:
    return (group.kind, group.type or "") if group.kind else ("-", "-")
