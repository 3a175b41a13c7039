"""A key ring whose files are read again when they change."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from temporal_payloads.plugin import renewed_after_fork

from temporal_payloads_encryption_codec._key_ring import KeyRing, LocalKey

logger = logging.getLogger("temporal_payloads")

LOOKED_AT_EVERY = 1.0
"""Seconds between two looks at the files."""

LARGEST_FILE = 1024 * 1024

State = tuple[int, int, int, int]
"""What is another one when a file has been written or replaced."""


class Files:
    """Reads files, and can tell whether they have changed since."""

    def __init__(self) -> None:
        self._read_in: dict[Path, State] = {}

    def __str__(self) -> str:
        return ", ".join(map(str, self._read_in))

    def __bool__(self) -> bool:
        return bool(self._read_in)

    def read(self, file: Path) -> bytes:
        """Return what a file holds.

        Raises:
            OSError: It cannot be read.
            ValueError: It is too large.
        """
        with file.open("rb") as opened:
            # The state of the very file that is read, and before it is: what comes later is a change.
            self._read_in[file] = _state(os.fstat(opened.fileno()))
            content = opened.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"has more than {LARGEST_FILE:,} bytes")
        return content

    def have_changed(self) -> bool:
        """Tell whether one of those that were read is another one now, or not there."""
        return any(_state_of(file) != state for file, state in self._read_in.items())


class WatchedRing:
    """Gives the ring of now. Files that are wrong, or not there, leave it as it was, and that is logged.

    Args:
        read: Reads the ring, given the one that is there already and what to read files with; raises what is
            wrong.
        place: Where it is configured, for the log.
        is_described_by_file: A file says which keys there are, and not only what they are.
        clock: Seconds, monotonic.

    Raises:
        Exception: What `read` raised: a ring that was never right is an error.
    """

    def __init__(
        self,
        read: Callable[[KeyRing | None, Files], KeyRing],
        place: str,
        *,
        is_described_by_file: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._place = place
        self.is_described_by_file = is_described_by_file
        self._clock = clock
        self._lock = threading.Lock()
        self._next_look = clock() + LOOKED_AT_EVERY
        self._files = Files()
        self._ring = read(None, self._files)
        self._tell_what_is_never_reached()
        self._failure: str | None = None
        """Why the last reading failed."""
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds."""
        self._lock = threading.Lock()

    def current(self) -> KeyRing:
        """Return the ring, read anew if a file has changed."""
        if self._files and self._clock() >= self._next_look:
            with self._lock:
                if self._clock() >= self._next_look:
                    self._look()
                    self._next_look = self._clock() + LOOKED_AT_EVERY
        return self._ring

    def _look(self) -> None:
        # After a failure it is tried at every look: what failed may be a file that only the new ring names.
        if self._failure is None and not self._files.have_changed():
            return
        files = Files()
        try:
            ring = self._read(self._ring, files)
            _require_the_same_keys(self._ring, ring)
        except Exception as error:  # noqa: BLE001  # whatever a file holds, the ring that is there is kept
            self._tell(str(error))
            return
        self._failure = None
        self._ring, self._files = ring, files
        logger.info(
            "%s: the key ring was read again: active %r, keys %s",
            self._place,
            ring.active,
            ", ".join(map(repr, ring.keys)),
        )
        self._tell_what_is_never_reached()

    def _tell_what_is_never_reached(self) -> None:
        for later, earlier in self._ring.never_reached.items():
            logger.warning(
                "%s: the key of the namespaces %r never writes: %r stands before and matches all of them. "
                "Put the narrower pattern first",
                self._place,
                later,
                earlier,
            )

    def _tell(self, failure: str) -> None:
        if failure == self._failure:
            return
        self._failure = failure
        logger.error(
            "%s: the key ring's files (%s) have changed and cannot be used; the keys that were read "
            "before are kept. Mend them: %s",
            self._place,
            self._files,
            failure,
        )


def _require_the_same_keys(before: KeyRing, after: KeyRing) -> None:
    for key_id, key in after.keys.items():
        known = before.keys.get(key_id)
        if isinstance(known, LocalKey) and isinstance(key, LocalKey) and known.secret != key.secret:
            raise ValueError(
                f"the key {key_id!r} is another one than before. What it has encrypted could not be read any "
                "more: give a new key a new id"
            )


def _state_of(file: Path) -> State | None:
    try:
        return _state(file.stat())
    except OSError:
        return None


def _state(found: os.stat_result) -> State:
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
