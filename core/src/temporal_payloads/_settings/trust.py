"""Whether a file that nobody named may be read."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def why_not_trusted(file: Path) -> str | None:
    """Return why settings must not be taken from this file, if somebody else could have written it.

    A file that nobody named is read for the directory in which a process happens to be started. In a
    directory that is shared, anybody could put one there.

    Raises:
        OSError: The file or its directory cannot be looked at.
    """
    if sys.platform == "win32":
        return None  # its access lists say nothing in the mode
    # A link is whoever's it is; what it leads to is looked at as well.
    link, found, directory = file.lstat(), file.stat(), file.absolute().parent.stat()
    for what, status in (("it", link), ("it", found), ("its directory", directory)):
        if status.st_uid not in (0, os.geteuid()):
            return f"{what} belongs to another user (id {status.st_uid})"
    if _others_can_write(found):
        return f"others can write it (mode {stat.S_IMODE(found.st_mode):04o})"
    # With the sticky bit, others can write into the directory, but not replace what is in it.
    if not directory.st_mode & stat.S_ISVTX and _others_can_write(directory) and not _read_only(file):
        return f"others can write in its directory (mode {stat.S_IMODE(directory.st_mode):04o})"
    return None


def why_others_reach(directory: Path) -> str | None:
    """Return why what is put into this directory could be taken or replaced by somebody else.

    Raises:
        OSError: It cannot be looked at.
    """
    if sys.platform == "win32":
        return None  # its access lists say nothing in the mode
    found = directory.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to another user (id {found.st_uid})"
    if not found.st_mode & stat.S_ISVTX and _others_can_write(found):
        return f"others can write in it (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _others_can_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private_group(status)


def _is_private_group(status: os.stat_result) -> bool:
    """Tell whether the group is the owner's alone, as where every user has a group of the same name.

    There files are writable by the group by default, and that says nothing.
    """
    if sys.platform == "win32":
        return False
    import grp  # noqa: PLC0415  # POSIX only
    import pwd  # noqa: PLC0415  # likewise

    try:
        owner = pwd.getpwuid(status.st_uid)
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        # In a container, users need not have names; private groups have their user's number.
        return status.st_gid == status.st_uid
    return (
        owner.pw_gid == status.st_gid
        and group.gr_name == owner.pw_name
        and set(group.gr_mem) <= {owner.pw_name}
    )


def _read_only(file: Path) -> bool:
    # A volume of Kubernetes is writable by everybody in its mode, and mounted so that nobody can.
    return sys.platform != "win32" and bool(os.statvfs(file).f_flag & os.ST_RDONLY)
