"""Writing and reading the files of payloads. All of it blocks; the driver calls it in threads.

A file under its final name is whole from the first moment on: it is written and flushed under a temporary
name, and then linked. All temporary files are in one folder, so that those of writers that were killed are
found by looking there, and not through the whole store.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageUnavailableError

from temporal_payloads_filesystem._diagnosing import StoreDiagnosis
from temporal_payloads_filesystem._errors import Origin
from temporal_payloads_filesystem._file import Found, holds, link, move, read, touch
from temporal_payloads_filesystem._folders import Folders, flush, give_mode, give_owner
from temporal_payloads_filesystem._paths import TRASH, Place, in_trash
from temporal_payloads_filesystem._root import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from temporal_payloads.plugin import DiagnosisContext, Finding

TEMPORARY = "tmp"
"""The folder of files that are being written."""
LEFT_OVER_AFTER = 3600.0
"""Seconds after which a temporary file counts as left over. Should its writer live, it writes another."""
_ATTEMPTS = 10
"""How often to begin again where others write, or a collector removes, the same files and folders."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Files:
    """The files of one store.

    Args:
        path: The store's directory, absolute.
        create: Whether a store may be made where there is none.
        mode: Permissions of files.
        place: Where the settings stand; None for a driver that was made by hand.
    """

    def __init__(self, path: Path, *, create: bool, mode: int, place: str | None = None) -> None:
        self.origin = Origin(path, place)
        self.root = Root(self.origin, create=create, mode=mode)
        self.folders = Folders(mode)
        self._mode = mode
        self._next_cleaning = 0.0

    def write(self, items: Sequence[tuple[Place, bytes]]) -> None:
        """Write files, unless they are there; all of them are on disk when it returns.

        Raises:
            StorageError: One could not be written.
        """
        with self.root.opened() as root, self._temporary(root) as temporary:
            for folders, group in itertools.groupby(items, lambda item: item[0].folders):
                self._write_group(root, temporary, folders, [(place.name, data) for place, data in group])

    def read(self, places: Sequence[Place]) -> list[bytes | None]:
        """Return what is in the files, None for one that does not exist.

        Raises:
            StorageError: One could not be read, or the whole store is not there.
        """
        with self.root.opened() as root:
            found = self._read(root, places)
            # What is missing may be put aside, and may have been brought back while one looked there.
            for look in (in_trash, lambda place: place):
                if missing := [index for index, data in enumerate(found) if data is None]:
                    again = self._read(root, [look(places[index]) for index in missing])
                    for index, data in zip(missing, again, strict=True):
                        found[index] = data
            return found

    def _read(self, root: int, places: Sequence[Place]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for folders, group in itertools.groupby(places, lambda place: place.folders):
            names = [place.name for place in group]
            try:
                with self.folders.entered(root, folders) as descriptors:
                    found += [read(descriptors[-1], name) for name in names]
            except FileNotFoundError:
                found += [None] * len(names)
        return found

    def replace(self, place: Place, data: bytes) -> None:
        """Write a file, over one that is there: whoever reads finds the old bytes or the new ones."""
        with (
            self.root.opened() as root,
            self._temporary(root) as temporary,
            self.folders.entered(root, place.folders, make=True) as descriptors,
            self._written(temporary, data) as new,
        ):
            os.replace(new, place.name, src_dir_fd=temporary, dst_dir_fd=descriptors[-1])
            self.folders.flush(place.folders, descriptors)

    def remove(self, place: Place) -> None:
        """Remove a file, if it is there."""
        with (
            self.root.opened() as root,
            suppress(FileNotFoundError),
            self.folders.entered(root, place.folders) as descriptors,
        ):
            os.unlink(place.name, dir_fd=descriptors[-1])

    def names(self, folders: Sequence[str]) -> list[str]:
        """Return the names of the files in a folder."""
        with self.root.opened() as root:
            try:
                with self.folders.entered(root, folders) as descriptors:
                    return os.listdir(descriptors[-1])  # noqa: PTH208  # pathlib takes no descriptors
            except FileNotFoundError:
                return []

    def check(self, *, write: bool = True) -> None:
        """See that payloads can be stored and read; on a read-only mount, that the store is there.

        Args:
            write: Whether payloads are to be stored.

        Raises:
            StorageError: Why not.
        """
        with self.root.opened() as root:
            if not write or os.fstatvfs(root).f_flag & os.ST_RDONLY:
                return
            with self._temporary(root) as temporary:
                name = secrets.token_hex(16)
                try:
                    self._write_one(temporary, temporary, name, b"check", Found.NOTHING)
                    if read(temporary, name) != b"check":
                        raise StorageUnavailableError(
                            f"{self.origin} does not give back what was just written: check its disk or "
                            "server"
                        )
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=temporary)

    def diagnose(self, context: DiagnosisContext, written: Sequence[str]) -> list[Finding]:
        """Return what is found of the store.

        Args:
            context: What core tells.
            written: The keys of what was stored for this check; it is deleted.

        Raises:
            StorageError: The store is not there.
        """
        with self.root.opened() as root:
            return StoreDiagnosis(
                root,
                self.folders,
                self.origin,
                self._mode,
                written,
                context=context,
                place=f"{self.origin.its}path",
            ).run()

    def _write_group(
        self, root: int, temporary: int, folders: tuple[str, ...], files: Sequence[tuple[str, bytes]]
    ) -> None:
        for _ in range(_ATTEMPTS):
            # A file may appear or go, and an empty folder too, between one look and the next.
            with (
                suppress(FileNotFoundError, FileExistsError),
                self.folders.entered(root, folders, make=True) as descriptors,
            ):
                folder = descriptors[-1]
                for name, data in files:
                    found = touch(folder, name, data)
                    if found is Found.NOTHING and self._bring_back(root, folders, folder, name, data):
                        found = touch(folder, name, data)
                    if found is not Found.WHOLE:
                        self._write_one(temporary, folder, name, data, found)
                # Also if all were there: whoever wrote them may not have come to this.
                self.folders.flush(folders, descriptors)
                return
        raise StorageUnavailableError(
            f"{self.origin} has lost a file or folder {_ATTEMPTS} times while it was written: see what "
            f"removes files there, or whether the directory itself was removed. The folder is {folders!r}"
        )

    def _bring_back(self, root: int, folders: tuple[str, ...], folder: int, name: str, data: bytes) -> bool:
        """Bring a file back that is put aside, and tell whether there was one.

        Where the trash is closed to this user, the file is written anew: that one is never deleted, nor the
        one in the trash as long as it is there.
        """
        with (
            suppress(FileNotFoundError, PermissionError),
            self.folders.entered(root, (TRASH, *folders)) as descriptors,
        ):
            if holds(descriptors[-1], name, data):
                move(descriptors[-1], name, folder)
                return True
        return False

    def _write_one(self, temporary: int, folder: int, name: str, data: bytes, found: Found) -> None:
        with self._written(temporary, data) as new:
            if found is Found.DAMAGED:  # by something else than this driver: put the whole one in its place
                os.replace(new, name, src_dir_fd=temporary, dst_dir_fd=folder)
            else:
                link(temporary, new, folder, name)

    @contextmanager
    def _written(self, temporary: int, data: bytes) -> Iterator[str]:
        """Write and flush a temporary file, and yield its name; at the end it is gone."""
        name = secrets.token_hex(16)
        file = os.open(name, _NEW, self._mode, dir_fd=temporary)
        try:
            try:
                give_mode(file, self._mode)
                give_owner(file, temporary)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
                flush(file)
            finally:
                os.close(file)
            yield name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=temporary)

    @contextmanager
    def _temporary(self, root: int) -> Iterator[int]:
        """Yield the folder of temporary files. Once an hour, remove what killed writers have left in it."""
        with self.folders.entered(root, [TEMPORARY], make=True) as (_, temporary):
            now = time.monotonic()
            if now >= self._next_cleaning:
                self._next_cleaning = now + LEFT_OVER_AFTER
                _clean(temporary)
            yield temporary


def _clean(temporary: int) -> None:
    before = time.time() - LEFT_OVER_AFTER
    with os.scandir(temporary) as entries:
        for entry in entries:
            with suppress(OSError):  # gone already, another user's, or a folder that somebody made
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.name, dir_fd=temporary)
