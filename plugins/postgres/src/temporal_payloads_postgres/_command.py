"""`temporal-payloads postgres`: making and keeping the table. A driver never does either by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from temporal_payloads.plugin import CommandContext, CommandPlugin
from typer import BadParameter, Option

from temporal_payloads_postgres._settings import PostgresSettings
from temporal_payloads_postgres._table import Table

PATIENCE = timedelta(minutes=10)
"""For one statement of maintenance, instead of the driver's `timeout`."""

_HELP = """\
Make the table of a PostgreSQL driver, and keep it.

The role that is configured needs the right to do so; another one can be given for the occasion:
TEMPORAL_PAYLOADS_STORAGE__DRIVERS__POSTGRES__URL (or ..__USER, if there is no url) and
TEMPORAL_PAYLOADS_STORAGE__DRIVERS__POSTGRES__PASSWORD.

Exit status:
  0 all is done, 2 the settings are wrong, 3 the database cannot be used or the
  table cannot become what the settings say
"""
_Driver = Annotated[str | None, Option(metavar="KEY", help="The driver's table, if there are several.")]


def _init(
    context: CommandContext,
    driver: _Driver = None,
    dry: Annotated[
        bool,
        Option(
            "--print",
            help="Run nothing, and print the SQL that makes a new table (the database is not asked).",
        ),
    ] = False,
) -> int:
    """Make the table, or bring it up to date.

    Makes the schema and the table, or brings the table to the version and the ttl that are needed. If there
    is nothing to do, nothing is done.
    """
    key, settings = _chosen(driver, context)
    if dry:
        from temporal_payloads_postgres._maintenance import initial  # noqa: PLC0415  # imports psycopg

        _say_sql(initial(_table(settings), settings.ttl, datetime.now(UTC).date()), context)
        return 0
    _say_done(asyncio.run(_make(settings, f"storage.drivers.{key}")), settings, context)
    return 0


def _maintain(
    context: CommandContext,
    driver: _Driver = None,
    dry: Annotated[bool, Option("--print", help="Run nothing, and print the SQL.")] = False,
) -> int:
    """Make and drop the partitions of a table with a ttl.

    For a driver with a ttl, to be run once a day: makes partitions for the days to come, and drops those in
    which everything is older than the ttl. If it does not run, payloads are stored as ever, and none expires.
    """
    key, settings = _chosen(driver, context)
    statements = asyncio.run(_keep(settings, f"storage.drivers.{key}", dry=dry))
    if dry:
        _say_sql(statements, context)
    else:
        _say_done(statements, settings, context)
    return 0


def _chosen(driver: str | None, context: CommandContext) -> tuple[str, PostgresSettings]:
    keys = list(context.drivers)
    if driver is None and len(keys) == 1:
        driver = keys[0]
    if driver not in keys:
        wanted = "name one" if driver is None else f"there is no PostgreSQL driver {driver!r}"
        raise BadParameter(f"{wanted}: {', '.join(keys)}", param_hint="--driver")
    return driver, context.drivers[driver]


async def _make(settings: PostgresSettings, place: str) -> list[str]:
    from temporal_payloads_postgres._connect import open_connections  # noqa: PLC0415  # imports psycopg
    from temporal_payloads_postgres._maintenance import initialise  # noqa: PLC0415  # likewise

    async with open_connections(_patient(settings), place) as connections:
        return await initialise(connections, _table(settings), settings.ttl)


async def _keep(settings: PostgresSettings, place: str, *, dry: bool) -> list[str]:
    from temporal_payloads_postgres._connect import open_connections  # noqa: PLC0415  # imports psycopg
    from temporal_payloads_postgres._maintenance import maintain  # noqa: PLC0415  # likewise

    if settings.ttl is None:
        raise BadParameter(
            "it is not set: payloads are kept for ever, and there is nothing to maintain",
            param_hint=f"{place}.ttl",
        )
    async with open_connections(_patient(settings), place) as connections:
        return await maintain(connections, _table(settings), settings.ttl, dry=dry)


def _patient(settings: PostgresSettings) -> PostgresSettings:
    return settings.model_copy(update={"timeout": PATIENCE, "pool_size": 1})


def _table(settings: PostgresSettings) -> Table:
    return Table(*settings.schema_and_table, expires=settings.ttl is not None)


def _say_sql(statements: list[str], context: CommandContext) -> None:
    for statement in ["BEGIN", *statements, "COMMIT"] if statements else []:
        context.say(f"{statement};")


def _say_done(statements: list[str], settings: PostgresSettings, context: CommandContext) -> None:
    for statement in statements:
        context.say(statement)
    context.say(f"{settings.table}: {'done' if statements else 'nothing to do'}")


command = CommandPlugin(
    api_version=1, help=_HELP, driver_type="postgres", run={"init": _init, "maintain": _maintain}
)
