"""What settings were read from, so that nobody has to guess with which file a process runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from temporal_payloads._settings.problems import FILE_VARIABLE, PREFIX, REQUIRED_VARIABLE

logger = logging.getLogger("temporal_payloads")

DEFAULT_FILE = "temporal-payloads.toml"


@dataclass(frozen=True)
class Sources:
    """Where settings were looked for, and what was found. Names only: no value of a setting is in it.

    Without arguments: the settings were given in code.
    """

    directory: Path | None = None
    """The working directory when they were read; None if they were given in code."""
    file: Path | None = None
    """The file, as an absolute path."""
    file_named_by: str | None = None
    """Who named the file: an argument, an option, a variable; None if it was found in the directory."""
    profile: str | None = None
    profile_chosen_by: str | None = None
    variables: tuple[str, ...] = ()
    """The names of the variables that hold settings."""
    similar_variables: tuple[tuple[str, str], ...] = ()
    """Variables whose names almost have our prefix, each with the name that may have been meant."""
    required: bool = False
    """Whether it is an error to find nothing."""

    @property
    def file_is_implicit(self) -> bool:
        """Whether the file is read only because the process was started where it lies."""
        return self.file is not None and self.file_named_by is None

    @property
    def nothing_found(self) -> bool:
        """Whether there is neither a file nor a variable."""
        return self.directory is not None and self.file is None and not self.variables

    @property
    def described_file(self) -> str:
        """The file and why it was read, or why there is none."""
        if self.directory is None:
            return "none: given in code"
        if self.file is None:
            return f"none: there is no {DEFAULT_FILE} in {self.directory}"
        why = f"{self.file_named_by} names it" if self.file_named_by else "found in the working directory"
        return f"{self.file} ({why})"

    @property
    def described_profile(self) -> str:
        """The profile and who chose it."""
        return f"{self.profile} ({self.profile_chosen_by} chooses it)" if self.profile else "none"

    @property
    def described_variables(self) -> str:
        """The names of the variables."""
        return ", ".join(self.variables) or "none"

    def warnings(self) -> list[str]:
        """Return what is no error and may yet not be what was meant."""
        found = [
            f"the variable {name} is not read: those of temporal-payloads begin with {PREFIX}. "
            f"Did you mean {meant!r}?"
            for name, meant in self.similar_variables
        ]
        if self.nothing_found and not self.required:
            found.append(
                f"no settings were found: {self.nothing_to_read}. Payloads stay in the workflow history as "
                f"they are. {_HOW_TO_CONFIGURE}; where a process must not run without, set "
                f"{REQUIRED_VARIABLE}=1. If nothing is what you want, give PayloadSettings() in code"
            )
        return found

    def missing(self) -> str:
        """Return why it is an error that nothing was found, and what to do."""
        similar = "".join(
            f". {name} is set: did you mean {meant!r}?" for name, meant in self.similar_variables
        )
        what = f"settings are required, and none were found: {self.nothing_to_read}"
        return f"{what}. {_HOW_TO_CONFIGURE}{similar}"

    @property
    def nothing_to_read(self) -> str:
        """Where nothing was found."""
        return f"there is no {DEFAULT_FILE} in {self.directory}, and no variable begins with {PREFIX}"


_HOW_TO_CONFIGURE = f"Name a file with {FILE_VARIABLE}, or set variables"

_announced: set[Sources] = set()


def announce(sources: Sources) -> None:
    """Log what settings were read from: once in a process, however many converters are built from them."""
    if sources in _announced:
        return
    _announced.add(sources)
    if sources.directory is None:
        logger.info("Settings were given in code")
    elif not sources.nothing_found:
        logger.info(
            "Settings were read. File: %s; profile: %s; variables: %s",
            sources.described_file,
            sources.described_profile,
            sources.described_variables,
        )
    for warning in sources.warnings():
        logger.warning("%s", warning[0].upper() + warning[1:])
