"""Writing and reading the files of payloads. All of it blocks; the driver calls it in threads.

A file under its final name is whole from the first moment on: it is written and flushed under a temporary
name, and then linked. All temporary files are in one folder, so that those of writers that were killed are
found by looking there, and not through the whole store.
"""

from __future__ import annotations

import enum
import errno
import itertools
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageUnavailableError

from temporal_payloads_filesystem._errors import Origin
from temporal_payloads_filesystem._folders import Folders, flush, give_mode
from temporal_payloads_filesystem._paths import Place
from temporal_payloads_filesystem._root import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TEMPORARY = "tmp"
"""The folder of files that are being written."""
LEFT_OVER_AFTER = 3600.0
"""Seconds after which a temporary file counts as left over. Should its writer live, it writes another."""
_PIECE = 1024 * 1024
"""Bytes that are read at once to be compared."""
_ATTEMPTS = 10
"""How often to begin again where others write, or a collector removes, the same files and folders."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# What is no file must not be waited for, as a pipe would be.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What `link` fails with where the file system has none (FAT, some network and FUSE file systems)."""


class Files:
    """The files of one store.

    Args:
        path: The store's directory, absolute.
        create: Whether a store may be made where there is none.
        mode: Permissions of files.
        place: Where the settings stand; None for a driver that was made by hand.
    """

    def __init__(self, path: Path, *, create: bool, mode: int, place: str | None = None) -> None:
        self._origin = Origin(path, place)
        self._root = Root(self._origin, create=create, mode=mode)
        self._folders = Folders(mode)
        self._mode = mode
        self._next_cleaning = 0.0

    def write(self, items: Sequence[tuple[Place, bytes]]) -> None:
        """Write files, unless they are there; all of them are on disk when it returns.

        Raises:
            StorageError: One could not be written.
        """
        with self._root.opened() as root, self._temporary(root) as temporary:
            for folders, group in itertools.groupby(items, lambda item: item[0].folders):
                self._write_group(root, temporary, folders, [(place.name, data) for place, data in group])

    def read(self, places: Sequence[Place]) -> list[bytes | None]:
        """Return what is in the files, None for one that does not exist.

        Raises:
            StorageError: One could not be read, or the whole store is not there.
        """
        found: list[bytes | None] = []
        with self._root.opened() as root:
            for folders, group in itertools.groupby(places, lambda place: place.folders):
                names = [place.name for place in group]
                try:
                    with self._folders.entered(root, folders) as descriptors:
                        found += [_read(descriptors[-1], name) for name in names]
                except FileNotFoundError:
                    found += [None] * len(names)
        return found

    def check(self, *, write: bool = True) -> None:
        """See that payloads can be stored and read; on a read-only mount, that the store is there.

        Args:
            write: Whether payloads are to be stored.

        Raises:
            StorageError: Why not.
        """
        with self._root.opened() as root:
            if not write or os.fstatvfs(root).f_flag & os.ST_RDONLY:
                return
            with self._temporary(root) as temporary:
                name = secrets.token_hex(16)
                try:
                    self._write_one(temporary, temporary, name, b"check")
                    if _read(temporary, name) != b"check":
                        raise StorageUnavailableError(
                            f"{self._origin} does not give back what was just written: check its disk or "
                            "server"
                        )
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=temporary)

    def _write_group(
        self, root: int, temporary: int, folders: tuple[str, ...], files: Sequence[tuple[str, bytes]]
    ) -> None:
        for _ in range(_ATTEMPTS):
            # A file may appear or go, and an empty folder too, between one look and the next.
            with (
                suppress(FileNotFoundError, FileExistsError),
                self._folders.entered(root, folders, make=True) as descriptors,
            ):
                for name, data in files:
                    self._write_one(temporary, descriptors[-1], name, data)
                # Also if all were there: whoever wrote them may not have come to this.
                self._folders.flush(folders, descriptors)
                return
        raise StorageUnavailableError(
            f"{self._origin} has lost a file or folder {_ATTEMPTS} times while it was written: see what "
            f"removes files there, or whether the directory itself was removed. The folder is {folders!r}"
        )

    def _write_one(self, temporary: int, folder: int, name: str, data: bytes) -> None:
        found = _touch(folder, name, data)
        if found is Found.WHOLE:
            return
        with self._written(temporary, data) as new:
            if found is Found.DAMAGED:  # by something else than this driver: put the whole one in its place
                os.replace(new, name, src_dir_fd=temporary, dst_dir_fd=folder)
            else:
                _link(temporary, new, folder, name)

    @contextmanager
    def _written(self, temporary: int, data: bytes) -> Iterator[str]:
        """Write and flush a temporary file, and yield its name; at the end it is gone."""
        name = secrets.token_hex(16)
        file = os.open(name, _NEW, self._mode, dir_fd=temporary)
        try:
            try:
                give_mode(file, self._mode)
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
        with self._folders.entered(root, [TEMPORARY], make=True) as (_, temporary):
            now = time.monotonic()
            if now >= self._next_cleaning:
                self._next_cleaning = now + LEFT_OVER_AFTER
                _clean(temporary)
            yield temporary


class Found(enum.Enum):
    """What is under a file's final name."""

    NOTHING = enum.auto()
    WHOLE = enum.auto()
    DAMAGED = enum.auto()
    """A file that holds something else than it must."""


def _touch(folder: int, name: str, data: bytes) -> Found:
    """Look for a file, and give it the time of now if it is whole.

    By that time a collector that has found the file unused sees that it is used again. It may have taken the
    file away just before: so look again.
    """
    try:
        if not _holds(folder, name, data):
            return Found.DAMAGED
        os.utime(name, dir_fd=folder, follow_symlinks=False)
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return Found.NOTHING
    return Found.WHOLE


def _holds(folder: int, name: str, data: bytes) -> bool:
    """Tell whether a file holds this and nothing else. Reading it costs little beside a flush."""
    file = os.open(name, _READ, dir_fd=folder)
    try:
        found = os.fstat(file)
        _require_file(found)
        rest = memoryview(data)
        if found.st_size != len(rest):
            return False
        while rest and (piece := os.read(file, _PIECE)):
            if piece != rest[: len(piece)]:
                return False
            rest = rest[len(piece) :]
        return not rest
    finally:
        os.close(file)


def _link(temporary: int, new: str, folder: int, name: str) -> None:
    """Give a temporary file its final name, unless there is a file of that name."""
    where = {"src_dir_fd": temporary, "dst_dir_fd": folder}
    try:
        os.link(new, name, follow_symlinks=False, **where)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(new, name, **where)  # noqa: PTH104  # pathlib takes no descriptors


def _read(folder: int, name: str) -> bytes | None:
    try:
        file = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(file)
        _require_file(found)
        pieces = []
        size = found.st_size
        while size and (piece := os.read(file, size)):  # at most 2 GiB at once
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(file)


def _require_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _clean(temporary: int) -> None:
    before = time.time() - LEFT_OVER_AFTER
    with os.scandir(temporary) as entries:
        for entry in entries:
            with suppress(OSError):  # gone already, another user's, or a folder that somebody made
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.name, dir_fd=temporary)
