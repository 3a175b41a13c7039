"""`temporal-payloads plugins`: what is installed, and whether it can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from temporal_payloads._cli.document import document
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.options import Json
from temporal_payloads._cli.output import bad, good, say, say_json, table
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.commands import load_command, offered_commands
from temporal_payloads._plugins.kinds import KINDS
from temporal_payloads._plugins.registry import PluginRegistry

EPILOG = """\
Exit status:
  0, or 1 if --check found a plugin that cannot be used, or a name that two
  distributions offer

--json prints:
  version, ok, plugins, error (null), problems (none)
  plugins: kind, name, distribution, version, object, checked, error (or null)

checked is whether it was loaded; error says why it cannot be used.

Examples:
  temporal-payloads plugins
  temporal-payloads plugins --check
  temporal-payloads plugins --json | jq -r '.plugins[].distribution'
"""


@dataclass(frozen=True)
class _Plugin:
    """A plugin that is installed."""

    kind: str
    name: str
    distribution: str
    version: str
    object: str
    """What its entry point leads to."""
    checked: bool
    error: str | None


def run(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Load each, and say what is wrong with those that cannot be used.")
    ] = False,
    as_json: Json = False,
) -> ExitStatus:
    """List the plugins that are installed.

    Drivers, codecs, payload converters, key providers and commands, with the distributions that offer them.
    Only metadata is read, nothing is imported, unless --check asks for it. Settings are not read.
    """
    found = list(_plugins(check=check))
    fine = not any(plugin.error for plugin in found)
    if as_json:
        say_json(document(ok=fine, plugins=[asdict(plugin) for plugin in found]))
    elif not found:
        say("No plugin is installed.")
    else:
        table(
            ("KIND", "NAME", "DISTRIBUTION", "VERSION", *(("STATE",) if check else ())),
            (
                (
                    *(plugin.kind, plugin.name, plugin.distribution, plugin.version),
                    *((bad(plugin.error) if plugin.error else good("fine"),) if check else ()),
                )
                for plugin in found
            ),
        )
    return ExitStatus.FINE if fine else ExitStatus.FOUND


def _plugins(*, check: bool) -> Iterator[_Plugin]:
    registry = PluginRegistry()
    for kind in KINDS.values():
        offers = registry.offers(kind.name)
        times = Counter(offer.name for offer in offers)
        for offer in offers:
            error = None
            if check:
                try:
                    getattr(registry, kind.name)(f"{offer.distribution}:{offer.name}")
                    if times[offer.name] > 1:
                        getattr(registry, kind.name)(offer.name)
                except ConfigurationError as failure:
                    error = str(failure)
            version = offer.provider.removeprefix(offer.distribution).strip()
            yield _Plugin(
                str(kind), offer.name, offer.distribution, version, _object(offer.source), check, error
            )
    for name, entry_points in offered_commands().items():
        error = None
        if check:
            try:
                load_command(name, entry_points)
            except ConfigurationError as failure:
                error = str(failure)
        for entry_point in entry_points:
            assert entry_point.dist is not None, "entry points are found by distributions"
            yield _Plugin(
                "command",
                name,
                entry_point.dist.name,
                entry_point.dist.version,
                entry_point.value,
                check,
                error,
            )


def _object(source: object) -> str:
    value: str = getattr(source, "value", "")
    return value
