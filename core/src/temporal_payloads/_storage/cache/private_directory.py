"""A directory that only this user can change, on a machine that other users share.

A user who can change a directory, or one above it, can make a cache read, overwrite and delete files that are
not its own: with a link, or with another directory in its place. So the directory is opened step by step,
never through another user's link, and all work in it is relative to the descriptor that was opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPPORTED = hasattr(os, "O_NOFOLLOW") and os.open in os.supports_dir_fd
"""Whether the operating system has what this module is made of. Windows does not."""
STEP = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Flags to open a directory with: where there is O_PATH, entering it is enough, as for any path."""
MOST_LINKS = 40
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class PrivateDirectory:
    """A directory that belongs to this user, with mode 0700, held open as long as the object lives.

    Args:
        path: Where it is, absolute. What is missing of it is made, with mode 0700.

    Raises:
        OSError: It cannot be opened; or others could change it, or could put something else in its place.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        if not SUPPORTED:
            raise OSError(errno.ENOTSUP, "this system cannot open a directory without following links")
        self._descriptor = _open_path(path)
        status = os.fstat(self._descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise PermissionError(
                f"{path} belongs to another user, or others may enter it (mode 0700 is needed)"
            )

    def __del__(self) -> None:
        # Only when no thread uses it any more: the next file that is opened gets the same number.
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def open(self, name: str) -> int:
        """Open a file for reading, and return its descriptor.

        Raises:
            FileNotFoundError: It is not there.
            OSError: It is not a plain file that only this user writes.
        """
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._descriptor)
        status = os.fstat(descriptor)
        if _is_own_file(status) and not status.st_mode & OTHERS_WRITE and status.st_nlink == 1:
            return descriptor
        os.close(descriptor)
        raise PermissionError(f"{name} in it is not a plain file that only this user can change")

    def create(self, name: str) -> int:
        """Create a file for writing, readable to this user alone, and return its descriptor.

        Raises:
            FileExistsError: There is something of that name.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        os.fchmod(descriptor, 0o600)  # whatever the umask left of it
        return descriptor

    def __contains__(self, name: str) -> bool:
        """Tell whether there is something of that name."""
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file; one that has the new name is replaced."""
        os.replace(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Delete a file, or a link itself."""
        os.unlink(name, dir_fd=self._descriptor)

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield name and status of each plain file that belongs to this user."""
        # Opened anew, for a place in a listing of its own.
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._descriptor)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # another process was faster
                        status = entry.stat(follow_symlinks=False)
                        if _is_own_file(status):
                            yield entry.name, status
        finally:
            os.close(descriptor)


def _open_path(path: Path) -> int:
    """Open a directory step by step; each one is checked before the next one is looked up in it."""
    here = Path(path.anchor)
    steps = deque(path.parts[1:])
    links = 0
    descriptor = os.open(here, STEP)
    try:
        while steps:
            _require_safe(here, descriptor)
            name = steps.popleft()
            status = _stat_or_make(name, descriptor)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                _require_followable(here / name, status, links)
                steps.extendleft(reversed(Path(os.readlink(name, dir_fd=descriptor)).parts))
            else:
                below = os.open(name, STEP, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
                here /= name
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_safe(here: Path, descriptor: int) -> None:
    """Raise if another user could put something else in the place of what is below a directory."""
    status = os.fstat(descriptor)
    if not _is_trusted(status):
        raise PermissionError(
            f"{here} belongs to another user, who could put something else in place of what is below it. "
            "Choose a directory below those that only you or root can change"
        )
    if not status.st_mode & OTHERS_WRITE or status.st_mode & stat.S_ISVTX:
        return
    # Kubernetes mounts the volumes of a container like this, and offers no other mode. There the directory's
    # own owner and mode must do: others can take the cache away, but give nothing that would be read.
    if status.st_uid == 0 and os.stat("..", dir_fd=descriptor).st_dev != status.st_dev:
        return
    raise PermissionError(
        f"other users may change {here}, and so put something else in place of what is below it. "
        "Take that from them (chmod go-w), or choose another directory"
    )


def _require_followable(link: Path, status: os.stat_result, links: int) -> None:
    if not _is_trusted(status):
        raise PermissionError(f"{link} is a link of another user. Choose a directory without it")
    if links > MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(link))


def _stat_or_make(name: str, directory: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was faster
            _make(name, directory)
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _make(name: str, directory: int) -> None:
    os.mkdir(name, 0o700, dir_fd=directory)
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, 0o700, dir_fd=directory)  # an unusual umask took from our own rights


def _is_trusted(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _is_own_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
