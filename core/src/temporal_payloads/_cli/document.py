"""The document that `--json` prints: the same keys whatever is wrong, so that programs need not ask first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.output import say_json
from temporal_payloads._errors import ConfigurationError, Problem, message_of

if TYPE_CHECKING:
    from temporal_payloads._settings.settings import PayloadSettings

VERSION = 1
"""Of the documents. A key that is new leaves it; one that goes or means something else makes it another."""


def document(
    *, ok: bool, error: dict[str, str] | None = None, problems: tuple[Problem, ...] = (), **parts: Any
) -> dict[str, Any]:
    """Return a command's document.

    Args:
        ok: Whether the exit status is 0.
        error: The type and the message of what kept the command from its work.
        problems: What is wrong in the settings.
        parts: What else it says.
    """
    return {
        "version": VERSION,
        "ok": ok,
        **parts,
        "error": error,
        "problems": [asdict(problem) for problem in problems],
    }


def shown_error(failure: Exception) -> dict[str, str]:
    """Return an exception's type and message."""
    return {"type": type(failure).__name__, "message": message_of(failure)}


def sources_as_json(settings: PayloadSettings) -> dict[str, Any]:
    """Return what the settings were read from."""
    sources = settings.sources
    return {
        "file": str(sources.file) if sources.file else None,
        "file_named_by": sources.file_named_by,
        "profile": sources.profile,
        "profile_chosen_by": sources.profile_chosen_by,
        "variables": list(sources.variables),
        "warnings": sources.warnings(),
    }


@contextmanager
def errors_in_document(as_json: bool, **parts: Any) -> Iterator[None]:
    """Print the document also if the command fails, if it is asked for.

    Args:
        as_json: Whether it is asked for. If not, errors go to whoever called the command.
        parts: What the document then says, beside what is wrong: its keys are those of success.
    """
    from temporal_payloads._storage.errors import StorageError  # noqa: PLC0415  # slow to import

    try:
        yield
    except ConfigurationError as error:
        if not as_json:
            raise
        say_json(document(ok=False, problems=error.problems, **parts))
        raise typer.Exit(ExitStatus.WRONG_USE) from error
    except WrongUseError as error:
        if not as_json:
            raise
        say_json(document(ok=False, error=shown_error(error), **parts))
        raise typer.Exit(ExitStatus.WRONG_USE) from error
    except (UnfinishedError, StorageError) as error:
        if not as_json:
            raise
        say_json(document(ok=False, error=shown_error(error), **parts))
        raise typer.Exit(ExitStatus.UNFINISHED) from error
