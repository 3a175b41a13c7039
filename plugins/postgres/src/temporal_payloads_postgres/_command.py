"""`temporal-payloads postgres`: making and keeping the table. A driver never does either by itself."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import CommandContext, CommandPlugin, StorageMisconfiguredError

from temporal_payloads_postgres._table import Table

if TYPE_CHECKING:
    from temporal_payloads_postgres._settings import PostgresSettings

PATIENCE = timedelta(minutes=10)
"""For one statement of maintenance, instead of the driver's `timeout`."""

_HELP = """\
Makes the table of a PostgreSQL driver, and keeps it. The role that is configured needs the right to do so;
another one can be given for the occasion: TEMPORAL_PAYLOADS_STORAGE__DRIVERS__POSTGRES__URL (or ..__USER,
if there is no url) and TEMPORAL_PAYLOADS_STORAGE__DRIVERS__POSTGRES__PASSWORD.

exit status: 0, or 1 if the database cannot be used or the table cannot become what the settings say, 2 if the
settings are wrong
"""
_INIT_HELP = """\
Makes the schema and the table, or brings the table to the version and the ttl that are needed. If there is
nothing to do, nothing is done.
"""
_MAINTAIN_HELP = """\
For a driver with a ttl, to be run once a day: makes partitions for the days to come, and drops those in which
everything is older than the ttl. If it does not run, payloads are stored as ever, and none expires.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(title="what to do", dest="what", required=True, metavar="WHAT")
    for name, brief, text in (
        ("init", "make the table, or bring it up to date", _INIT_HELP),
        ("maintain", "make and drop the partitions of a table with a ttl", _MAINTAIN_HELP),
    ):
        command = what.add_parser(name, help=brief, description=text)
        command.add_argument("--driver", metavar="KEY", help="the driver's table, if there are several")
        command.add_argument(
            "--print",
            dest="dry",
            action="store_true",
            help="run nothing, and print the SQL that makes a new table (the database is not asked)"
            if name == "init"
            else "run nothing, and print the SQL",
        )


def _run(arguments: argparse.Namespace, context: CommandContext) -> int:
    key = _chosen(arguments.driver, context)
    settings: PostgresSettings = context.drivers[key]
    if arguments.what == "init" and arguments.dry:
        from temporal_payloads_postgres._maintenance import initial  # noqa: PLC0415  # imports psycopg

        _say_sql(initial(_table(settings), settings.ttl, datetime.now(UTC).date()), context)
        return 0
    statements = asyncio.run(_change(arguments, settings, f"storage.drivers.{key}"))
    if arguments.dry:
        _say_sql(statements, context)
    else:
        for statement in statements:
            context.say(statement)
        context.say(f"{settings.table}: {'done' if statements else 'nothing to do'}")
    return 0


def _chosen(driver: str | None, context: CommandContext) -> str:
    keys = list(context.drivers)
    if driver is None and len(keys) == 1:
        return keys[0]
    if driver not in keys:
        wanted = "Name one with --driver" if driver is None else f"There is no PostgreSQL driver {driver!r}"
        raise StorageMisconfiguredError(f"{wanted}: {', '.join(keys)}")
    return driver


async def _change(arguments: argparse.Namespace, settings: PostgresSettings, place: str) -> list[str]:
    from temporal_payloads_postgres._connect import open_connections  # noqa: PLC0415  # imports psycopg
    from temporal_payloads_postgres._maintenance import initialise, maintain  # noqa: PLC0415  # likewise

    patient = settings.model_copy(update={"timeout": PATIENCE, "pool_size": 1})
    async with open_connections(patient, place) as connections:
        if arguments.what == "init":
            return await initialise(connections, _table(settings), settings.ttl)
        if settings.ttl is None:
            raise StorageMisconfiguredError(
                f"{place}.ttl is not set: payloads are kept for ever, and there is nothing to maintain"
            )
        return await maintain(connections, _table(settings), settings.ttl, dry=arguments.dry)


def _table(settings: PostgresSettings) -> Table:
    return Table(*settings.schema_and_table, expires=settings.ttl is not None)


def _say_sql(statements: list[str], context: CommandContext) -> None:
    for statement in ["BEGIN", *statements, "COMMIT"] if statements else []:
        context.say(f"{statement};")


command = CommandPlugin(api_version=1, help=_HELP, driver_type="postgres", add_arguments=_arguments, run=_run)
