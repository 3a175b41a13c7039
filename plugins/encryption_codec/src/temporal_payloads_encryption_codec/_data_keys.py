"""Data keys of keys that providers keep: made and opened seldom, shared by all who want them."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporal_payloads.plugin import KeyUnavailableError, StorageError, renewed_after_fork

from temporal_payloads_encryption_codec._key_text import KEY_SIZE
from temporal_payloads_encryption_codec._sealing import SealingKey

if TYPE_CHECKING:
    from datetime import timedelta

    from temporal_payloads_encryption_codec._key_ring import ProvidedKey

T = TypeVar("T")

logger = logging.getLogger("temporal_payloads")

MOST_MESSAGES = 2**24
"""Messages after which a data key is renewed, whatever its age: far from what random nonces allow."""
FAILURE_REMEMBERED = 2.0
"""Seconds in which a provider that failed is not asked for the same again: callers come by the hundred."""
MOST_FAILURES = 1000
"""Failures that are remembered."""
MOST_UNOPENED = 16
"""Data keys that were not opened for one reader, and none between, after which no more is asked for. Whoever
may send payloads can make up a data key for each, and each is a call of the quota that workers need too. A
page of 1,000 payloads from as many processes never comes near: one that is opened begins the count anew."""
RENEWAL_PAUSE = 10.0
"""Seconds between two tries to renew a data key in the background."""


@dataclass
class WritingKey:
    """A data key that encrypts."""

    sealing: SealingKey = field(repr=False)
    wrapped: bytes
    """Base64, as it stands in payloads."""
    made: float
    messages: int = 0
    next_renewal: float = 0.0


class DataKeys:
    """The data keys of one codec. Several event loops and threads may use them at the same time.

    Args:
        duration: How long a data key writes at most.
        renew_before: How long before its end it is renewed.
        keep_for: How long an opened data key is kept.
        most: How many opened data keys are kept.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        duration: timedelta,
        renew_before: timedelta,
        keep_for: timedelta,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._duration = duration.total_seconds()
        self._renewed_after = self._duration - renew_before.total_seconds()
        self._keep_for = keep_for.total_seconds()
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._writing: dict[str, WritingKey] = {}
        self._opened: OrderedDict[tuple[str, bytes], tuple[AESGCM, float]] = OrderedDict()
        self._failures: OrderedDict[Hashable, tuple[float, StorageError]] = OrderedDict()
        self._flights: dict[tuple[asyncio.AbstractEventLoop, Hashable], asyncio.Task[object]] = {}
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds."""
        self._lock = threading.Lock()

    async def for_writing(self, key: ProvidedKey, messages: int) -> WritingKey:
        """Return the data key that encrypts now, for so many messages more.

        Raises:
            KeyUnavailableError: There is none, and the provider gives none.
        """
        current = self._writing.get(key.id)
        now = self._clock()
        if current is None or now - current.made >= self._duration:
            current = await self._once(("make", key.id), lambda: self._make(key))
        elif self._is_due(current, now):
            # Whoever encrypts goes on with the present key meanwhile.
            current.next_renewal = now + RENEWAL_PAUSE
            self._flight(("renew", key.id), lambda: self._renew(key, current))
        with self._lock:
            current.messages += messages
        return current

    async def for_reading(
        self, key: ProvidedKey, wrapped: bytes, unopened: set[Hashable] | None = None
    ) -> AESGCM:
        """Return the cipher of a data key that this key wrapped.

        Args:
            key: The key that is said to have wrapped it.
            wrapped: The data key.
            unopened: What was not opened for this reader, who is asked for no more after so many; it is
                kept up to date. None where there is no such bound.

        Raises:
            KeyUnavailableError: The provider does not open it, or is not asked.
            PayloadIntegrityError: It is no data key of this key.
        """
        with self._lock:
            found = self._opened.get((key.id, wrapped))
            if found is not None and self._clock() < found[1]:
                self._opened.move_to_end((key.id, wrapped))
                return found[0]
        unopened = set() if unopened is None else unopened
        what = _opening(key, wrapped)
        if len(unopened) >= MOST_UNOPENED and what not in unopened:
            raise KeyUnavailableError(
                f"A data key of {key.id!r} was not asked for, since the provider opened none of the "
                f"{len(unopened)} before it: they are forged, or what it said of them tells what to mend"
            )
        try:
            cipher = await self._once(what, lambda: self._open(key, wrapped))
        except StorageError:
            unopened.add(what)
            raise
        unopened.clear()
        return cipher

    async def check(self, key: ProvidedKey) -> None:
        """Have a data key ready, and see that the provider opens it too.

        Raises:
            KeyUnavailableError: It makes none, or does not open it.
        """
        wrapped = base64.b64decode((await self.for_writing(key, 0)).wrapped)
        # Past those that are kept, of which it is one: that it can be opened would else show an hour later.
        await self._once(_opening(key, wrapped), lambda: self._open(key, wrapped))

    def _is_due(self, current: WritingKey, now: float) -> bool:
        old = now - current.made >= self._renewed_after
        return (old or current.messages >= MOST_MESSAGES) and now >= current.next_renewal

    async def _make(self, key: ProvidedKey) -> WritingKey:
        made = await key.provider.make_data_key(key.id)
        cipher = _cipher(key, made.plaintext)
        self._keep(key, made.wrapped, cipher)
        sealing = SealingKey(made.plaintext)
        self._writing[key.id] = writing = WritingKey(sealing, base64.b64encode(made.wrapped), self._clock())
        return writing

    async def _renew(self, key: ProvidedKey, current: WritingKey) -> None:
        try:
            await self._make(key)
        except Exception as error:  # noqa: BLE001  # a provider may raise anything; the present key still writes
            left = max(0.0, self._duration - (self._clock() - current.made))
            logger.warning(
                "The data key of %r could not be renewed. The present one writes for another %d s; it is "
                "tried again until then: %s",
                key.id,
                left,
                error,
            )

    async def _open(self, key: ProvidedKey, wrapped: bytes) -> AESGCM:
        cipher = _cipher(key, await key.provider.unwrap_data_key(key.id, wrapped))
        self._keep(key, wrapped, cipher)
        return cipher

    def _keep(self, key: ProvidedKey, wrapped: bytes, cipher: AESGCM) -> None:
        with self._lock:
            self._opened[key.id, wrapped] = (cipher, self._clock() + self._keep_for)
            self._opened.move_to_end((key.id, wrapped))
            while len(self._opened) > self._most:
                self._opened.popitem(last=False)

    # -- one question at a time

    async def _once(self, what: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the provider once for all who want the same now; a failure holds for a moment."""
        with self._lock:
            failed = self._failures.get(what)
        if failed is not None and self._clock() < failed[0]:
            raise _own(failed[1])
        try:
            # Whoever gives up waiting must not take the answer from the others.
            return await asyncio.shield(self._flight(what, ask))
        except StorageError as error:
            raise _own(error) from error.__cause__

    def _flight(self, what: Hashable, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        loop = asyncio.get_running_loop()
        flight = self._flights.get((loop, what))
        if flight is None:
            # In a context of its own: it serves others too, and what the first of them has in his, a tracing
            # span for instance, ends before.
            flight = loop.create_task(self._ask(what, ask), context=Context())
            self._flights[loop, what] = flight
            flight.add_done_callback(lambda _: self._flights.pop((loop, what), None))
            # Nobody need be left to be told.
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
        return flight  # type: ignore[return-value]  # what is asked for decides on the type

    async def _ask(self, what: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except StorageError as error:
            self._remember(what, error)
            raise

    def _remember(self, what: Hashable, error: StorageError) -> None:
        # Its traceback, and that of its cause, would hold on to all that was at hand when it was raised.
        kept = _own(error)
        kept.__cause__ = None
        now = self._clock()
        with self._lock:
            self._failures[what] = (now + FAILURE_REMEMBERED, kept)
            self._failures.move_to_end(what)
            # The oldest come first, and are over first.
            while len(self._failures) > MOST_FAILURES or next(iter(self._failures.values()))[0] <= now:
                self._failures.popitem(last=False)


def _opening(key: ProvidedKey, wrapped: bytes) -> Hashable:
    """Name a question to the provider. A wrapped key may be long, and whoever sends it decides on that."""
    return ("open", key.id, sha256(wrapped).digest())


def _own(error: StorageError) -> StorageError:
    """Return a copy for one of several callers: raising changes an exception."""
    return error.as_retryable().with_traceback(None)


def _cipher(key: ProvidedKey, secret: bytes) -> AESGCM:
    if len(secret) != KEY_SIZE:
        raise KeyUnavailableError(
            f"The provider of {key.id!r} gave a data key of {len(secret) * 8} bits; AES-256 takes "
            f"{KEY_SIZE * 8}"
        )
    return AESGCM(secret)
