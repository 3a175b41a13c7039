"""The files that a collector keeps in the store's directory, beside the payloads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from temporal_payloads_filesystem._paths import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from temporal_payloads_filesystem._files import Files

    T = TypeVar("T")

    class InThread(Protocol):
        """Does work in a thread."""

        def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


FOLDER = "state"
_SPELLED_OTHERWISE = re.compile(r"[A-Z/]")
_SPELLED = re.compile(r"\^[a-z]|%")


class FilesystemState:
    """See `temporal_payloads.plugin.StateStore`.

    All files are in one folder. In their names `^a` is an upper-case A, for file systems that ignore case,
    and `%` a slash. All begin with `=`, so that none is hidden, or leads elsewhere.

    Args:
        files: The files of the store.
        in_thread: Does work that blocks.
    """

    def __init__(self, files: Files, in_thread: InThread) -> None:
        self._files = files
        self._in_thread = in_thread

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        (data,) = await self._in_thread(lambda: self._files.read([_place(name)]))
        return data

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there."""
        await self._in_thread(lambda: self._files.replace(_place(name), data))

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        files = await self._in_thread(lambda: self._files.names([FOLDER]))
        names = [_SPELLED.sub(_original, file[1:]) for file in files if file.startswith("=")]
        return sorted(name for name in names if name.startswith(prefix))

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        await self._in_thread(lambda: self._files.remove(_place(name)))


def _place(name: str) -> Place:
    return Place((FOLDER,), "=" + _SPELLED_OTHERWISE.sub(_spelled, name))


def _spelled(found: re.Match[str]) -> str:
    return "%" if found[0] == "/" else f"^{found[0].lower()}"


def _original(found: re.Match[str]) -> str:
    return "/" if found[0] == "%" else found[0][1:].upper()
