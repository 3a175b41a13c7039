"""`temporal-payloads keys`: the key ring, and what still needs which key."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.codecs_found import FoundCodec, found_codecs, print_keys, shown_error
from temporal_payloads._cli.keys_report import KeysReport
from temporal_payloads._cli.options import settings_asked_for, whole_number
from temporal_payloads._cli.output import (
    ALL_WELL,
    CONFIGURATION_WRONG,
    INTERRUPTED,
    UNREACHABLE,
    complain,
    say,
    say_json,
    telling_progress,
)
from temporal_payloads._cli.temporal import (
    Connection,
    TemporalUnreachableError,
    connect,
    connection_asked_for,
    namespaces_asked_for,
    temporal_options,
)
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._operate.keys_in_use import KeyScan, KeysInUse
from temporal_payloads._operate.payload_keys import PayloadKeys
from temporal_payloads._settings.settings import without_cache
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._errors import Problem

WORKFLOWS_AT_ONCE = 8
"""Histories that are read at the same time: frontends limit the calls of a namespace."""

_DESCRIPTION = """\
Lists the keys of the codecs: which one writes, which are only read, and where each comes from.

With --in-use it reads the histories of all workflows, those that run and those that are retained, the
activities that wait or belong to no workflow, and the schedules, and counts for each key the payloads that it
has encrypted, those in the stores as well: they are fetched and decoded with the settings. A key that nothing
needs any more can be retired, if everything could be read.
"""
_EPILOG = """\
What --in-use does not see, and what needs a retired key all the same:
  - other namespaces, clusters and regions: name each --namespace, and run it against each cluster
  - archived histories, exported histories, backups
  - the last result that a schedule hands to its next run, if the run that made it is not retained
  - payloads outside of Temporal: files, queues, databases, messages that carry encoded payloads
  - what is written while it reads, and what visibility does not list yet. So a key must have stopped writing
    everywhere (temporal-payloads check --peer) for as long as the longest deployment takes, before it counts
A key in the hands of a key provider is found by its URI. Payloads are counted as often as they stand in
histories.

exit status:
  keys             0, or 2 if the settings are wrong
  keys --in-use    0 everything was read, 1 something could not be read, or Temporal or a store cannot be
                   reached, 2 the settings are wrong, 130 interrupted
  keys --key ID    0 nothing needs the key, 1 something does or may do, or it writes, or nobody knows it;
                   2 and 130 as above

--json prints a document with the same keys whatever is wrong. problems are those of the settings; error says
why Temporal or a store cannot be used, or is null:
  keys --json
    ok, codecs, problems
    codecs: name, type, decode_only, role, encodings, keys, checked, error
    codecs.keys: id, source, active, writes_for, reads_for, fingerprint
    problems: message, place, origin
  keys --in-use --json
    ok, complete, namespaces, query, workflows, running, schedules, activities, payloads, keys, gaps, error,
      problems
    keys: id, payloads, workflows, schedules, activities, newest_use, in_ring, writes, verdict, needed_by
    keys.needed_by: kind, namespace, id, run_id, running
    gaps: what, count, why, example (null, or as in needed_by)
    error: type, message
    problems: message, place, origin

To retire the key 2025-01, which no process has written with since the last rotation:
  temporal-payloads keys --key 2025-01 --namespace orders && echo "take it out of [codec.encryption.keys]"
Keep a copy of the key where backups are kept, for as long as they are.

