"""Which file and which profile are read, who chose them, and whether there must be any settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from temporal_payloads._errors import Problem
from temporal_payloads._settings.problems import (
    FILE_VARIABLE,
    PROFILE_VARIABLE,
    REQUIRED_VARIABLE,
    TEMPORAL_PROFILE_VARIABLE,
)
from temporal_payloads._settings.provenance import DEFAULT_FILE

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Caller:
    """How whoever asks for settings calls what it may ask for."""

    file: str = "the file argument"
    profile: str = "the profile argument"


@dataclass(frozen=True)
class Choice:
    """A file or a profile."""

    value: str
    named_by: str | None
    """The argument, option or variable; None for the file that is read because it is there."""


def choose_file(argument: str | os.PathLike[str] | None, caller: Caller) -> Choice | None:
    """Return the file to read, if any is named or lies in the working directory."""
    if argument is not None:
        return Choice(os.fspath(argument), caller.file)
    if named := os.environ.get(FILE_VARIABLE):
        return Choice(named, FILE_VARIABLE)
    return Choice(DEFAULT_FILE, None) if Path(DEFAULT_FILE).exists() else None


def choose_profile(argument: str | None, caller: Caller) -> Choice | None:
    """Return the profile that is asked for."""
    if argument:
        return Choice(argument, caller.profile)
    for name in (PROFILE_VARIABLE, TEMPORAL_PROFILE_VARIABLE):
        if value := os.environ.get(name):
            return Choice(value, name)
    return None


def must_be_found(argument: bool | None) -> tuple[bool, list[Problem]]:
    """Tell whether it is an error to find no settings, and what is wrong with the variable that says so."""
    text = os.environ.get(REQUIRED_VARIABLE, "").strip().lower()
    problems = []
    if text and text not in (*_TRUE, *_FALSE):
        message = "must be 1 (or true, yes, on) or 0 (or false, no, off)"
        problems.append(Problem(message, "required", REQUIRED_VARIABLE))
    return (text in _TRUE if argument is None else argument), problems
