"""The cache's tier on disk, for workers that restart and for processes that share a machine.

One file an entry, named by the hash of its key, written under another name and then renamed: whatever moment
a process is killed at, an entry is there in whole or not at all. No index and no lock: processes that share
the directory meet only in file names, and two that evict at the same time delete the same files.

Why not a library: `diskcache` 5.6.3 is the candidate, and its last release is of August 2023. It unpickles
what it reads, so that whoever can write to the directory runs code in the worker (CVE-2025-69872, no fixed
release). Its SQLite index needs file locks that network file systems lack, a process that holds the write
lock makes all others wait, evicting the least recently used turns each read into such a write, and values
are not verified. The part of it that is needed here fits in this module.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._storage.cache.memory import CacheKey, TierStatistics
from temporal_payloads._storage.cache.private_directory import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

logger = logging.getLogger("temporal_payloads")

FORMAT = "v1"
"""Directory below the configured one. Another layout of files gets another name, and leaves this alone."""
ENTRY = re.compile(r"[0-9a-f]{64}\.payload", re.ASCII)
UNFINISHED = re.compile(r"[0-9a-f]{32}\.unfinished", re.ASCII)
"""What we write is called like one of these. Nothing else is counted, and nothing else deleted."""
CHECKSUM_SIZE = hashlib.sha256().digest_size
"""A file is the SHA-256 of its name and the payload, then the payload. The claim's hash would not do: it is
of the bytes that were stored, and protobuf may serialize an equal payload otherwise."""
BLOCK = 4096
"""File systems give out space in blocks; so it is counted."""
QUEUE_SIZE = 64 * 1024 * 1024
"""Bytes that may wait to be written. Beyond that a slow disk loses entries, not the worker its memory."""
READ_SECONDS = 2.0
"""How long a payload waits for the disk before it is fetched from the store after all."""
PAUSE_SECONDS = 60.0
"""How long a disk that failed is left alone."""
ABANDONED_SECONDS = 3600.0
"""Age from which an unfinished file is taken for that of a process that was killed."""


class DiskCache:
    """Serialized payloads by content, in files, bounded in bytes; the least recently used go first.

    Nothing here raises, and nothing waits for a write: a disk that is full, gone, slow or not ours is
    logged once, and left alone for a while. Safe to share between event loops, threads and processes.

    Each process looks after the whole directory whenever it has written a 64th of `max_size`, and evicts
    down to three quarters when it finds it over seven eighths full. So the bound holds for up to eight
    processes that write at the same time; each further one may exceed it by a 64th.

    Args:
        directory: Where to keep the files, in a directory of its own that only this user may read. See
            `PrivateDirectory` for what must hold for it and those above.
        max_size: Bytes on disk. A payload over half of it is not kept.
    """

    def __init__(self, directory: Path, max_size: int) -> None:
        self._path = directory.expanduser().absolute() / FORMAT
        self._directory: PrivateDirectory | None = None
        self._max_size = max_size
        self._reading = _Trouble(self._path, "read")
        self._writing = _Trouble(self._path, "written")
        self._room = 0
        self._entries = self._size = self._hits = self._misses = self._evictions = 0
        self.renew_after_fork()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make threads, and locks that no thread of the parent holds. Its queue is left to the parent."""
        self._lock = threading.Lock()
        self._tidying = threading.Lock()
        # Not the codecs' pool: a hanging disk may stop these threads, never those.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="temporal-payloads-disk-cache")
        self._queued = 0

    def accepts(self, size: int) -> bool:
        """Tell whether a payload of this size would be kept."""
        return _blocks(size + CHECKSUM_SIZE) <= self._max_size // 2

    # -- reading

    async def get(self, keys: Sequence[CacheKey]) -> dict[CacheKey, bytes]:
        """Return those of the payloads that are there, intact, and quickly had."""
        if not self._reading.over():
            return {}
        found: dict[CacheKey, bytes] = {}

        deadline = time.monotonic() + READ_SECONDS

        def read() -> None:
            directory = self._opened()
            for key in keys:
                if time.monotonic() > deadline:
                    break
                data = self._read(directory, _name(key))
                if data is not None:
                    found[key] = data

        try:
            reading = asyncio.get_running_loop().run_in_executor(self._threads, read)
            await asyncio.wait_for(reading, READ_SECONDS)
        except TimeoutError:
            if not found:
                self._reading.begins(f"no answer within {READ_SECONDS:g}s")
        except (OSError, RuntimeError) as error:  # RuntimeError: the interpreter is shutting down
            self._reading.begins(error)
        else:
            self._reading.ends()
        found = dict(found)  # the thread may still be adding
        with self._lock:
            self._hits += len(found)
            self._misses += len(keys) - len(found)
        return found

    def _read(self, directory: PrivateDirectory, name: str) -> bytes | None:
        try:
            with os.fdopen(directory.open(name), "rb") as file:
                checksum = file.read(CHECKSUM_SIZE)
                data = file.read()
                if _checksum(name, data) == checksum:
                    os.utime(file.fileno())  # the time of last use: access times are off on most file systems
                    return data
            logger.warning("Deleted %s from the payload cache: it is damaged", self._path / name)
            directory.unlink(name)
        except FileNotFoundError:
            pass
        return None

    # -- writing

    def put(self, key: CacheKey, data: bytes) -> None:
        """Keep the serialized payload, soon, if it is not too large."""
        if not self.accepts(len(data)) or not self._writing.over():
            return
        with self._lock:
            if self._queued and self._queued + len(data) > QUEUE_SIZE:
                return
            self._queued += len(data)

        def written(_: Future[None]) -> None:
            with self._lock:
                self._queued -= len(data)

        with suppress(RuntimeError):  # the interpreter is shutting down
            self._threads.submit(self._write, key, data).add_done_callback(written)

    def _write(self, key: CacheKey, data: bytes) -> None:
        try:
            directory = self._opened()
            name = _name(key)
            if name in directory:
                return
            self._make_room(directory, _blocks(len(data) + CHECKSUM_SIZE))
            _write_file(directory, name, data)
        except OSError as error:
            self._directory = None  # it may have been deleted
            self._writing.begins(error)
        else:
            self._writing.ends()

    def _opened(self) -> PrivateDirectory:
        """Return the directory as it was when it was opened, whatever has its name by now."""
        directory = self._directory
        if directory is None:
            directory = self._directory = PrivateDirectory(self._path)
        return directory

    def _make_room(self, directory: PrivateDirectory, needed: int) -> None:
        with self._tidying:
            self._room -= needed
            if self._room < 0:
                self._tidy(directory, needed)
                self._room = self._max_size // 64
            with self._lock:
                self._entries += 1
                self._size += needed

    def _tidy(self, directory: PrivateDirectory, needed: int) -> None:
        """Look at what all processes have put here, and evict what is too much."""
        now = time.time()
        entries: list[tuple[float, int, str]] = []
        size = 0
        for name, status in directory.files():
            if ENTRY.fullmatch(name):
                entries.append((status.st_mtime, _blocks(status.st_size), name))
            elif not UNFINISHED.fullmatch(name):
                continue
            elif now - status.st_mtime > ABANDONED_SECONDS:
                with suppress(FileNotFoundError):  # another process was faster
                    directory.unlink(name)
                continue
            size += _blocks(status.st_size)
        entries.sort(reverse=True)
        if size + needed > self._max_size * 7 // 8:
            while entries and size + needed > self._max_size * 3 // 4:
                _, space, name = entries.pop()
                size -= space
                with suppress(FileNotFoundError):
                    directory.unlink(name)
                    self._evictions += 1
        with self._lock:
            self._entries, self._size = len(entries), size

    @property
    def statistics(self) -> TierStatistics:
        """How the tier is doing; what is in it, as far as this process has seen."""
        with self._lock:
            return TierStatistics(
                self._entries, self._size, self._max_size, self._hits, self._misses, self._evictions
            )


