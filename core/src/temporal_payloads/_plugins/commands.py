"""Commands that plugins add to the command line: what they are, and how they are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from temporal_payloads._errors import PluginConflictError, PluginLoadError, Problem
from temporal_payloads._plugins.known import KNOWN_DISTRIBUTIONS

GROUP = "temporal_payloads.commands"
KNOWN_COMMANDS = KNOWN_DISTRIBUTIONS[GROUP]
"""The commands of this project's plugins, so that an error can say what to install."""


@dataclass(frozen=True, kw_only=True)
class CommandContext:
    """What a command is given beside its arguments.

    Example::

        def _list(context: CommandContext) -> int:
            for key, settings in context.drivers.items():
                context.say(f"{key}: payloads of up to {settings.max_payload_size} bytes")
            return 0
    """

    drivers: Mapping[str, Any]
    """The validated settings of each driver of the type `driver_type`, by the key of its table."""
    say: Callable[[str], None]
    """Tells whoever called the command a line: it is printed, or in the document that `--json` asks for."""


@dataclass(frozen=True, kw_only=True)
class CommandPlugin:
    """A command `temporal-payloads NAME`; what an entry point in `temporal_payloads.commands` leads to.

    The entry point's name is the command's. It is imported when the command is called, and not before.

    Example, of a plugin whose store must be set up::

        from typing import Annotated

        from temporal_payloads.plugin import CommandContext, CommandPlugin
        from typer import Option

        def _run(
            context: CommandContext,
            dry: Annotated[bool, Option("--print", help="Only print what would be done.")] = False,
        ) -> int:
            for key in context.drivers:
                context.say(f"{key}: {'to be set up' if dry else 'set up'}")
            return 0

        shelf = CommandPlugin(api_version=1, help="Set up shelves.", driver_type="shelf", run=_run)
    """

    api_version: int
    """The plugin API that this plugin was written for: 1. Write the number, not a constant of core's."""
    help: str
    """What the command does, for its help."""
    driver_type: str
    """The type of the drivers whose settings it is given, as the settings call it (`postgres`)."""
    run: Callable[..., int] | Mapping[str, Callable[..., int]]
    """Runs the command, and returns its exit status: 0 all is well, 1 it found something, 2 it was called
    wrongly, 3 it could not be done.

    Its first argument is the `CommandContext`. The others are the command's arguments and options, as Typer
    reads them from their annotations; `--config`, `--profile` and `--json` are core's. Of a `StorageError`
    that it raises the message is printed, status 3. With `--json` the lines that it says, or why it could not
    be done, are printed in a document.

    For a command with commands of its own (`temporal-payloads NAME WHAT`) it is such a function for each
    `WHAT`, whose docstring is its help.
    """


def offered_commands() -> dict[str, list[EntryPoint]]:
    """Return what distributions offer under each name. Only metadata is read."""
    offers: dict[str, list[EntryPoint]] = {}
    for found in sorted(entry_points(group=GROUP), key=lambda found: found.name):
        offers.setdefault(found.name, []).append(found)
    return offers


def load_command(name: str, offers: list[EntryPoint]) -> CommandPlugin:
    """Import a command.

    Raises:
        PluginConflictError: Two distributions offer it.
        PluginLoadError: It fails on import or is no command.
    """
    if len(offers) > 1:
        providers = " and ".join(provider(offer) for offer in offers)
        raise PluginConflictError(
            Problem(f"the command {name!r} is offered by {providers}. Uninstall one of them")
        )
    from temporal_payloads._plugins.contract import PLUGIN_API_VERSION  # noqa: PLC0415  # slow to import

    (offer,) = offers
    whose = f"the command {name!r} of {provider(offer)} ({offer.value})"
    try:
        command = offer.load()
    except Exception as error:
        raise PluginLoadError(
            Problem(
                f"{whose} cannot be imported: {type(error).__name__}: {error}. Reinstall or update that "
                "distribution"
            )
        ) from error
    if not isinstance(command, CommandPlugin):
        raise PluginLoadError(Problem(f"{whose} is no CommandPlugin, but of type {type(command).__name__}"))
    if command.api_version != PLUGIN_API_VERSION:
        raise PluginLoadError(
            Problem(
                f"{whose} is written for plugin API {command.api_version!r}, this temporal-payloads speaks "
                f"{PLUGIN_API_VERSION}. Update one of the two"
            )
        )
    return command


def provider(offer: EntryPoint) -> str:
    """Return the distribution that offers something, and its version."""
    assert offer.dist is not None  # entry_points() goes through distributions
    return f"{offer.dist.name} {offer.dist.version}"
