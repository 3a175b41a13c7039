"""One file in a folder that is open: looked at, touched, read, given its name. All of it blocks."""

from __future__ import annotations

import enum
import errno
import os
import stat

_PIECE = 1024 * 1024
"""Bytes that are read at once to be compared."""
# What is no file must not be waited for, as a pipe would be.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What `link` fails with where the file system has none (FAT, some network and FUSE file systems)."""


class Found(enum.Enum):
    """What is under a file's final name."""

    NOTHING = enum.auto()
    WHOLE = enum.auto()
    DAMAGED = enum.auto()
    """A file that holds something else than it must."""


def touch(folder: int, name: str, data: bytes) -> Found:
    """Look for a file, and give it the time of now if it is whole.

    By that time a collector that has found the file unused sees that it is used again. It may have taken the
    file away just before: so look again.
    """
    try:
        if not holds(folder, name, data):
            return Found.DAMAGED
        os.utime(name, dir_fd=folder, follow_symlinks=False)
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return Found.NOTHING
    return Found.WHOLE


def is_there(folder: int, name: str) -> bool:
    """Tell whether there is a file, or anything else, of this name."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def move(source: int, name: str, destination: int) -> None:
    """Move a file to another folder, over one of the same name there. It is in one of them at any time."""
    os.rename(name, name, src_dir_fd=source, dst_dir_fd=destination)  # pathlib takes no descriptors


def state_of(found: os.stat_result) -> str:
    """Return what changes whenever a file is written, touched, put aside or brought back."""
    return f"{found.st_ino}-{found.st_mtime_ns}"


def holds(folder: int, name: str, data: bytes) -> bool:
    """Tell whether a file holds this and nothing else. Reading it costs little beside a flush."""
    file = os.open(name, READ, dir_fd=folder)
    try:
        found = os.fstat(file)
        require_file(found)
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


def link(temporary: int, new: str, folder: int, name: str) -> None:
    """Give a temporary file its final name, unless there is a file of that name."""
    where = {"src_dir_fd": temporary, "dst_dir_fd": folder}
    try:
        os.link(new, name, follow_symlinks=False, **where)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(new, name, **where)  # noqa: PTH104  # pathlib takes no descriptors


def read(folder: int, name: str) -> bytes | None:
    """Return what is in a file, or None if there is none."""
    try:
        file = os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(file)
        require_file(found)
        pieces = []
        size = found.st_size
        while size and (piece := os.read(file, size)):  # at most 2 GiB at once
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        os.close(file)


def require_file(found: os.stat_result) -> None:
    """Raise an error as for a link if it is no file."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
