"""`temporal-payloads keys`: the key ring, and what still needs which key."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.codecs_found import FoundCodec, found_codecs, print_keys
from temporal_payloads._cli.keys_report import KeysReport
from temporal_payloads._cli.options import settings_asked_for
from temporal_payloads._cli.output import ALL_WELL, INTERRUPTED, UNREACHABLE, complain, say, telling_progress
from temporal_payloads._cli.temporal import (
    TemporalUnreachableError,
    connect,
    connection_asked_for,
    namespaces_asked_for,
    temporal_options,
)
from temporal_payloads._operate.keys_in_use import KeyScan, KeysInUse
from temporal_payloads._operate.payload_keys import PayloadKeys
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from temporalio.envconfig import ClientConnectConfig

    from temporal_payloads._settings.settings import PayloadSettings

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
        type=_limit,
        default=10,
        metavar="N",
        help="how many workflows and schedules are named for a key; by default 10",
    )
    temporal_options(parser)
    parser.set_defaults(run=run, wrong=parser.error)


def _limit(text: str) -> int:
    limit = int(text)
    if limit < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return limit


def run(arguments: argparse.Namespace) -> int:
    """List the keys, or count what needs them."""
    in_use = arguments.in_use or arguments.key is not None
    asks_temporal = (*("query", "address", "namespace", "temporal_config", "temporal_profile"),)
    for option in asks_temporal:
        if getattr(arguments, option) and not in_use:
            arguments.wrong(f"--{option.replace('_', '-')} needs --in-use or --key")
    settings = settings_asked_for(arguments)
    assembly = build(_without_cache(settings) if in_use else settings)
    codecs = found_codecs(assembly)
    if in_use:
        return _in_use(arguments, assembly, codecs)
    if arguments.json:
        say(json.dumps({"codecs": [codec.as_json() for codec in codecs if codec.keys]}, indent=2))
    elif any(codec.keys for codec in codecs):
        print_keys(codecs)
    else:
        say("No codec has keys.")
    return ALL_WELL


def _without_cache(settings: PayloadSettings) -> PayloadSettings:
    """Return the settings without a cache: what is read once must not push out what workers read again."""
    off = settings.storage.cache.model_copy(update={"max_size": 0, "dir": None})
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"cache": off})})


def _in_use(arguments: argparse.Namespace, assembly: Assembly, codecs: list[FoundCodec]) -> int:
    config = connection_asked_for(arguments)
    namespaces = namespaces_asked_for(arguments, config)
    found = KeysInUse()
    report = KeysReport(codecs, found, namespaces, query=arguments.query, key=arguments.key)
    interrupted = False
    try:
        with telling_progress(report.progress):
            asyncio.run(_read(assembly, config, namespaces, found, arguments))
    except KeyboardInterrupt:
        interrupted = True
    except (TemporalUnreachableError, StorageError) as error:
        complain(getattr(error, "message", "") or str(error))
        return UNREACHABLE
    if arguments.json:
        say(json.dumps(report.as_json(), indent=2))
    else:
        report.print()
    if interrupted:
        complain("interrupted: the counts are of what was read until then")
        return INTERRUPTED
    return ALL_WELL if report.all_well else UNREACHABLE


async def _read(
    assembly: Assembly,
    config: ClientConnectConfig,
    namespaces: list[str],
    found: KeysInUse,
    arguments: Any,
) -> None:
    storage = assembly.settings.storage
    clients = await connect(config, namespaces)
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
