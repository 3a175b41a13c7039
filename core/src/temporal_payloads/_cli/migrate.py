"""`temporal-payloads migrate`: payloads are moved to another store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from temporalio.client import Client
from temporalio.service import RPCError

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.completion import driver_keys
from temporal_payloads._cli.document import document, errors_in_document, shown_error
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.migration_report import print_report, progress_of
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for, size
from temporal_payloads._cli.output import complain, say_json
from temporal_payloads._cli.progress import telling_progress
from temporal_payloads._cli.temporal import (
    Address,
    Connection,
    Namespaces,
    TemporalConfig,
    TemporalProfile,
    TemporalUnreachableError,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._errors import message_of
from temporal_payloads._operate.collection.clusters import ClusterUnreachableError, connect_owners
from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.stores import NoStateError, stores_open
from temporal_payloads._operate.migration.migration import Migration
from temporal_payloads._operate.migration.move import Move, MoveRefusedError, move_between
from temporal_payloads._operate.migration.report import Report
from temporal_payloads._operate.throttle import Throttle, ThrottledService
from temporal_payloads._settings.settings import without_cache
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._codecs.chain import CodecChain

_PANEL = "How much of the stores it takes"

EPILOG = """\
Moving is five steps, each of which workflows do not notice:
  1  the table of the new driver everywhere, retrieve_only
  2  everywhere: the new driver writes, and the old one has moved_to = "NEW"
  3  temporal-payloads migrate --from OLD --to NEW, as often as you like
  4  when no process with the settings of step 1 is left, and gc.grace later:
     temporal-payloads migrate --from OLD --to NEW --verify
  5  off = true in the old driver's table; then the old store can go

It can be interrupted and run again: what was copied is not copied again, and histories of workflows
that have ended are read once. Payloads of the histories are read, not those of exports or backups.

Exit status:
  0  all that is needed by the namespaces that are named is in the new store
  1  something is not: it is missing or damaged, or the new store refuses it;
     or, with --verify, the settings still lead to the old store, or no store
     lists what references lead to that no driver follows
  2  the command line or the settings are wrong, or such a move cannot be
  3  something was not read, also a namespace of which --verify finds payloads
     in the old store; or Temporal or a store cannot be reached

--json prints:
  version, ok, source, destination, namespaces, complete, runs, runs_read,
    references, payloads, duplicates, copied, present, done, missing, damaged,
    refused, bytes, rejected, in_doubt, failures, gaps, findings, error,
    problems
  failures: outcome, driver, claim, namespace, sha256, size, why
  gaps: namespace, what, count, why, example (or null)
  gaps.example: kind, id, run_id
  error: type, message (why it could not be finished, or null)
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads migrate --from redis --to s3 --namespace orders
  temporal-payloads migrate --from redis --to s3 --rate 20MiB
  temporal-payloads migrate --from redis --to s3 --verify
