"""The commands: what there is, each in a module that is imported when it is called, and not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from temporal_payloads._cli.help import print_help


@dataclass(frozen=True)
class Group:
    """Commands of one subject: `temporal-payloads SUBJECT COMMAND`, in a package `_cli/SUBJECT/`."""

    help: str
    commands: Mapping[str, str | Group]
    epilog: str = ""
    """What its help says after the commands."""
    otherwise: str = ""
    """The command that is meant where none is named; empty if one must be. `--NAME` then means NAME too."""


COMMANDS: Mapping[str, str | Group] = {
    "check": "Check the settings, that every store answers, and what may lose payloads.",
    "inspect": "Show the payloads of a workflow, layer by layer, and whether each can be read.",
    "decode": "Decode payloads, or an exported history, from a file or the standard input.",
    "keygen": "Print a new encryption key.",
    "keys": "List the encryption keys, and what still needs them.",
    "migrate": "Move payloads to another store, or prove that nothing is needed from the old one.",
    "codec-server": "Decode payloads for the Web UI and the CLI.",
    "settings": Group(
        "Show the settings that are in effect, and what others must share.",
        {
            "show": "Show every setting that is in effect, and where it comes from.",
            "fingerprint": "Print a short hash of all that readers and writers must agree on.",
        },
    ),
    "plugins": "List the plugins that are installed.",
    "usage": "Count what is stored, by namespace, type, age and driver.",
    "gc": Group(
        "Collect garbage: put aside, and later delete, payloads that nothing refers to.",
        {
            "plan": "Say what would be collected, and change no payload.",
            "put-aside": "Put payloads aside that nothing refers to.",
            "delete": "Delete what has been aside for the grace, and that nothing refers to.",
            "undo": "Bring back what was put aside.",
            "status": "Show the collections, and what is aside since when.",
            "worker": "Run a Temporal worker for collections.",
            "schedule": "Let collections begin by themselves, as workflows on Temporal.",
        },
        """\
Nothing is deleted at once: first payloads are put aside, and whoever stores one
again brings it back. Those that a later collection, begun gc.grace after that,
still finds to be referred to by nothing, are deleted.

Without a command it is `plan`; and `--worker` is another way to say `worker`.

Examples:
  temporal-payloads gc                     what would be collected, and why
  temporal-payloads gc put-aside           the first step
  temporal-payloads gc status              what is aside, and when it is due
  temporal-payloads gc undo                bring it back
  temporal-payloads gc delete              the second step, gc.grace later
  temporal-payloads gc schedule --every 7d      both, by themselves
""",
        otherwise="plan",
    ),
    "schema": "Print a JSON Schema of the settings' file, for editors.",
    "new-plugin": "Write a plugin to start from: a driver or a codec of your own.",
}
"""What the help says of each command: the first line of what its module's function `run` says.

The module has the command's name, with `_` for `-`: `_cli/new_plugin.py`; in a group, `_cli/GROUP/NAME.py`.
"""


class Command(TyperCommand):
    """A command with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as Typer's own commands do here."""
        del formatter
        print_help(self, ctx)


class Commands(TyperGroup):
    """Commands that are made when they are called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.otherwise = ""
        self._none_named = False
        """Whether the command that is called is the one that is meant where none is named."""
        self._made_by: dict[str, Callable[[], Any]] = {}

    def add(self, name: str, brief: str, make: Callable[[], Any], *, hidden: bool = False) -> None:
        """Add a command.

        Args:
            name: What calls it.
            brief: What the help of the group says of it.
            make: Makes it when it is called.
            hidden: Whether help and completion leave it out.
        """
        self._made_by[name] = make
        self.add_command(Command(name, help=brief, short_help=brief, hidden=hidden), name)

    def fill(self, commands: Mapping[str, str | Group], path: tuple[str, ...] = ()) -> None:
        """Add commands of ours.

        Args:
            commands: As in `COMMANDS`.
            path: The names of the groups that they are in.
        """
        for name, entry in commands.items():
            inside = (*path, name)
            if isinstance(entry, Group):
                group = Commands(
                    name=name,
                    help=entry.help,
                    short_help=entry.help,
                    epilog=entry.epilog,
                    rich_markup_mode=None,
                )
                group.otherwise = entry.otherwise
                group.fill(entry.commands, inside)
                self.add_command(group, name)
            else:
                self.add(name, entry, partial(_command_of_module, inside))

    def made(self, name: str) -> Any:
        """Return a command as it is when it is called; until then, what is there only has its name."""
        if make := self._made_by.pop(name, None):
            self.add_command(make(), name)
        return self.commands[name]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, of which the first names a command."""
        first = args[0] if args else ""
        self._none_named = False
        if self.otherwise and first not in self.commands and first not in ctx.help_option_names:
            named = first.removeprefix("--")
            if first != named and named in self.commands:
                args = [named, *args[1:]]
            elif not first or first.startswith("-"):
                args = [self.otherwise, *args]
                self._none_named = True
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the command that is named, or that is meant where none is."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as raised:
            error: Any = raised
            if self._none_named and hasattr(error, "possibilities"):  # there is no such option
                # Of the group, and not of a command that nobody named: the option may be meant for another.
                error.ctx = ctx
                known = [*(error.possibilities or ()), *(f"--{name}" for name in self.commands)]
                error.possibilities = get_close_matches(error.option_name, known)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that is called."""
        if args and args[0] in self.commands:
            self.made(args[0])
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as Typer's own groups do here."""
        del formatter
        print_help(self, ctx)


def command_of(
    function: Callable[..., int],
    name: str,
    *,
    help: str | None = None,  # noqa: A002  # Typer's word
    epilog: str | None = None,
) -> Any:
    """Return the command whose arguments and options are those of a function.

    Args:
        function: Returns the exit status. Its docstring is the help, unless that is given.
        name: What calls it.
        help: What it does.
        epilog: What the help says after the options.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=help, epilog=epilog)(function)
    return typer.main.get_command(app)


def _command_of_module(path: tuple[str, ...]) -> Any:
    module = import_module(".".join(("temporal_payloads._cli", *path)).replace("-", "_"))
    return command_of(module.run, path[-1], epilog=module.EPILOG)
