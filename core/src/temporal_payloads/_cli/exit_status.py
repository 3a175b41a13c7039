"""With which status a command ends, and the errors that lead to one."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a process's exit status says. It is the same for all commands."""

    FINE = 0
    """All is done, and all is well."""
    FOUND = 1
    """Something was found: a check failed, two deployments differ, a payload is missing, there is garbage."""
    WRONG_USE = 2
    """The command line or the settings are wrong."""
    UNFINISHED = 3
    """It could not be done: Temporal or a store cannot be reached, the output cannot be written."""
    INTERRUPTED = 130
    """What a shell reports of a command that SIGINT ended."""
    NOBODY_READS = 141
    """What a shell reports of a command that SIGPIPE ended, as it ends most commands in `command | head`."""


class WrongUseError(Exception):
    """The command line is wrong in a way that only the command knows. The message says how; status 2."""


class UnfinishedError(Exception):
    """The command cannot do its work. The message says why; status 3."""
