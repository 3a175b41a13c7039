"""Putting files aside, and what becomes of them. All of it blocks; the driver calls it in threads.

Put aside means moved into the folder `trash`, in which files lie as in the root. Collectors take turns there.
Writers and readers wait for nobody: a writer that finds a file there moves it back, a reader reads it there.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_filesystem._file import READ, is_there, move, require_file, state_of
from temporal_payloads_filesystem._folders import give_mode, give_owner
from temporal_payloads_filesystem._paths import PAYLOADS, TRASH, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from temporal_payloads.plugin import Change

    from temporal_payloads_filesystem._files import Files

_LOCK = "lock"
"""The file in the trash by which collectors take turns."""
_LOCKED = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = 0o022
"""Permissions with which a store is not only its owner's."""
Step = Callable[[int | None, int | None, str, str], "Change"]
"""Changes one file. It is given the folder where the file belongs and that in the trash, or None for one that
does not exist; the file's name, and the state in which it was listed."""
Item = tuple[Place, str]
"""Where a file is when it is not aside, and the state in which it was listed."""


class Trash:
    """What is put aside in one store.

    Args:
        files: The files of the store.
        mode: Permissions of files.
    """

    def __init__(self, files: Files, mode: int) -> None:
        self._files = files
        self._mode = mode

    def require_rights(self) -> None:
        """Make sure that whoever stores payloads can use what a collector makes here.

        Raises:
            StorageMisconfiguredError: They could not, for it runs as another user.
        """
        with self._files.root.opened() as root, self._turn(root):
            pass

    def put_aside(self, items: Sequence[Item]) -> list[Change]:
        """Move files into the trash, each if it is still in this state."""
        return self._change(items, _put_aside)

    def restore(self, items: Sequence[Item]) -> list[Change]:
        """Move files out of the trash, each if it is still in this state."""
        return self._change(items, _restore)

    def delete(self, items: Sequence[Item]) -> list[Change]:
        """Delete files in the trash, each if it is still in this state, and folders that are empty then."""
        return self._change(items, _delete)

    def _change(self, items: Sequence[Item], change: Step) -> list[Change]:
        changes: dict[int, Change] = {}
        numbered = sorted(enumerate(items), key=lambda item: item[1][0].folders)
        with self._files.root.opened() as root, self._turn(root):
            for folders, group in itertools.groupby(numbered, lambda item: item[1][0].folders):
                with (
                    self._entered(root, folders, make=change is _restore) as here,
                    self._entered(root, (TRASH, *folders), make=change is _put_aside) as aside,
                ):
                    # Nothing is flushed: after a power cut a file may be where it was before, and there it
                    # is found as well.
                    for number, (place, state) in group:
                        try:
                            changes[number] = change(here, aside, place.name, state)
                        except PermissionError:  # of this file or folder: it is immutable, or another user's
                            changes[number] = "refused"
        return [changes[number] for number in range(len(items))]

    @contextmanager
    def _turn(self, root: int) -> Iterator[None]:
        """Wait until no other collector, here or on another machine, is at work in the trash."""
        owner, shared = _owner_of_payloads(root), self._mode & _OTHERS_WRITE
        if not shared and os.geteuid() not in (0, owner.st_uid):
            raise self._closed(owner)
        with self._files.folders.entered(root, [TRASH], make=True) as (_, trash):
            if os.geteuid() == 0 and os.fstat(trash).st_uid != owner.st_uid:
                try:
                    os.fchown(trash, owner.st_uid, owner.st_gid)
                except PermissionError:
                    if not shared:
                        with suppress(OSError):  # what lies in it stays
                            os.rmdir(TRASH, dir_fd=root)
                        raise self._closed(owner) from None
            lock = os.open(_LOCK, _LOCKED, self._mode, dir_fd=trash)
            give_owner(lock, trash)
        try:
            give_mode(lock, self._mode)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _closed(self, owner: os.stat_result) -> StorageMisconfiguredError:
        return StorageMisconfiguredError(
            f"{self._files.origin} holds payloads of user {owner.st_uid}, who could not enter what user "
            f"{os.geteuid()} puts aside there: collect as user {owner.st_uid}, or as root with the right to "
            f'give files away. If a group shares the store, set {self._files.origin.its}mode = "0660" for all'
        )

    @contextmanager
    def _entered(self, root: int, folders: Sequence[str], *, make: bool) -> Iterator[int | None]:
        """Yield a folder's descriptor, or None if there is none. At the end, remove empty folders."""
        with ExitStack() as stack:
            try:
                descriptors = stack.enter_context(self._files.folders.entered(root, folders, make=make))
            except FileNotFoundError:
                yield None
                return
            yield descriptors[-1]
            # A folder that is not empty stays. A writer that was about to use one makes it anew.
            with suppress(OSError):
                for depth in range(len(folders) - 1, 0, -1):
                    os.rmdir(folders[depth], dir_fd=descriptors[depth])


def _owner_of_payloads(root: int) -> os.stat_result:
    """Return what tells to whom the payloads belong; as long as there are none, the store itself."""
    try:
        return os.stat(PAYLOADS, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return os.fstat(root)


def _put_aside(here: int | None, aside: int | None, name: str, state: str) -> Change:
    assert aside is not None
    try:
        if here is None or not _touch_listed(here, name, state):
            return "changed" if _is_there(here, name) or _is_there(aside, name) else "gone"
        move(here, name, aside)
    except FileNotFoundError:  # another user of the directory, for collectors take turns
        return "gone"
    return "done"


def _touch_listed(folder: int, name: str, state: str) -> bool:
    """Give a file the time of now, since which it is aside, if it is as it was listed."""
    try:
        file = os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        found = os.fstat(file)
        require_file(found)
        if state_of(found) != state:
            return False
        os.utime(file)
        return True
    finally:
        os.close(file)


def _restore(here: int | None, aside: int | None, name: str, state: str) -> Change:
    assert here is not None
    if (problem := _not_as_listed(here, aside, name, state)) or aside is None:
        return problem or "gone"
    try:
        move(aside, name, here)
    except FileNotFoundError:  # a writer was first
        return "changed"
    return "done"


def _delete(here: int | None, aside: int | None, name: str, state: str) -> Change:
    if (problem := _not_as_listed(here, aside, name, state)) or aside is None:
        return problem or "gone"
    try:
        os.unlink(name, dir_fd=aside)
    except FileNotFoundError:  # a writer was first
        return "changed"
    return "done"


def _not_as_listed(here: int | None, aside: int | None, name: str, state: str) -> Change | None:
    """Return why a file in the trash is not in the state in which it was listed; None if it is."""
    try:
        found = None if aside is None else os.stat(name, dir_fd=aside, follow_symlinks=False)
    except FileNotFoundError:
        found = None
    # A writer of an earlier release, or one that just missed it, has written it anew.
    if _is_there(here, name) or (found and state_of(found) != state):
        return "changed"
    return None if found else "gone"


def _is_there(folder: int | None, name: str) -> bool:
    return folder is not None and is_there(folder, name)