"""


LEAST_RATE = 1024
"""Bytes a second: with less, a migration does not end."""


def _rate(text: str) -> int:
    rate = size(text)
    if rate < LEAST_RATE:
        raise ValueError(f"{text!r} is less than {LEAST_RATE} bytes a second")
    return rate


def run(
    *,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="KEY",
            help="The table of the driver whose payloads are moved.",
            autocompletion=driver_keys,
        ),
    ],
    destination: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="KEY",
            help="That of the driver that they are moved to.",
            autocompletion=driver_keys,
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Copy nothing: prove that nothing is needed from the old store.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="All that the old store lists, whether a history refers to it or not."),
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            parser=_rate,
            help="Bytes a second, read and written ones: 20MiB. At least 1KiB.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    requests: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="N",
            help="Requests a second. gc.requests_per_second bounds those to Temporal.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where it is kept what was read and copied; else gc.state says, or it is in a store.",
        ),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    namespaces: Namespaces = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Move payloads to another store, or prove that nothing is needed from the old one.

    Reads from the histories which payloads of a store are needed, and copies each of them once to another
    store, where the driver's setting moved_to makes that workers and codec servers find it. Each is verified
    there by its bytes. Nothing in the old store changes, and workflows go on meanwhile.

    The histories are those of each --namespace or, without any, of gc.owners.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, **Report(source, destination).parts()):
        if state is not None:
            gc = settings.gc.model_copy(update={"state": state})
            settings = settings.model_copy(update={"gc": gc})
        # What is read once must not push out of the cache what workers read again.
        assembly = build(without_cache(settings))
        connection = connection_asked_for(address, temporal_config, temporal_profile)
        try:
            move = move_between(assembly, source, destination, copies=not verify)
        except MoveRefusedError as error:
            raise WrongUseError(str(error)) from error
    asked = _Asked(
        assembly=assembly,
        move=move,
        connection=connection,
        names=namespaces or (),
        everything=everything,
        verifies=verify,
        requests=requests,
        rate=rate,
    )
    return _migrate(asked, as_json=as_json)


@dataclass
class _Asked:
    """What is to be done, and what was done up to now."""

    assembly: Assembly
    move: Move
    connection: Connection
    names: Sequence[str]
    everything: bool
    verifies: bool
    requests: float | None
    rate: int | None
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report(self.move.source_key, self.move.destination_key)

    async def do(self) -> None:
        """Do it.

        Raises:
            MoveRefusedError: It cannot be done.
            UnfinishedError: Temporal cannot be reached.
            StorageError: A store cannot be used.
        """
        async with self.assembly.drivers_open(), stores_open(self.assembly) as stores:
            namespaces = {} if self.everything else await self._namespaces(stores.chain)
            migration = Migration(
                self.assembly,
                stores,
                self.move,
                namespaces,
                listed=self._listed if self.everything else (),
                requests_per_second=self.requests,
                bytes_per_second=self.rate,
            )
            self.report = migration.report
            work = migration.verify if self.verifies else migration.copy
            await work(everything=self.everything)

    @property
    def source_is_off(self) -> bool:
        """Whether the settings do not use the old store any more."""
        return self.assembly.settings.storage.drivers[self.move.source_key].off

    @property
    def _listed(self) -> list[str]:
        """The namespaces whose payloads are listed. Nobody is asked about them."""
        owners = self.assembly.settings.gc.owners
        if owners and not self.names:
            return [name for table in owners for name in table.namespaces]
        return namespaces_asked_for(self.names, self.connection)

    async def _namespaces(self, chain: CodecChain) -> dict[str, Namespace]:
        settings = self.assembly.settings.gc
        if settings.owners and not self.names:
            try:
                found = await connect_owners(
                    settings.owners,
                    chain,
                    default=self.connection.config,
                    default_from=self.connection.address_from,
                    requests_per_second=settings.requests_per_second,
                )
            except ClusterUnreachableError as error:
                raise TemporalUnreachableError(str(error)) from error
        else:
            throttle = Throttle(settings.requests_per_second)
            clients = await connect(self.connection, namespaces_asked_for(self.names, self.connection))
            found = [
                Namespace(
                    Client(ThrottledService(client.service_client, throttle), namespace=client.namespace),
                    chain,
                )
                for client in clients
            ]
        try:
            return {(await namespace.owner()).key: namespace for namespace in found}
        except RPCError as error:
            raise TemporalUnreachableError(
                f"the Temporal server does not tell of its namespaces: {error}"
            ) from error


def _migrate(asked: _Asked, *, as_json: bool) -> ExitStatus:
    failure: Exception | None = None
    interrupted = False
    try:
        with telling_progress(lambda: progress_of(asked.report)):
            asyncio.run(asked.do())
    except KeyboardInterrupt:
        interrupted = True
    except (MoveRefusedError, NoStateError) as error:
        with errors_in_document(as_json, **asked.report.parts()):
            raise WrongUseError(str(error)) from error
    except (UnfinishedError, StorageError, DamagedStateError) as error:
        failure = error
    report = asked.report
    if as_json:
        error_shown = None if failure is None else shown_error(failure)
        say_json(document(ok=report.ok and failure is None, error=error_shown, **report.parts()))
    elif report.payloads or failure is None:
        print_report(report, verifies=asked.verifies, off=asked.source_is_off)
    if interrupted:
        complain("interrupted: run it again, and it goes on from here")
        return ExitStatus.INTERRUPTED
    if failure is not None:
        if not as_json:
            complain(message_of(failure))
        return ExitStatus.UNFINISHED
    if not report.complete:
        return ExitStatus.UNFINISHED
    return ExitStatus.FINE if report.ok else ExitStatus.FOUND
