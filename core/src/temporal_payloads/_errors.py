"""What errors look like to the person who has to mend it, and those of a wrong configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in the settings."""

    message: str
    """What is wrong and what to do about it."""
    place: str = ""
    """The setting, as a dotted path (`storage.drivers.s3.bucket`); empty if it is no single one."""
    origin: str | None = None
    """Where the value was set: a file (and profile), or the variable's name; None if it was set in code."""

    def __str__(self) -> str:
        where = self.place
        if self.origin:
            where = f"{where} ({self.origin})" if where else self.origin
        return f"{where}: {self.message}" if where else self.message


class PayloadsError(Exception):
    """The base of what temporal-payloads raises while it builds a converter.

    Errors of a payload on its way are `temporal_payloads.plugin.StorageError`, which Temporal understands.
    """


class ConfigurationError(PayloadsError):
    """The settings cannot be used. Every problem that was found is in `problems` and in the message.

    Where all that is wrong is one plugin, the error is of the subclass that says so.
    """

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems in the temporal-payloads settings:\n{lines}"

    def at(self, place: str, origin: str | None) -> Self:
        """Return the same error, said of a place in the settings."""
        error = type(self)([replace(problem, place=place, origin=origin) for problem in self.problems])
        error.__cause__ = self.__cause__
        return error


class UnknownPluginError(ConfigurationError):
    """The settings name a plugin that is not installed."""


class PluginConflictError(ConfigurationError):
    """Two installed distributions offer a plugin of the same name."""


class PluginLoadError(ConfigurationError):
    """A plugin that the settings name cannot be loaded, or breaks the plugin contract."""


def raise_all(errors: Sequence[ConfigurationError]) -> None:
    """Raise what was collected: nothing, the one error itself, or one error with all the problems."""
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    merged = ConfigurationError([problem for error in errors for problem in error.problems])
    raise merged from next((error.__cause__ for error in errors if error.__cause__), None)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest candidate, or an empty string if none is near."""
    # Case does not make words different, though difflib thinks so.
    spelled = {candidate.lower(): candidate for candidate in sorted(candidates)}
    close = get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    return f" Did you mean {spelled[close[0]]!r}?" if close else ""


def message_of(error: BaseException) -> str:
    """Return what an error says where its type stands beside it, or is of no interest.

    The text of Temporal's errors begins with their type, and their message does not.
    """
    return getattr(error, "message", "") or str(error) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return what an error says where nothing else tells its type.

    A `message` is made for people. The text of any other error may be no more than a name or a number, of
    which the type says what is wrong with it.
    """
    return getattr(error, "message", "") or f"{type(error).__name__}: {error}".removesuffix(": ")


def failure_type_of(error: BaseException) -> str:
    """Return the type by which Temporal knows a failure."""
    return getattr(error, "type", None) or type(error).__name__
