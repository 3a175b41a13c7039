"""`temporal-payloads check`: are the settings right, and do the stores answer?"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.options import settings_asked_for
from temporal_payloads._cli.output import (
    ALL_WELL,
    CONFIGURATION_WRONG,
    UNREACHABLE,
    bad,
    good,
    heading,
    say,
    table,
    waiting_for,
    warn,
)
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._settings.models import INLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from temporal_payloads._errors import Problem
    from temporal_payloads._settings.models import Route, StorageSettings
    from temporal_payloads._settings.settings import PayloadSettings
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
    error: dict[str, str] | None
    """Its `type` and `message`."""


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
    settings = settings_asked_for(arguments)
    if not arguments.json:
        _print_settings(settings)
    try:
        assembly = build(settings)
    except ConfigurationError as error:
        if not arguments.json:
            raise
        say(json.dumps(_as_json(settings, None, [], error.problems), indent=2))
        return CONFIGURATION_WRONG
    if arguments.json:
        drivers = asyncio.run(_check(assembly, lambda _: None))
        say(json.dumps(_as_json(settings, assembly, drivers), indent=2))
    else:
        _print_payload_converter(assembly)
        _print_codecs(settings)
        say(heading("Drivers"))
        with waiting_for(assembly.drivers) as answered:
            drivers = asyncio.run(_check(assembly, answered))
        _print_drivers(settings, drivers)
    return UNREACHABLE if any(driver.error for driver in drivers) else ALL_WELL


async def _check(assembly: Assembly, answered: Callable[[str], None]) -> list[_Driver]:
    checks = (_check_one(assembly, key, driver, answered) for key, driver in assembly.drivers.items())
    return list(await asyncio.gather(*checks))


async def _check_one(
    assembly: Assembly, key: str, driver: ManagedDriver, answered: Callable[[str], None]
) -> _Driver:
    table = assembly.settings.storage.drivers.get(key)
    start = time.monotonic()
    error: dict[str, str] | None = None
    try:
        async with driver.kept_open(check=True):
            pass
    except Exception as failure:  # noqa: BLE001  # a driver may raise anything
        error = {"type": type(failure).__name__, "message": getattr(failure, "message", "") or str(failure)}
    answered(key)
    return _Driver(
        key=key,
        name=driver.name(),
        type=driver.type(),
        retrieve_only=table is not None and table.retrieve_only,
        seconds=round(time.monotonic() - start, 3),
        error=error,
    )


def _as_json(
    settings: PayloadSettings,
    assembly: Assembly | None,
    drivers: list[_Driver],
    problems: Sequence[Problem] = (),
) -> dict[str, Any]:
    """Return the document. It has the same keys whatever is wrong, so that programs need not ask first."""
    sources, storage = settings.sources, settings.storage
    return {
        "ok": not problems and not any(driver.error for driver in drivers),
        "settings": {
            "file": str(sources.file) if sources.file else None,
            "file_named_by": sources.file_named_by,
            "profile": sources.profile,
            "profile_chosen_by": sources.profile_chosen_by,
            "variables": list(sources.variables),
            "warnings": sources.warnings(),
        },
        "payload_converter": {
            "name": settings.payload_converter,
            "class": _payload_converter_class(assembly) if assembly else None,
            "sandbox_passthrough": list(assembly.sandbox_passthrough) if assembly else [],
        },
        "codecs": list(settings.codecs),
        "drivers": [asdict(driver) for driver in drivers],
        "routes": [route.model_dump(mode="json", exclude_defaults=True) for route in storage.routes],
        "threshold": int(storage.threshold),
        "problems": [asdict(problem) for problem in problems],
    }


def _print_settings(settings: PayloadSettings) -> None:
    sources = settings.sources
    say(heading("Settings"))
    rows = [
        ("file", sources.described_file),
        ("profile", sources.described_profile),
        ("variables", sources.described_variables),
    ]
    say(table(rows))
    for warning in sources.warnings():
        warn(warning)


def _print_payload_converter(assembly: Assembly) -> None:
    say(heading("Payload converter"))
    name, modules = assembly.settings.payload_converter, assembly.sandbox_passthrough
    say(f"  {name} ({_payload_converter_class(assembly)})" if name else "  the SDK's own")
    if modules:
        say(f"  passed through the workflow sandbox: {', '.join(modules)}")


def _payload_converter_class(assembly: Assembly) -> str:
    converter = assembly.converter.payload_converter_class
    return f"{converter.__module__}.{converter.__qualname__}"


def _print_codecs(settings: PayloadSettings) -> None:
    say(heading("Codecs"))
    say("  " + (" -> ".join(settings.codecs) or "none: payloads stay as they are"))


def _print_drivers(settings: PayloadSettings, drivers: list[_Driver]) -> None:
    storage = settings.storage
    rows = [("KEY", "RECORDED AS", "TYPE", "USE", "STORE")]
    for driver in drivers:
        use = "retrieve only" if driver.retrieve_only else "store and retrieve"
        answers = good(f"answers ({driver.seconds * 1000:.0f} ms)")
        state = bad(driver.error["message"]) if driver.error else answers
        rows.append((driver.key, driver.name, driver.type, use, state))
    say(table(rows) if drivers else "  none: every payload stays in the history")
    if drivers:
        say(heading(f"Routes, of payloads from {int(storage.threshold):,} bytes on"))
        for route in storage.routes:
            say(f"  {_conditions(route)} -> {route.driver}")
        say(f"  {'everything else' if storage.routes else 'everything'} -> {_default(storage)}")


def _conditions(route: Route) -> str:
    conditions = route.model_dump(mode="json", exclude_defaults=True, exclude={"driver"})
    parts = [
        f"{name} {', '.join(value) if isinstance(value, list | tuple) else f'{value:,}'}"
        for name, value in conditions.items()
    ]
    return " and ".join(parts) or "everything"


def _default(storage: StorageSettings) -> str:
    writable = [key for key, table in storage.drivers.items() if not table.retrieve_only]
    return storage.driver or (writable[0] if len(writable) == 1 else INLINE)
