"""Errors of the operating system as storage errors: what failed, where it was configured, what to do now."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Rule:
    """A kind of error, the storage error that it becomes, and its sentence."""

    names: tuple[str, ...]
    """Of the error's number; not every system has all."""
    error: type[StorageError]
    sentence: str


RULES = (
    Rule(
        ("ENOSPC",),
        StorageUnavailableError,
        "is on a file system that is full, or has no room for more files (df -h and df -i tell): make room",
    ),
    Rule(
        ("EDQUOT",),
        StorageUnavailableError,
        "has used up the quota of user {user}, of its group or of the volume: raise the quota, or make room",
    ),
    Rule(
        ("EROFS",),
        StorageUnavailableError,
        "is mounted read-only, on purpose or since its disk failed: mount it for writing wherever payloads "
        "are stored",
    ),
    Rule(
        ("EACCES", "EPERM"),
        StoragePermissionError,
        "or something in it is closed to user {user}: give that user the directory with all that is in it. "
        'If several users share it, set {its}mode = "0660" for all, and give the directory to their group',
    ),
    Rule(
        ("EMFILE", "ENFILE"),
        StorageUnavailableError,
        "could not be used, for this process or machine has too many files open: raise the limit (ulimit -n)",
    ),
    Rule(
        ("ELOOP", "ENOTDIR", "EISDIR"),
        StorageMisconfiguredError,
        "holds a link, or a file in place of a folder, where the driver has put neither; links are never "
        "followed: find it (find {path} -type l) and remove it",
    ),
    Rule(
        ("ENAMETOOLONG",),
        StorageMisconfiguredError,
        "is on a file system that takes no names of 140 bytes, or its own path is too long: use another one",
    ),
    Rule(
        ("EXDEV",),
        StorageMisconfiguredError,
        "spans several file systems or quotas, and a file cannot be linked from one to another: mount one "
        "file system for all of it",
    ),
    Rule(
        ("ENOLCK",),
        StorageMisconfiguredError,
        "is on a file system without locks, by which collectors take turns: mount it with them (NFS: without "
        "nolock), or collect nothing there",
    ),
    Rule(
        ("EFBIG",),
        StorageMisconfiguredError,
        "takes no file as large as this payload: see ulimit -f and the file system's limit, or lower "
        "{its}max_payload_size",
    ),
)
OTHERWISE = Rule(
    (),
    StorageUnavailableError,
    "cannot be used: the mount is lost, its server is away, or the disk fails. See that it is mounted and "
    "can be read (mount, ls {path})",
)


@dataclass(frozen=True)
class Origin:
    """Which directory an error is about, and how its settings are called."""

    path: Path
    place: str | None = None
    """Where the settings stand (`storage.drivers.filesystem`); None for a driver that was made by hand."""

    @property
    def its(self) -> str:
        """What precedes the name of a setting in a sentence."""
        return f"{self.place}." if self.place else "the driver's "

    def __str__(self) -> str:
        return f"The directory {str(self.path)!r} ({self.its}path)"


@contextmanager
def os_errors_explained(origin: Origin) -> Iterator[None]:
    """Raise the operating system's errors as storage errors."""
    try:
        yield
    except OSError as error:
        raise explain(error, origin) from None


def explain(error: OSError, origin: Origin) -> StorageError:
    """Return what the error means to whoever configured the directory."""
    name = errno.errorcode.get(error.errno or 0, "no number")
    rule = next((rule for rule in RULES if name in rule.names), OTHERWISE)
    sentence = rule.sentence.format(its=origin.its, path=origin.path, user=os.geteuid())
    return rule.error(f"{origin} {sentence}. The system said {name}: {error.strerror}")
