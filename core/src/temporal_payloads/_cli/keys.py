"""`temporal-payloads keys`: the key ring, and what still needs which key."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.codecs_found import found_codecs, print_keys
from temporal_payloads._cli.document import document, errors_in_document, shown_error
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.keys_report import KeysReport
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import complain, say, say_json
from temporal_payloads._cli.progress import telling_progress
from temporal_payloads._cli.temporal import (
    Address,
    Connection,
    Namespaces,
    TemporalConfig,
    TemporalProfile,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._operate.keys_in_use import KeyScan, KeysInUse
from temporal_payloads._operate.payload_keys import PayloadKeys
from temporal_payloads._settings.settings import without_cache
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from temporal_payloads._settings.settings import PayloadSettings

WORKFLOWS_AT_ONCE = 8
"""Histories that are read at the same time: frontends limit the calls of a namespace."""

_PANEL = "What still needs a key"

EPILOG = """\
What --in-use does not see, and what needs a retired key all the same:
  - other namespaces, clusters and regions: name each --namespace, and run it
    against each cluster
  - archived histories, exported histories, backups
  - the last result that a schedule hands to its next run, if the run that made
    it is not retained
  - payloads outside of Temporal: files, queues, databases, messages that carry
    encoded payloads
  - what is written while it reads, and what visibility does not list yet. So a
    key must have stopped writing everywhere (temporal-payloads check --peer)
    for as long as the longest deployment takes, before it counts

A key in the hands of a key provider is found by its URI. Payloads are counted as often as they stand in
histories.

Exit status:
  keys           0, or 2 if the settings are wrong
  keys --in-use  0 everything was read, 1 something could not be read,
                 2 the settings are wrong, 3 Temporal or a store cannot be
                 reached, 130 interrupted
  keys --key ID  0 nothing needs the key, 1 something does or may do, or it
                 writes, or nobody knows it; 2, 3 and 130 as above

keys --json prints:
  version, ok, codecs, error (null), problems
  codecs: name, type, decode_only, role, encodings, keys, checked, error
  codecs.keys: id, source, active, writes_for, reads_for, fingerprint
  problems: message, place, origin (of each in the settings)

keys --in-use --json prints:
  version, ok, complete, namespaces, query, workflows, running, schedules,
    activities, nexus_operations, payloads, keys, gaps, error, problems
  keys: id, payloads, workflows, schedules, activities, nexus_operations,
    newest_use, in_ring, writes, verdict, needed_by
  keys.needed_by: kind, namespace, id, run_id, running
  gaps: what, count, why, example (or null)
  gaps.example: kind, namespace, id, run_id, running
  error: type, message (why Temporal or a store cannot be used, or null)
  problems: message, place, origin (of each in the settings)

To retire the key 2025-01, which nothing has written with for long:
  temporal-payloads keys --key 2025-01 --namespace orders &&
      echo "take it out of [codec.encryption.keys]"

Keep a copy of the key where backups are kept, for as long as they are.

Examples:
  temporal-payloads keys
  temporal-payloads keys --in-use
  temporal-payloads keys --in-use --namespace orders --namespace billing
  temporal-payloads keys --in-use --json | jq '.keys[] | {id, verdict}'
  temporal-payloads keys --in-use --query 'CloseTime is null'   nothing final
  temporal-payloads keys --key 2025-01 --limit 50
"""


def run(
    *,
    in_use: Annotated[
        bool,
        typer.Option(
            "--in-use", help="Read histories and schedules, and count by key.", rich_help_panel=_PANEL
        ),
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The same for this key alone, and name what needs it; implies --in-use.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="FILTER",
            help="Read only the workflows that match this list filter; then no key can be retired.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="How many workflows and schedules are named for a key.",
            rich_help_panel=_PANEL,
        ),
    ] = 10,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    namespaces: Namespaces = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """List the encryption keys, and what still needs them.

    Lists the keys of the codecs: which one writes, which are only read, and where each comes from.

    With --in-use it reads the histories of all workflows, those that run and those that are retained, the
    activities that wait or belong to no workflow, and the schedules, and counts for each key the payloads
    that it has encrypted, those in the stores as well: they are fetched and decoded with the settings. A key
    that nothing needs any more can be retired, if everything could be read.
    """
    if not in_use and key is None:
        asks_temporal = {
            "--query": query,
            "--address": address,
            "--namespace": namespaces,
            "--temporal-config": temporal_config,
            "--temporal-profile": temporal_profile,
        }
        with errors_in_document(as_json, codecs=[]):
            for option, value in asks_temporal.items():
                if value:
                    raise WrongUseError(f"{option} needs --in-use or --key")
        return _list(settings_asked_for(config, profile), as_json=as_json)
    settings = settings_asked_for(config, profile)
    report = KeysReport((), KeysInUse(), namespaces or (), query=query, key=key)
    with errors_in_document(as_json, **report.parts()):
        # What is read once must not push out of the cache what workers read again.
        assembly = build(without_cache(settings))
        connection = connection_asked_for(address, temporal_config, temporal_profile)
    named = namespaces_asked_for(namespaces, connection)
    report = replace(report, codecs=found_codecs(assembly), namespaces=named)
    return _in_use(assembly, connection, report, limit=limit, as_json=as_json)


def _list(settings: PayloadSettings, *, as_json: bool) -> ExitStatus:
    with errors_in_document(as_json, codecs=[]):
        codecs = [codec for codec in found_codecs(build(settings)) if codec.keys]
    if as_json:
        say_json(document(ok=True, codecs=[codec.as_json() for codec in codecs]))
    elif codecs:
        print_keys(codecs)
    else:
        say("No codec has keys.")
    return ExitStatus.FINE


def _in_use(
    assembly: Assembly, connection: Connection, report: KeysReport, *, limit: int, as_json: bool
) -> ExitStatus:
    interrupted = False
    try:
        with telling_progress(report.progress):
            asyncio.run(_read(assembly, connection, report, limit))
    except KeyboardInterrupt:
        interrupted = True
    except (UnfinishedError, StorageError) as failure:
        if not as_json:
            raise
        # With what was read until then.
        say_json(document(ok=False, error=shown_error(failure), **report.parts()))
        return ExitStatus.UNFINISHED
    if as_json:
        say_json(document(ok=report.all_well, **report.parts()))
    else:
        report.print()
    if interrupted:
        complain("interrupted: the counts are of what was read until then")
        return ExitStatus.INTERRUPTED
    return ExitStatus.FINE if report.all_well else ExitStatus.FOUND


async def _read(assembly: Assembly, connection: Connection, report: KeysReport, limit: int) -> None:
    storage = assembly.settings.storage
    clients = await connect(connection, report.namespaces)
    async with assembly.drivers_open():
        # A store that is down would be asked in vain for each of its payloads.
        await asyncio.gather(*(driver.check() for driver in assembly.drivers.values()))
        external = assembly.converter.external_storage
        payload_keys = PayloadKeys(
            assembly.reading_chain, external.drivers if external else (), concurrency=storage.concurrency
        )
        scan = KeyScan(payload_keys, report.found, concurrency=WORKFLOWS_AT_ONCE, examples=limit)
        for client in clients:
            await scan.read(client, report.query)
    report.found.ended = True
