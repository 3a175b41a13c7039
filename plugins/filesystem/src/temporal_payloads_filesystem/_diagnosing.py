"""What `temporal-payloads check` finds of the store's directory. All of it blocks: it is for a thread."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

from temporal_payloads_filesystem._paths import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads.plugin import Finding

    from temporal_payloads_filesystem._errors import Origin
    from temporal_payloads_filesystem._folders import Folders

_EFFECTIVE = os.access in os.supports_effective_ids
_COARSE = timedelta(seconds=2)
"""In what steps some file systems date files."""
LITTLE_ROOM = 0.05
"""Part of the file system that is free, under which it is told."""


@dataclass
class StoreDiagnosis(Diagnosis):
    """Looks at an open store.

    Args:
        root: The descriptor of its directory.
        folders: Enters the folders in it.
        origin: Its path, and where that is configured.
        mode: Permissions that the settings give to files.
        written: The keys of what was stored for this check.
    """

    root: int
    folders: Folders
    origin: Origin
    mode: int
    written: Sequence[str]

    def run(self) -> list[Finding]:
        """Return what is found."""
        self._rights()
        self._modes()
        self._room()
        self._clock_and_clean_up()
        return self.findings

    def _rights(self) -> None:
        read_only = bool(os.fstatvfs(self.root).f_flag & os.ST_RDONLY)
        may_write = os.access(".", os.W_OK | os.X_OK, dir_fd=self.root, effective_ids=_EFFECTIVE)
        why = "it is mounted read-only" if read_only else ""
        may_read = os.access(".", os.R_OK | os.X_OK, dir_fd=self.root, effective_ids=_EFFECTIVE)
        self.permission("to read", may_read, READERS)
        self.permission("to write", may_write and not read_only, WRITERS, why)

    def _modes(self) -> None:
        found = os.fstat(self.root)
        mode = stat.S_IMODE(found.st_mode)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            self.found(
                "problem",
                "permissions of the directory",
                f"Everybody on the machine may change it ({mode:04o}): payloads can be deleted or replaced",
                f"chmod o-w {self.origin.path}",
            )
        elif mode & stat.S_IROTH and not self.mode & stat.S_IROTH:
            self.found(
                "warning",
                "permissions of the directory",
                f"Everybody on the machine may list it ({mode:04o}), though not read its files "
                f"({self.mode:04o}): names of namespaces, workflow types and ids are not secret",
                f"chmod o-rx {self.origin.path}",
            )
        else:
            self.found("ok", "permissions of the directory", f"{mode:04o}; files get {self.mode:04o}")

    def _room(self) -> None:
        volume = os.fstatvfs(self.root)
        parts = {"bytes": (volume.f_bavail, volume.f_blocks), "files": (volume.f_favail, volume.f_files)}
        scarce = [name for name, (free, total) in parts.items() if total and free / total < LITTLE_ROOM]
        free = volume.f_bavail * volume.f_frsize
        if scarce:
            self.found(
                "warning",
                "room",
                f"Less than {LITTLE_ROOM:.0%} of the file system's {' and '.join(scarce)} are free "
                f"({free:,} bytes): once it is full, nothing is stored and workflows wait",
                "Make room, or delete what nothing needs (gc)",
            )
        else:
            self.found("ok", "room", f"{free:,} bytes are free")

    def _clock_and_clean_up(self) -> None:
        """Compare clocks by what was written: a network file system's server dates files by its own."""
        if not self.written:
            self.found(
                "skipped", "clock", "a server's clock shows in the files that it dates; it takes --write"
            )
            self.permission("to delete", None, COLLECTOR, "it takes --write")
            return
        left: list[str] = []
        for key in self.written:
            place = place_of(key)
            try:
                with self.folders.entered(self.root, place.folders) as descriptors:
                    if not any(finding.check == "clock" for finding in self.findings):
                        self._clock(descriptors[-1], place.name)
                    os.unlink(place.name, dir_fd=descriptors[-1])
                    for depth in range(len(place.folders), 1, -1):
                        with suppress(OSError):  # somebody else's payloads are in it
                            os.rmdir(place.folders[depth - 1], dir_fd=descriptors[depth - 1])
            except PermissionError:
                left.append(key)
        self.permission("to delete", not left, COLLECTOR)
        self.cleaned_up(left, "the directory", "Delete it by hand, or leave it to gc")

    def _clock(self, folder: int, name: str) -> None:
        asked = self.context.now()
        with suppress(PermissionError):
            os.utime(name, dir_fd=folder, follow_symlinks=False)
        written = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        self.findings.append(
            self.context.clock(
                datetime.fromtimestamp(written, UTC),
                asked=asked,
                answered=self.context.now(),
                resolution=_COARSE,
                place=self.place,
            )
        )

    def how_to_grant(self, permission: str) -> str:
        """Return how a process is let into the directory."""
        del permission
        return "Give the directory, with all that is in it, to the user or group of this process"
