"""A key ring whose files are read again when they change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from temporal_payloads_encryption_codec._key_ring import KeyRing, LocalKey

logger = logging.getLogger("temporal_payloads")

LOOKED_AT_EVERY = 1.0
"""Seconds between two looks at the files."""

State = tuple[tuple[int, int, int, int] | None, ...]


class ReadRing:
    """A ring, and the files that it was read from."""

    def __init__(self, ring: KeyRing, files: Iterable[Path]) -> None:
        self.ring = ring
        self.files = tuple(files)


class WatchedRing:
    """Gives the ring of now. Files that are wrong, or not there, leave it as it was, and that is logged.

    Args:
        read: Reads the ring, with the keys that are there already; raises what is wrong.
        place: Where it is configured, for the log.
        is_described_by_file: A file says which keys there are, and not only what they are.
        clock: Seconds, monotonic.

    Raises:
        Exception: What `read` raised: a ring that was never right is an error.
    """

    def __init__(
        self,
        read: Callable[[KeyRing | None], ReadRing],
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
        self._now = read(None)
        self._state = _state_of(self._now.files)

    def current(self) -> KeyRing:
        """Return the ring, read anew if a file has changed."""
        if self._now.files and self._clock() >= self._next_look:
            with self._lock:
                if self._clock() >= self._next_look:
                    self._look()
                    self._next_look = self._clock() + LOOKED_AT_EVERY
        return self._now.ring

    def _look(self) -> None:
        state = _state_of(self._now.files)
        if state == self._state:
            return
        # Told once for each change: what is wrong stays wrong until the next one.
        self._state = state
        try:
            new = self._read(self._now.ring)
            _require_the_same_keys(self._now.ring, new.ring)
        except Exception as error:  # noqa: BLE001  # whatever a file holds, the ring that is there is kept
            logger.error(  # noqa: TRY400  # a traceback says no more, and may show what the files hold
                "%s: the key ring's files (%s) have changed and cannot be used; the keys that were read "
                "before are kept. Mend them: %s",
                self._place,
                ", ".join(map(str, self._now.files)),
                error,
            )
            return
        self._now = new
        self._state = _state_of(new.files)
        logger.info(
            "%s: the key ring was read again: active %r, keys %s",
            self._place,
            new.ring.active,
            ", ".join(map(repr, new.ring.keys)),
        )


def _require_the_same_keys(before: KeyRing, after: KeyRing) -> None:
    for key_id, key in after.keys.items():
        known = before.keys.get(key_id)
        if isinstance(known, LocalKey) and isinstance(key, LocalKey) and known.secret != key.secret:
            raise ValueError(
                f"the key {key_id!r} is another one than before. What it has encrypted could not be read any "
                "more: give a new key a new id"
            )


def _state_of(files: Iterable[Path]) -> State:
    states: list[tuple[int, int, int, int] | None] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            states.append(None)
        else:
            states.append((found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev))
    return tuple(states)
