"""The command line as a whole: what it says of itself, and what becomes of a command's errors."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_payloads._cli.commands import COMMANDS, Commands
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.output import complain, say
from temporal_payloads._cli.plugin_commands import add_commands_of_plugins
from temporal_payloads._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "temporal-payloads"
_COMPLETION_VARIABLE = "_TEMPORAL_PAYLOADS_COMPLETE"
"""Typer's: the script of a shell sets it when it asks how a command line may go on."""

EPILOG = """\
Examples:
  temporal-payloads check                  is all right, do the stores answer?
  temporal-payloads check --profile prod --json   one profile, for a program
  temporal-payloads check --peer there.json       is what is written read there?
  temporal-payloads keys --in-use          which keys workflows still need
  temporal-payloads codec-server           decode payloads for the Web UI
  temporal-payloads --install-completion   let the shell complete what you type

Settings come from temporal-payloads.toml in the working directory, or the file that --config or
TEMPORAL_PAYLOADS_CONFIG_FILE names, and from variables that begin with TEMPORAL_PAYLOADS_.

Exit status of every command:
    0  it is done, and all is well
    1  something was found: a check failed, a payload is missing, ...
    2  the command line or the settings are wrong
    3  it could not be done: Temporal or a store cannot be reached, the output
       cannot be written, ...
  130  it was interrupted
"""


def _tell_version(asked: bool) -> None:
    if asked:
        say(version(PROGRAM))
        raise typer.Exit


def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end."),
    ] = False,
) -> None:
    """Temporal's payload codecs and external storage, from one declarative configuration."""


def application() -> Commands:
    """Return the command line with all commands, of which none is imported yet."""
    app = typer.Typer(rich_markup_mode=None)
    app.callback(cls=Commands, epilog=EPILOG)(_root)
    root: Any = typer.main.get_command(app)
    assert isinstance(root, Commands), "it is made of that class"
    root.fill(COMMANDS)
    add_commands_of_plugins(root)
    return root


def call(argv: Sequence[str]) -> int:
    """Call the command that the arguments name, and return its exit status."""
    root = application()
    if _COMPLETION_VARIABLE in os.environ:
        root.main([], prog_name=PROGRAM)
    try:
        # As `main` of Typer does, but for output errors: what those mean is ours to say.
        with root.make_context(PROGRAM, [*argv]) as context:
            status: ExitStatus = root.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as error:
        # The library that reads values for Typer calls what Typer says of one an error of its own.
        message = error.format_message().replace("Value error, ", "")
        complain(f"{message}\n{_where_to_look(error)}")
        return ExitStatus.WRONG_USE
    except (ConfigurationError, WrongUseError) as error:
        complain(str(error))
        return ExitStatus.WRONG_USE
    except UnfinishedError as error:
        complain(str(error))
        return ExitStatus.UNFINISHED
    except Exception as error:
        from temporal_payloads._storage.errors import StorageError  # noqa: PLC0415  # slow to import

        if not isinstance(error, StorageError):
            raise
        complain(error.message)
        return ExitStatus.UNFINISHED
    return status


def _where_to_look(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"Try: {context.command_path if context else PROGRAM} --help"
