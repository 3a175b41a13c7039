"""The storage driver: payloads as files, under names made from their content."""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    CollectableDriver,
    ContentAddressedDriver,
    ListedPage,
    gather_bounded,
    probe_conditions,
    renewed_after_fork,
)

from temporal_payloads_filesystem._files import Files
from temporal_payloads_filesystem._listing import Entry, Page, find, pages
from temporal_payloads_filesystem._paths import LAYOUT, key_of, parts_of, place_of
from temporal_payloads_filesystem._settings import DEFAULT_MODE
from temporal_payloads_filesystem._state import FilesystemState
from temporal_payloads_filesystem._trash import Trash

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from datetime import timedelta

    from temporal_payloads.plugin import Change, DiagnosisContext, Finding, ListedPayload

    from temporal_payloads_filesystem._trash import Item

T = TypeVar("T")
R = TypeVar("R")

DRIVER_TYPE = "filesystem"
THREADS = 16
"""How many threads wait for the disk at once: one flush serves all that were asked for meanwhile."""


class FilesystemStorageDriver(ContentAddressedDriver, CollectableDriver):
    """Stores Temporal payloads as files in a directory, which several processes and machines may share.

    A payload is one file, its serialized protobuf, under a name made from its SHA-256 and the workflow or
    activity that it was stored for. Equal payloads of one workflow or activity are stored once. A file that
    can be seen is whole, and what was stored outlasts a power cut.

    Args:
        path: The directory.
        driver_name: The name recorded in references. Whoever retrieves needs a driver of the same name.
        create: Whether a store may be made where there is none: in a directory that is missing, or empty.
            None: only if the path is relative.
        mode: Permissions of files. Who may read a file may enter the folders that lead to it.
        max_payload_size: Largest serialized payload in bytes that is stored.
        threads: How many threads wait for the disk at once.
        retrieve_only: Whether the check asks for no right to write.
        place: Where the settings stand, for error messages; None: there are none.

    Raises:
        ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        driver_name: str = DRIVER_TYPE,
        create: bool | None = None,
        mode: int = DEFAULT_MODE,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
        threads: int = THREADS,
        retrieve_only: bool = False,
        place: str | None = None,
    ) -> None:
        super().__init__(driver_name=driver_name, layout=LAYOUT, max_payload_size=max_payload_size)
        directory = Path(path)
        self._files = Files(
            directory.absolute(),
            create=not directory.is_absolute() if create is None else create,
            mode=mode,
            place=place,
        )
        self._trash = Trash(self._files, mode)
        self._thread_count = threads
        self._retrieve_only = retrieve_only
        self.renew_after_fork()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Have threads of one's own: a forked process has none of its parent's."""
        self._threads = ThreadPoolExecutor(self._thread_count, thread_name_prefix=DRIVER_TYPE)
        self._running: set[Future[Any]] = set()

    def type(self) -> str:
        """Return the driver type, which is the same in every language."""
        return DRIVER_TYPE

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, unless the key is there already."""
        files = [(place_of(key), data) for key, data in items.items()]
        await self._in_parts(self._files.write, files)

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key, None where there is none."""
        parts = await self._in_parts(self._files.read, [place_of(key) for key in keys])
        return [data for part in parts for data in part]

    async def check(self) -> None:
        """Raise a `StorageError` unless payloads can be stored and read.

        Where nothing is to be stored, or on a read-only mount: unless they can be read.
        """
        await self._in_thread(lambda: self._files.check(write=not self._retrieve_only))

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Return what is found of the store's directory."""
        written = [claim.claim_data["key"] for claim in context.written]
        return await self._in_thread(lambda: self._files.diagnose(context, written))

    # -- what a collector asks for

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return a part for each namespace, and one for the payloads of none."""
        return parts_of(namespaces)

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what there is, then what is put aside. Meanwhile some folders of the store are open."""
        walk = pages(self._files, shard)
        # A thread that was given up may still be at work when the walk is to end.
        turn = threading.Lock()

        def next_page() -> Page | None:
            with turn:
                return next(walk, None)

        def end() -> None:
            with turn:
                walk.close()

        try:
            while page := await self._in_thread(next_page):
                found = [self._listed(entry) for entry in page.entries]
                payloads = [one for one in found if one]
                yield ListedPage(payloads=payloads, others=page.others + len(found) - len(payloads))
        finally:
            await self._in_thread(end)

    def _listed(self, entry: Entry) -> ListedPayload | None:
        key = key_of(entry.place)
        if key is None:
            return None
        stored = datetime.fromtimestamp(entry.time, UTC)
        return self.listed(key, size=entry.size, tag=entry.state, stored=stored, aside=entry.aside)

    async def probe(self) -> None:
        """Try on a payload of its own whether files can be put aside, brought back and deleted.

        Raises:
            StorageError: Why not.
        """

        async def look(key: str) -> ListedPayload | None:
            entry = await self._in_thread(lambda: find(self._files, place_of(key)))
            return None if entry is None else self._listed(entry)

        await self._in_thread(self._trash.require_rights)
        await probe_conditions(self, look)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Move payloads into the trash, where readers find them. They stay there until they are deleted."""
        del grace
        return await self._change(self._trash.put_aside, payloads)

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Move payloads out of the trash."""
        return await self._change(self._trash.restore, payloads)

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are in the trash."""
        return await self._change(self._trash.delete, payloads)

    async def _change(
        self, change: Callable[[Sequence[Item]], list[Change]], payloads: Sequence[ListedPayload]
    ) -> list[Change]:
        items = [(place_of(self.key_of(payload)), payload.tag) for payload in payloads]
        # In one thread: collectors take turns.
        return await self._in_thread(lambda: change(items))

    def state(self) -> FilesystemState:
        """Return where a collector keeps its files in this store."""
        return FilesystemState(self._files, self._in_thread)

    async def aclose(self) -> None:
        """Wait until the threads have ended. What they have not begun is not done any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if running := [asyncio.wrap_future(future) for future in set(self._running)]:
            await asyncio.wait(running)
        self._threads.shutdown()

    async def _in_parts(self, work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
        """Do a part of the work in each thread."""
        size = math.ceil(len(items) / self._thread_count) or 1
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        return await gather_bounded(
            lambda part: self._in_thread(lambda: work(part)), parts, self._thread_count
        )

    async def _in_thread(self, work: Callable[[], R]) -> R:
        """Do the work in a thread. Who is cancelled does not wait for it: a lost mount may never answer."""
        waiting = [work]

        def begin() -> R:
            return waiting.pop()()

        future = self._threads.submit(begin)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # Its place in the queue remains until a thread comes to it; its payloads must not.
            if future.cancelled():
                waiting.clear()
            raise
