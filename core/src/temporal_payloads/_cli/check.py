"""`temporal-payloads check`: are the settings right, and do the stores answer?"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.assembly import Assembly, assemble
from temporal_payloads._cli.output import (
    ALL_WELL,
    CONFIGURATION_WRONG,
    UNREACHABLE,
    bad,
    good,
    heading,
    say,
    table,
)
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._settings.models import INLINE
from temporal_payloads._settings.settings import PayloadSettings

if TYPE_CHECKING:
    from temporal_payloads._settings.models import Route
    from temporal_payloads._storage.managed_driver import ManagedDriver

_DESCRIPTION = """\
Loads the settings, opens each storage driver, and asks its store whether it is there and lets us in.
Nothing is stored.
"""
_EPILOG = """\
exit status: 0 all is well, 1 a store cannot be used, 2 the settings are wrong

examples:
  temporal-payloads check
  temporal-payloads check --config /etc/temporal-payloads.toml --profile prod
  temporal-payloads check --json | jq '.drivers[] | select(.error)'
"""


@dataclass(frozen=True)
class _Driver:
    """What was found out about a driver."""

    key: str
    name: str
    type: str
    retrieve_only: bool
    seconds: float
    error: str | None


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], settings: argparse.ArgumentParser
) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check",
        parents=[settings],
        help="check the settings, and that every store answers",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found."""
    try:
        assembly = assemble(PayloadSettings.load(arguments.config, arguments.profile))
    except ConfigurationError as error:
        if not arguments.json:
            raise
        problems = [asdict(problem) for problem in error.problems]
        say(json.dumps({"ok": False, "problems": problems}, indent=2))
        return CONFIGURATION_WRONG
    drivers = asyncio.run(_check(assembly))
    if arguments.json:
        say(json.dumps(_as_json(assembly, drivers), indent=2))
    else:
        _print(assembly, drivers)
    return UNREACHABLE if any(driver.error for driver in drivers) else ALL_WELL


async def _check(assembly: Assembly) -> list[_Driver]:
    return list(await asyncio.gather(*(_check_one(assembly, key, d) for key, d in assembly.drivers.items())))


async def _check_one(assembly: Assembly, key: str, driver: ManagedDriver) -> _Driver:
    table = assembly.settings.storage.drivers.get(key)
    start = time.monotonic()
    error: str | None = None
    try:
        async with driver.kept_open(check=True):
            pass
    except Exception as failure:  # noqa: BLE001  # a driver may raise anything
        error = str(failure)
    return _Driver(
        key=key,
        name=driver.name(),
        type=driver.type(),
        retrieve_only=table is not None and table.retrieve_only,
        seconds=round(time.monotonic() - start, 3),
        error=error,
    )


def _as_json(assembly: Assembly, drivers: list[_Driver]) -> dict[str, Any]:
    storage = assembly.settings.storage
    return {
        "ok": not any(driver.error for driver in drivers),
        "codecs": list(assembly.settings.codecs),
        "drivers": [asdict(driver) for driver in drivers],
        "routes": [route.model_dump(mode="json", exclude_defaults=True) for route in storage.routes],
        "threshold": int(storage.threshold),
        "problems": [],
    }


def _print(assembly: Assembly, drivers: list[_Driver]) -> None:
    storage = assembly.settings.storage
    say(heading("Codecs"))
    say("  " + (" -> ".join(assembly.settings.codecs) or "none: payloads stay as they are"))
    say(heading("Drivers"))
    rows = [("KEY", "RECORDED AS", "TYPE", "USE", "STORE")]
    for driver in drivers:
        use = "retrieve only" if driver.retrieve_only else "store and retrieve"
        state = bad(driver.error) if driver.error else good(f"answers ({driver.seconds * 1000:.0f} ms)")
        rows.append((driver.key, driver.name, driver.type, use, state))
    say(table(rows) if drivers else "  none: every payload stays in the history")
    if drivers:
        say(heading(f"Routes, of payloads from {int(storage.threshold):,} bytes on"))
        for route in storage.routes:
            say(f"  {_conditions(route)} -> {route.driver}")
        say(f"  {'everything else' if storage.routes else 'everything'} -> {_default(assembly)}")


def _conditions(route: Route) -> str:
    conditions = route.model_dump(mode="json", exclude_defaults=True, exclude={"driver"})
    parts = [
        f"{name} {', '.join(value) if isinstance(value, list | tuple) else f'{value:,}'}"
        for name, value in conditions.items()
    ]
    return " and ".join(parts) or "everything"


def _default(assembly: Assembly) -> str:
    storage = assembly.settings.storage
    writable = [key for key, table in storage.drivers.items() if not table.retrieve_only]
    return storage.driver or (writable[0] if len(writable) == 1 else INLINE)
