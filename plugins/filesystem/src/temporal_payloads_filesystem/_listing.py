"""Walking through the files of a store. All of it blocks; the driver calls it in threads."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads_filesystem._file import is_there, state_of
from temporal_payloads_filesystem._folders import FOLDER
from temporal_payloads_filesystem._paths import TRASH, Place, folders_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from temporal_payloads_filesystem._files import Files

PAGE = 1000
"""Files that are found in one go, before a thread is given back."""
_DEEPEST = 64
"""Folders in each other: more than a key of the longest names has."""
_TOP = folders_of(parts_of([None])[0])
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that may be a payload's."""

    place: Place
    """Where it is, or was before it was put aside."""
    size: int
    state: str
    time: float
    """When it was written, touched, or put aside, in seconds since 1970."""
    aside: bool


@dataclass(slots=True)
class Page:
    """What was found in one go."""

    entries: list[Entry]
    others: int = 0
    """Files of other names, links, and what else there may be."""

    @property
    def is_full(self) -> bool:
        """Whether it is time for the next one."""
        return len(self.entries) + self.others >= PAGE


def pages(files: Files, part: str) -> Generator[Page, None, None]:
    """Yield what there is in a part of the store, then what of it is put aside.

    While it runs, it has the folders open in which it is. Close it to leave them.
    """
    folders = folders_of(part)
    with files.root.opened() as root:
        for aside in (False, True):
            page = Page([])
            top = (TRASH, *folders) if aside else folders
            with suppress(FileNotFoundError), files.folders.entered(root, top) as descriptors:
                for found in _walk(descriptors[-1], folders):
                    if found is None:
                        page.others += 1
                    elif not (aside and _is_back(files, root, found[0])):
                        page.entries.append(_entry(*found, aside=aside))
                    if page.is_full:
                        yield page
                        page = Page([])
            yield page


def find(files: Files, place: Place) -> Entry | None:
    """Return one file, as it would be listed; None if there is none."""
    with files.root.opened() as root:
        for aside, folders in ((False, place.folders), (True, (TRASH, *place.folders))):
            with suppress(FileNotFoundError), files.folders.entered(root, folders) as descriptors:
                found = os.stat(place.name, dir_fd=descriptors[-1], follow_symlinks=False)
                return _entry(place, found, aside=aside)
    return None


def _walk(folder: int, folders: tuple[str, ...]) -> Iterator[tuple[Place, os.stat_result] | None]:
    """Yield the files below a folder, and None for each thing that is not as the driver makes them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if not entry.is_dir(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    is_file = stat.S_ISREG(found.st_mode) and _NAME.fullmatch(entry.name)
                    yield (Place(folders, entry.name), found) if is_file else None
                    continue
                if folders == _TOP and entry.name.startswith("ns="):
                    continue  # a part of its own
                if len(folders) == _DEEPEST:
                    yield None
                    continue
                below = os.open(entry.name, FOLDER, dir_fd=folder)
            except FileNotFoundError:  # gone since
                continue
            try:
                yield from _walk(below, (*folders, entry.name))
            finally:
                os.close(below)


def _is_back(files: Files, root: int, place: Place) -> bool:
    """Tell whether a file that is put aside has been written anew where it belongs."""
    with suppress(FileNotFoundError), files.folders.entered(root, place.folders) as descriptors:
        return is_there(descriptors[-1], place.name)
    return False


def _entry(place: Place, found: os.stat_result, *, aside: bool) -> Entry:
    return Entry(place, found.st_size, state_of(found), found.st_mtime, aside)