class _Trouble:
    """A spell in which the disk cannot be used: told once when it begins, and once when it is over."""

    def __init__(self, directory: Path, done: str) -> None:
        self._directory = directory
        self._done = done
        self._lasts = False
        self._until = 0.0

    def over(self) -> bool:
        """Tell whether the disk may be tried."""
        return time.monotonic() >= self._until

    def begins(self, why: object) -> None:
        """Leave the disk alone for a while."""
        self._until = time.monotonic() + PAUSE_SECONDS
        # Remembered before it is told: another thread may fail while this one logs.
        lasted, self._lasts = self._lasts, True
        if not lasted:
            logger.warning(
                "The payload cache in %s (storage.cache.dir) cannot be %s: %s. Payloads are not affected; "
                "it is tried again every %d seconds",
                self._directory,
                self._done,
                why,
                PAUSE_SECONDS,
            )

    def ends(self) -> None:
        """The disk was used."""
        if self._lasts:
            logger.info("The payload cache in %s is %s again", self._directory, self._done)
        self._lasts = False


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _name(key: CacheKey) -> str:
    return f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.payload"


def _write_file(directory: PrivateDirectory, name: str, data: bytes) -> None:
    unfinished = f"{uuid.uuid4().hex}.unfinished"
    try:
        with os.fdopen(directory.create(unfinished), "wb") as file:
            file.write(_checksum(name, data))
            file.write(data)
        # Not flushed to the disk first: what a power failure cuts short fails its checksum.
        directory.rename(unfinished, name)
    except BaseException:
        with suppress(OSError):
            directory.unlink(unfinished)
        raise


def _checksum(name: str, data: bytes) -> bytes:
    checksum = hashlib.sha256(name.encode())
    checksum.update(data)
    return checksum.digest()
