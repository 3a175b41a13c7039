"""Folders of the store: entered one by one from the root's descriptor, so that no link leads out of it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REMEMBERED = 10_000
"""Folders of which is remembered that they are on disk."""


class Folders:
    """Enters folders, makes those that are missing, and sees that they are on disk.

    Args:
        mode: Permissions of files; those of folders follow from them.
    """

    def __init__(self, mode: int) -> None:
        self._mode = folder_mode(mode)
        self._on_disk: set[tuple[int, int, str]] = set()
        """Folders of which the entry in their parent was flushed: a flush takes milliseconds, changes or not.
        Each as device and inode, for another may have come in its place, and its name. Several threads use
        it; each use of a set is one step."""

    @contextmanager
    def entered(self, root: int, names: Sequence[str], *, make: bool = False) -> Iterator[list[int]]:
        """Yield the descriptors of these folders, each in the one before, beginning with the root's.

        Raises:
            FileNotFoundError: One does not exist, and is not to be made.
            OSError: One is a link, or no folder.
        """
        descriptors = [root]
        try:
            for name in names:
                try:
                    folder = os.open(name, FOLDER, dir_fd=descriptors[-1])
                except FileNotFoundError:
                    if not make:
                        raise
                    folder = self._make(descriptors[-1], name)
                    # Its inode may have been that of one that is gone.
                    self._on_disk.discard(_identity(folder, name))
                descriptors.append(folder)
            yield descriptors
        finally:
            for descriptor in descriptors[1:]:
                os.close(descriptor)

    def _make(self, parent: int, name: str) -> int:
        with suppress(FileExistsError):  # another writer made it just now
            os.mkdir(name, self._mode, dir_fd=parent)
        folder = os.open(name, FOLDER, dir_fd=parent)
        try:
            give_mode(folder, self._mode)
            give_owner(folder, parent)
        except BaseException:
            os.close(folder)
            raise
        return folder

    def flush(self, names: Sequence[str], descriptors: Sequence[int]) -> None:
        """See that what the last of these folders holds, and the folders themselves, outlast a power cut.

        Others may have made one of them and not flushed it yet: only what this process flushed is left out.
        """
        flush(descriptors[-1])
        for depth in range(len(names), 0, -1):
            folder = _identity(descriptors[depth], names[depth - 1])
            if folder not in self._on_disk:
                flush(descriptors[depth - 1])
                if len(self._on_disk) >= _REMEMBERED:
                    self._on_disk.clear()
                self._on_disk.add(folder)


def _identity(folder: int, name: str) -> tuple[int, int, str]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino, name


def flush(descriptor: int) -> None:
    """Have the disk write what a file or folder holds."""
    try:
        if sys.platform == "darwin":  # whose fsync leaves it in the disk's own cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    except OSError as error:
        # Of folders on some network file systems. Their server writes them before it answers.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def folder_mode(mode: int) -> int:
    """Return the permissions of folders whose files have these: who reads the files may enter."""
    return mode | (mode & 0o444) >> 2


def give_mode(descriptor: int, mode: int) -> None:
    """Give a file or folder of ours its permissions, of which the process's umask may have taken some."""
    found = os.fstat(descriptor)
    if stat.S_IMODE(found.st_mode) & 0o777 != mode and found.st_uid == os.geteuid():
        # A folder that belongs to its parent's group stays so (setgid).
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~0o777 | mode)


def give_owner(descriptor: int, parent: int) -> None:
    """Give what root makes to the owner of the folder around it, who could not enter it otherwise."""
    around = os.fstat(parent)
    if os.geteuid() == 0 and around.st_uid != os.fstat(descriptor).st_uid:
        with suppress(PermissionError):  # root may do less than all, in a container or on a network mount
            os.fchown(descriptor, around.st_uid, around.st_gid)
