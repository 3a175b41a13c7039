"""`temporal-payloads inspect`: the payloads of a workflow's history."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from temporalio.api.common.v1 import Payload
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.history.v1 import History
from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.exports import read_file, say_payload
from temporal_payloads._cli.inspection_report import (
    payload_as_json,
    print_payloads,
    print_rows,
    print_totals,
    print_wrong,
    status_of,
    totals_as_json,
)
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import complain, counted, heading, printable, say, say_json
from temporal_payloads._cli.progress import telling_progress
from temporal_payloads._cli.temporal import (
    DEFAULT_NAMESPACE,
    Address,
    Connection,
    Namespace,
    TemporalConfig,
    TemporalProfile,
    TemporalUnreachableError,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._operate.holders import Holder, held_by, run_of
from temporal_payloads._operate.inspection.exported import messages_of, workflow_id_of
from temporal_payloads._operate.inspection.following import followed
from temporal_payloads._operate.inspection.inspection import Inspected, Inspector, Totals, placed
from temporal_payloads._operate.inspection.saving import INDEX, Folder
from temporal_payloads._operate.inspection.values import value_of
from temporal_payloads._settings.settings import without_cache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporal_payloads._operate.holders import Held

EPILOG = """\
The table has, for each payload: the event and the field that it stands in; its
layers, outermost first, with the keys of those that are encrypted; its bytes in
the history and in the store; the driver and the key that its reference names;
and its state:
  inline          it stands in the history, and can be read
  intact          so it is in its store: its hash was verified
  missing         the store does not have it
  damaged         the store has something else under its key
  rejected        the reference leads outside of what its driver is made for
  unknown driver  no driver of the name that was recorded is configured
  undecodable     a codec or a key is missing, or does not fit
  unreachable     the store does not answer, or refuses

For a workflow that runs it also shows what no event has yet: heartbeats and failures of activities
that are tried again. --follow shows events alone, as they come, and goes on with the run that a run
is continued as. What --save writes is decoded, so nobody else may read the files.

Exit status:
  0 every payload can be read, 1 one cannot be, 2 the command line or the
  settings are wrong, 3 Temporal or a store cannot be reached, or there is no
  such workflow

--json prints:
  version, ok, workflow, payloads, totals, shown, saved, error, problems
  workflow: namespace, id, run_id, type, status (or null)
  payloads: number, event_id, event, time, field, state, why, inline_bytes,
    reference, layers, encoding, message_type, bytes
  payloads.reference: driver, claim, key, bytes, layers (or null)
  payloads.reference.layers: codec, encoding, key, bytes (with the layer)
  payloads.layers: codec, encoding, key, bytes (with the layer)
  totals: payloads, inline_bytes, references, stored, stored_bytes, bytes,
    states
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)

shown is the value that --show asks for, saved the folder of --save. With --follow each
payload is a line of its own, as in payloads.

Examples:
  temporal-payloads inspect order-4711
  temporal-payloads inspect order-4711 --show 3 | jq .
  temporal-payloads inspect order-4711 --save payloads-of-4711
  temporal-payloads inspect --history exported.json --namespace orders
