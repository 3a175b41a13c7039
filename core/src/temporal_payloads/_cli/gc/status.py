"""`temporal-payloads gc status`."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_payloads._build.assembly import build
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import bad, doubtful, good, heading, printable, say, say_json, table
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._operate.collection.ledger import Ledger
from temporal_payloads._operate.collection.manifest import Manifest
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.status import Status, read_status
from temporal_payloads._operate.collection.stores import NoStateError, stores_open
from temporal_payloads._operate.units import in_units
from temporal_payloads._settings.settings import without_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._settings.settings import PayloadSettings

EPILOG = """\
Exit status:
  0 it is shown, 2 the settings are wrong, or there is no such collection, 3 the
  collector's files cannot be read

--json prints:
  version, ok, collections, aside, error, problems
  collections: id, purpose, began, ended (null: it was interrupted, or runs),
    complete, changes
  collections.changes: driver, action, outcome, payloads
  aside: driver, collection, payloads, bytes, since, due
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)

--manifest ID prints lines of JSON: first what was decided on a payload (time,
payload, driver, action, rule, why, claim, namespace, size, stored, tag), later
what came of it (time, payload, action, outcome). What something refers to is
not in it.

Examples:
  temporal-payloads gc status
  temporal-payloads gc status --manifest 20261130T062500.417Z-3f9a00c41b7e
"""


def run(
    *,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Print what this collection has decided, and why, as lines of JSON."),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
) -> ExitStatus:
    """Show the collections, and what is aside since when.

    What is aside was counted by the last collection that came to its end. It is due when a collection that
    begins then may delete it: gc.grace after it was put aside.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, collections=[], aside=[]):
        if manifest is not None:
            asyncio.run(_print_manifest(settings, manifest))
            return ExitStatus.FINE
        status = asyncio.run(_read(settings))
    if as_json:
        say_json(document(ok=True, **status.as_json()))
    else:
        _print(status)
    return ExitStatus.FINE


@asynccontextmanager
async def _files(settings: PayloadSettings) -> AsyncIterator[Files]:
    assembly = build(without_cache(settings))
    try:
        async with assembly.drivers_open(), stores_open(assembly) as stores:
            yield stores.files
    except NoStateError as error:
        raise ConfigurationError(Problem(str(error), "gc.state")) from error
    except DamagedStateError as error:
        raise UnfinishedError(str(error)) from error


async def _read(settings: PayloadSettings) -> Status:
    async with _files(settings) as files:
        return await read_status(files)


async def _print_manifest(settings: PayloadSettings, collection: str) -> None:
    async with _files(settings) as files:
        # By the names that there are: what is asked for may be no name of a file at all.
        if collection not in await Ledger(files).begun():
            raise WrongUseError(f"there is no collection {collection!r}; see temporal-payloads gc status")
        async with aclosing(Manifest(files, collection).lines()) as lines:
            async for line in lines:
                say(json.dumps(line))


def _print(status: Status) -> None:
    document = status.as_json()
    if not document["collections"]:
        say("There was no collection yet.")
        return
    say(heading("Collections"))
    table(
        ("ID", "PURPOSE", "BEGAN", "", "CHANGES"),
        [
            (one["id"], one["purpose"], one["began"][:19], _state(one), _changes(one["changes"]))
            for one in document["collections"]
        ],
        below=("CHANGES", "BEGAN"),
    )
    say()
    say(heading("Aside"))
    if not document["aside"]:
        say("  Nothing.")
        return
    table(
        ("DRIVER", "PAYLOADS", "SIZE", "PUT ASIDE BY", "SINCE", "DUE"),
        [
            (
                one["driver"],
                f"{one['payloads']:,}",
                in_units(one["bytes"]),
                one["collection"],
                (one["since"] or "?")[:19],
                (one["due"] or "?")[:19],
            )
            for one in document["aside"]
        ],
        right={"PAYLOADS", "SIZE"},
        below=("PUT ASIDE BY", "SINCE"),
    )


def _state(collection: dict[str, Any]) -> Any:
    if collection["ended"] is None:
        return doubtful("not ended")
    return good("complete") if collection["complete"] else bad("incomplete")


def _changes(changes: list[dict[str, Any]]) -> str:
    told = [f"{one['action'].replace('_', ' ')} {one['payloads']:,} {one['outcome']}" for one in changes]
    return printable(", ".join(told) or "-")