examples:
  temporal-payloads keys
  temporal-payloads keys --in-use
  temporal-payloads keys --in-use --namespace orders --namespace billing --json | jq '.keys[] | {id, verdict}'
  temporal-payloads keys --in-use --query 'CloseTime is null'      a look at what runs: says nothing final
  temporal-payloads keys --key 2025-01 --limit 50
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], settings: argparse.ArgumentParser
) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "keys",
        parents=[settings],
        help="list the encryption keys, and what still needs them",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    group = parser.add_argument_group("what still needs a key")
    group.add_argument("--in-use", action="store_true", help="read histories and schedules, and count by key")
    group.add_argument(
        "--key", metavar="ID", help="the same for this key alone, and name what needs it; implies --in-use"
    )
    group.add_argument(
        "--query", help="read only the workflows that match this list filter; then no key can be retired"
    )
    group.add_argument(
        "--limit",
        type=whole_number(),
        default=10,
        metavar="N",
        help="how many workflows and schedules are named for a key; by default 10",
    )
    temporal_options(parser)
    parser.set_defaults(run=run, wrong=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """List the keys, or count what needs them."""
    in_use = arguments.in_use or arguments.key is not None
    asks_temporal = (*("query", "address", "namespace", "temporal_config", "temporal_profile"),)
    for option in asks_temporal:
        if getattr(arguments, option) and not in_use:
            arguments.wrong(f"--{option.replace('_', '-')} needs --in-use or --key")
    settings = settings_asked_for(arguments)
    try:
        # What is read once must not push out of the cache what workers read again.
        assembly = build(without_cache(settings) if in_use else settings)
        connection = connection_asked_for(arguments) if in_use else None
    except ConfigurationError as error:
        if not arguments.json:
            raise
        nothing = KeysReport((), KeysInUse(), arguments.namespace or (), query=arguments.query, key=None)
        say_json(nothing.as_json(problems=error.problems) if in_use else _as_json((), error.problems))
        return CONFIGURATION_WRONG
    codecs = found_codecs(assembly)
    if connection is not None:
        return _in_use(arguments, assembly, connection, codecs)
    if arguments.json:
        say_json(_as_json(codecs))
    elif any(codec.keys for codec in codecs):
        print_keys(codecs)
    else:
        say("No codec has keys.")
    return ALL_WELL


def _as_json(codecs: Sequence[FoundCodec], problems: Sequence[Problem] = ()) -> dict[str, Any]:
    """Return the document of the ring. It has the same keys whatever is wrong."""
    return {
        "ok": not problems,
        "codecs": [codec.as_json() for codec in codecs if codec.keys],
        "problems": [asdict(problem) for problem in problems],
    }


def _in_use(
    arguments: argparse.Namespace, assembly: Assembly, connection: Connection, codecs: list[FoundCodec]
) -> int:
    namespaces = namespaces_asked_for(arguments, connection)
    found = KeysInUse()
    report = KeysReport(codecs, found, namespaces, query=arguments.query, key=arguments.key)
    interrupted = False
    try:
        with telling_progress(report.progress):
            asyncio.run(_read(assembly, connection, namespaces, found, arguments))
    except KeyboardInterrupt:
        interrupted = True
    except (TemporalUnreachableError, StorageError) as failure:
        error = shown_error(failure)
        if arguments.json:
            say_json(report.as_json(error=error))
        else:
            complain(error["message"])
        return UNREACHABLE
    if arguments.json:
        say_json(report.as_json())
    else:
        report.print()
    if interrupted:
        complain("interrupted: the counts are of what was read until then")
        return INTERRUPTED
    return ALL_WELL if report.all_well else UNREACHABLE


async def _read(
    assembly: Assembly,
    connection: Connection,
    namespaces: list[str],
    found: KeysInUse,
    arguments: Any,
) -> None:
    storage = assembly.settings.storage
    clients = await connect(connection, namespaces)
    async with assembly.drivers_open():
        # A store that is down would be asked in vain for each of its payloads.
        await asyncio.gather(*(driver.check() for driver in assembly.drivers.values()))
        external = assembly.converter.external_storage
        payload_keys = PayloadKeys(
            assembly.codecs.chain, external.drivers if external else (), concurrency=storage.concurrency
        )
        scan = KeyScan(payload_keys, found, concurrency=WORKFLOWS_AT_ONCE, examples=arguments.limit)
        for client in clients:
            await scan.read(client, arguments.query)
    found.ended = True