"""


def run(
    workflow_id: Annotated[
        str | None, typer.Argument(metavar="WORKFLOW_ID", help="The workflow; its latest run.")
    ] = None,
    *,
    run_id: Annotated[str | None, typer.Option(metavar="ID", help="Another run of it.")] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A history exported by temporal workflow show --output json, instead."
        ),
    ] = None,
    show: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Print payload N of the table, decoded.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Write each payload, decoded, into a file, and {INDEX}."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show payloads as they come, until the workflow ends.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    namespace: Namespace = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Show the payloads of a workflow, layer by layer, and whether each can be read.

    Reads the history, takes every codec off each payload, and fetches what references lead to, so that
    what the table says is there has been read and verified.
    """
    settings = settings_asked_for(config, profile)
    found = _Found()
    interrupted = False
    with errors_in_document(as_json, **found.parts()):
        _require_sense(workflow_id, run_id=run_id, history=history, show=show, save=save, follow=follow)
        assembly = build(without_cache(settings))
        connection = None if history else connection_asked_for(address, temporal_config, temporal_profile)
        exported = _exported(history) if history else None
        try:
            inspection = _Inspection(assembly, found, show=show, save=save, follows=follow, as_json=as_json)
        except OSError as error:
            raise UnfinishedError(f"cannot write into {save}: {error.strerror or error}") from error
        try:
            with telling_progress(lambda: f"read {counted(found.totals.payloads, 'payload')} ..."):
                if connection is None:
                    asyncio.run(inspection.of_export(exported or History(), namespace or DEFAULT_NAMESPACE))
                else:
                    name = namespaces_asked_for(namespace and [namespace], connection)[0]
                    asyncio.run(inspection.of_workflow(connection, name, workflow_id or "", run_id or ""))
        except KeyboardInterrupt:
            interrupted = True
        except RPCError as error:
            raise _not_given(error, workflow_id, run_id) from error
        except OSError as error:
            raise UnfinishedError(f"cannot write into {save}: {error.strerror or error}") from error
    status = ExitStatus.INTERRUPTED if interrupted else status_of(found.totals)
    if show is not None and found.shown is None and not interrupted and status is ExitStatus.FINE:
        with errors_in_document(as_json, **found.parts()):
            raise WrongUseError(f"--show {show}: there are {counted(found.seen, 'payload')}")
    _end(inspection, status)
    return status


@dataclass
class _Found:
    """What was found up to now."""

    workflow: Holder | None = None
    payloads: list[Inspected] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    shown: Payload | None = None
    saved: Path | None = None
    seen: int = 0
    """Payloads that were passed by on the way to the one that is shown."""

    def parts(self) -> dict[str, Any]:
        """Return the parts of the document."""
        run = self.workflow
        return {
            "workflow": run
            and {
                "namespace": run.namespace,
                "id": run.id,
                "run_id": run.run_id,
                "type": run.type,
                "status": run.status,
            },
            "payloads": [payload_as_json(one) for one in self.payloads],
            "totals": totals_as_json(self.totals),
            "shown": None if self.shown is None else value_of(self.shown),
            "saved": None if self.saved is None else str(self.saved),
        }


class _Inspection:
    def __init__(
        self,
        assembly: Assembly,
        found: _Found,
        *,
        show: int | None,
        save: Path | None,
        follows: bool,
        as_json: bool,
    ) -> None:
        self.found = found
        self.as_json = as_json
        self.show = show
        self.follows = follows
        self._assembly = assembly
        self._folder = Folder(save) if save else None
        self._files: dict[int, str] = {}

    async def of_workflow(
        self, connection: Connection, namespace: str, workflow_id: str, run_id: str
    ) -> None:
        """Look at the payloads of a workflow.

        Raises:
            TemporalUnreachableError: The server cannot be used.
            RPCError: It does not give the history.
            OSError: A file cannot be written.
        """
        [client] = await connect(connection, [namespace])
        run = self.found.workflow = await run_of(client, workflow_id, run_id)
        if not self.as_json and self.show is None:
            what = f"{run.type}, {run.status.replace('_', ' ').lower()}"
            say(heading(f"Payloads of {printable(run.id)}"), printable(f", run {run.run_id} ({what})"))
        if self.follows:
            await self._follow(followed(client, run.id, run.run_id), run)
        else:
            await self._read(held_by(client, run), run.namespace, run.id)

    async def of_export(self, history: History, namespace: str) -> None:
        """Look at the payloads of an exported history."""
        await self._read(messages_of(history), namespace, workflow_id_of(history))

    async def _read(self, messages: AsyncGenerator[Held, None], namespace: str, workflow_id: str) -> None:
        inspector = self._inspector(namespace, workflow_id)
        async with aclosing(placed(messages)) as payloads:
            if self.show is not None:
                async for one, payload in payloads:
                    self.found.seen = one.number
                    if one.number == self.show:
                        self._note(await inspector.look_at(one, payload))
                        return
                return
            async with aclosing(inspector.inspect(payloads)) as inspected:
                async for one in inspected:
                    self._note(one)
        if self._folder is not None:
            self.found.saved = self._folder.path
            files = [
                payload_as_json(one) | {"file": self._files.get(one.number)} for one in self.found.payloads
            ]
            self._folder.write_index({"payloads": files})

    async def _follow(self, messages: AsyncGenerator[Held, None], run: Holder) -> None:
        inspector = self._inspector(run.namespace, run.id)
        async with aclosing(placed(messages)) as payloads:
            async for one, payload in payloads:
                await inspector.look_at(one, payload)
                self.found.totals.add(one)
                if self.as_json:
                    say(json.dumps(payload_as_json(one)))
                else:
                    print_rows([one], titles=False)
                    if not one.well:
                        print_wrong(one)

    def _note(self, one: Inspected) -> None:
        self.found.payloads.append(one)
        self.found.totals.add(one)

    def _inspector(self, namespace: str, workflow_id: str) -> Inspector:
        external = self._assembly.converter.external_storage
        return Inspector(
            self._assembly.codecs.chain,
            external.drivers if external else (),
            namespace,
            workflow_id,
            concurrency=self._assembly.settings.storage.concurrency,
            take=None if self.show is None and self._folder is None else self._take,
        )

    async def _take(self, one: Inspected, payload: Payload) -> None:
        if self._folder is not None:
            self._files[one.number] = await self._folder.take(one, payload)
        if one.number == self.show:
            self.found.shown = payload


