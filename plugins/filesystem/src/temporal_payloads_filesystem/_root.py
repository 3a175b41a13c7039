"""The store's directory, and the mark by which it is told from a mount point without its volume."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageMisconfiguredError, StorageUnavailableError

from temporal_payloads_filesystem._errors import os_errors_explained
from temporal_payloads_filesystem._folders import flush, folder_mode, give_mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads_filesystem._errors import Origin

MARK = "temporal-payloads.store"
"""The file that makes a directory a store. It is not read: `touch` makes one too."""
_MARK_TEXT = b"""\
Payloads of Temporal workflows, kept by temporal-payloads. Without this file nothing in this directory is
used: it tells the store from a mount point whose volume is not mounted.
"""
# The path itself may be a link: whoever configures it chooses.
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_CONTENT = {"lost+found", ".snapshot"}
"""What the roots of empty volumes have."""
_SEEN: set[Path] = set()
"""Stores that this process has used. One that was there and is not any more has been lost, whatever may be
created. A few paths, as many as are configured."""


class Root:
    """The store's directory.

    It is opened anew for every piece of work: so no descriptor keeps the volume from being unmounted, and
    one that was unmounted, or mounted again, is noticed.

    Args:
        origin: Its path, and where that is configured.
        create: Whether a store may be made where there is none.
        mode: Permissions of files.
    """

    def __init__(self, origin: Origin, *, create: bool, mode: int) -> None:
        self._origin = origin
        self._may_create = create
        self._mode = mode

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor of the directory.

        Raises:
            StorageError: It is not there, or is no store; or what went wrong in the block.
        """
        # Before one looks: a store that is not found is no lost one only because another thread makes it
        # just then.
        create = self._may_create and self._origin.path not in _SEEN
        with os_errors_explained(self._origin):
            root = self._open(create=create)
            try:
                if not _has_mark(root):
                    self._make_store(root, create=create)
                _SEEN.add(self._origin.path)
                yield root
            finally:
                os.close(root)

    def _open(self, *, create: bool) -> int:
        path = self._origin.path
        try:
            return os.open(path, _DIRECTORY)
        except NotADirectoryError:
            raise StorageMisconfiguredError(f"{self._origin} is no directory: name one") from None
        except FileNotFoundError:
            if not create:
                raise StorageUnavailableError(
                    f"{self._origin} does not exist. {self._advice()}", store_asked=True
                ) from None
        if not path.parent.is_dir():
            raise StorageMisconfiguredError(
                f"{self._origin} cannot be made, for there is no {str(path.parent)!r} to make it in: make "
                "that, or correct the path"
            )
        with suppress(FileExistsError):  # by another process or thread, just now
            path.mkdir(folder_mode(self._mode))
        _flush_folder(path.parent)
        root = os.open(path, _DIRECTORY)
        try:
            give_mode(root, folder_mode(self._mode))
        except BaseException:
            os.close(root)
            raise
        return root

    def _make_store(self, root: int, *, create: bool) -> None:
        if not create:
            raise StorageUnavailableError(f"{self._origin} holds no file {MARK!r}. {self._advice()}")
        others = sorted(set(os.listdir(root)) - _NO_CONTENT - {MARK})
        if others and not _has_mark(root):
            raise StorageMisconfiguredError(
                f"{self._origin} is not made a store, for it holds other files ({others[0][:100]!r} is "
                f"one): name an empty directory. If these are payloads, make the file {MARK!r} in it"
            )
        try:
            mark = os.open(MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode, dir_fd=root)
        except FileExistsError:  # by another process or thread, just now
            return
        try:
            give_mode(mark, self._mode)
            os.write(mark, _MARK_TEXT)
            flush(mark)
        finally:
            os.close(mark)
        flush(root)

    def _advice(self) -> str:
        return (
            "Either its volume is not mounted: mount it, and what waits goes on. Or there is no store yet: "
            f"set {self._origin.its}create = true for the first start, or make the directory and in it a "
            f"file {MARK!r}"
        )


def _has_mark(root: int) -> bool:
    try:
        os.stat(MARK, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _flush_folder(path: Path) -> None:
    folder = os.open(path, _DIRECTORY)
    try:
        flush(folder)
    finally:
        os.close(folder)