def _end(inspection: _Inspection, status: ExitStatus) -> None:
    """Print what was found."""
    found = inspection.found
    if inspection.follows:
        if not inspection.as_json:
            print_totals(found.totals)
    elif inspection.as_json:
        say_json(document(ok=status is ExitStatus.FINE, **found.parts()))
    elif found.shown is not None:
        say_payload(found.shown)
    elif inspection.show is not None:
        for one in found.payloads:
            complain(f"payload {one.number} is {one.state}: {printable(one.why)}")
    else:
        print_payloads(found.payloads)
        print_totals(found.totals)
        if found.saved:
            say(f"  saved in {found.saved}; {INDEX} says what is what")
    if status is ExitStatus.INTERRUPTED:
        complain("interrupted: this is what was read until then")


def _not_given(
    error: RPCError, workflow_id: str | None, run_id: str | None
) -> UnfinishedError | WrongUseError:
    if error.status is RPCStatusCode.INVALID_ARGUMENT and run_id:
        return WrongUseError(f"--run-id {run_id!r} is no id of a run: {error.message}")
    if error.status is not RPCStatusCode.NOT_FOUND:
        return TemporalUnreachableError(f"the Temporal server does not give the history: {error.message}")
    details = error.grpc_status.details
    why = error.message.rstrip(".")
    if any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in details):
        return UnfinishedError(f"{why}. --namespace names another")
    return UnfinishedError(
        f"there is no such run of the workflow {workflow_id!r}: {why}. It may have been deleted, or be "
        "in another namespace (--namespace)"
    )


def _exported(file: Path) -> History:
    exported = read_file(file)
    if not isinstance(exported, History):
        raise WrongUseError(f"{file} is no history; temporal-payloads decode reads payloads")
    return exported


def _require_sense(
    workflow_id: str | None,
    *,
    run_id: str | None,
    history: Path | None,
    show: int | None,
    save: Path | None,
    follow: bool,
) -> None:
    if (workflow_id is None) == (history is None):
        raise WrongUseError("give a WORKFLOW_ID or --history FILE, and not both")
    if run_id and history:
        raise WrongUseError("--run-id goes with a WORKFLOW_ID")
    if follow and (history or show or save):
        raise WrongUseError("--follow goes with a WORKFLOW_ID, and not with --show or --save")
    if show and save:
        raise WrongUseError("give --show or --save, and not both")
