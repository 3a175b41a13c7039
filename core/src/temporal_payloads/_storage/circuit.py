"""A circuit before each store: while the store is down, it is not asked again and again."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._concurrency.time_limit import time_left
from temporal_payloads._storage.attempt import current_attempt
from temporal_payloads._storage.errors import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads._storage.unavailable import is_unavailable, told_by_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from temporal_payloads._settings.models import CircuitSettings

logger = logging.getLogger("temporal_payloads")

_ANSWERS = {
    error.__name__
    for error in (
        PayloadIntegrityError,
        PayloadNotFoundError,
        StorageMisconfiguredError,
        StoragePermissionError,
    )
}
"""Failures that a store which answers causes, if it was asked. Others, as too large a payload, tell nothing
of it."""
_LONGEST_REASON = 300
"""Characters of the last failure that are told."""


class Circuit:
    """Opens when a store has failed several times in a row, and is then asked by one caller at a time.

    What counts are calls of the driver, its client's retries included: those that found the store
    unavailable, or had no answer when their time was up. A store that has answered anybody since a call began
    is up, and only that call is slow. A circuit belongs to one driver of one data converter, in all of its
    event loops and threads.

    Args:
        settings: When it opens, and for how long.
        driver: How the driver is called, for messages.
        on_change: Told whether it is open when it has opened or closed, in whichever thread that was found.
    """

    def __init__(
        self,
        settings: CircuitSettings,
        driver: str,
        on_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._driver = driver
        self._on_change = on_change
        self._failures: deque[tuple[float, object]] = deque(maxlen=settings.failures or 1)
        """When each failed, and of which call of the SDK's it was a part."""
        self._answered = float("-inf")
        """When the store answered last."""
        self._opened: float | None = None
        """When it opened; None while it is closed."""
        self._opened_at = ""
        self._next_probe = 0.0
        self._probing = False
        self._reason = ""
        self._lock = threading.Lock()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds. A probe of the parent's is none of ours."""
        self._lock = threading.Lock()
        self._probing = False

    @contextmanager
    def watched(self) -> Iterator[bool]:
        """Watch a call of the driver.

        Yields:
            Whether it is the one that finds out if an open circuit can be closed.

        Raises:
            StorageUnavailableError: The circuit is open; the driver must not be called.
        """
        if not self._settings.failures:
            yield False
            return
        probing = self._enter()
        began = time.monotonic()
        try:
            yield probing
        except asyncio.CancelledError:
            # Whoever called gave up: because the time was up, or for reasons of his own.
            self._note("gave no answer in time" if time_left() <= 0 else None, probing, began)
            raise
        except Exception as error:
            if is_unavailable(error):
                self._note(str(told_by_driver(error) or error)[:_LONGEST_REASON], probing, began)
            elif _answered(error):
                self._close()
            else:
                self._note(None, probing, began)
            raise
        except BaseException:
            self._note(None, probing, began)
            raise
        else:
            self._close()

    @property
    def refuses(self) -> bool:
        """Whether the driver may not be called now."""
        return self._opened is not None and (self._probing or time.monotonic() < self._next_probe)

    def _enter(self) -> bool:
        with self._lock:
            if self._opened is None:
                return False
            if self.refuses:
                raise self._refusal()
            self._probing = True
            return True

    def _refusal(self) -> StorageUnavailableError:
        wait = max(0.0, self._next_probe - time.monotonic())
        again = "is being tried right now" if self._probing else f"is tried again in {wait:.1f}s"
        error = StorageUnavailableError(
            f"{self._driver} was not asked: its circuit is open since {self._opened_at}, for the store could "
            f"not be used (last: {self._reason}). It {again}; storage.circuit says when that is",
            # Those that are sent away together need not all come back together.
            next_retry_delay=_later_than_policy(wait + random.uniform(0.5, 1.5)),  # noqa: S311  # no secret
        )
        error.circuit_open = True
        return error

    def _note(self, failure: str | None, probing: bool, began: float) -> None:
        """Count a failure; None is for a call that did not tell anything of the store."""
        now = time.monotonic()
        attempt = current_attempt()
        call = object() if attempt is None else attempt.call
        with self._lock:
            if probing:
                self._probing = False
            if failure is None or began < self._answered:
                return
            self._reason = failure
            open_for = self._settings.open_for.total_seconds()
            if self._opened is not None:
                if probing:
                    self._next_probe = now + open_for
                return
            if any(call is counted for _, counted in self._failures):
                return
            self._failures.append((now, call))
            first, _ = self._failures[0]
            if len(self._failures) < self._settings.failures:
                return
            if now - first > self._settings.within.total_seconds():
                return
            self._opened, self._next_probe = now, now + open_for
            self._opened_at = time.strftime("%Y-%m-%d %H:%M:%S %z")
        logger.warning(
            "%s: its circuit opens after %d failures in a row. The store is not asked for %gs, then by one "
            "caller at a time, until it answers. The last failure: %s",
            self._driver,
            self._settings.failures,
            open_for,
            failure,
        )
        self._on_change(True)

    def _close(self) -> None:
        self._answered = time.monotonic()
        if not self._failures and self._opened is None:
            return  # as nearly always; without the lock
        with self._lock:
            opened, self._opened = self._opened, None
            self._failures.clear()
            self._probing = False
        if opened is not None:
            logger.warning(
                "%s: its store answers again, and its circuit closes after %.1fs",
                self._driver,
                time.monotonic() - opened,
            )
            self._on_change(False)


def _answered(error: Exception) -> bool:
    told = told_by_driver(error)
    return told is not None and told.type in _ANSWERS and getattr(told, "store_asked", True)


def _later_than_policy(seconds: float) -> timedelta | None:
    """Return when an activity may be tried again, if its retry policy would have that sooner, in vain.

    Its attempts may be counted, and a refusal takes no time: they would be used up while the circuit is open.
    While its arguments are read, the SDK has not told yet that there is an activity, nor its policy.
    """
    if not activity.in_activity():
        return None
    wait = timedelta(seconds=seconds)
    info = activity.info()
    policy = info.retry_policy
    if policy is None:
        return wait
    longest = policy.maximum_interval or policy.initial_interval * 100
    # The exponent is bounded: an activity may be tried for months.
    growth = policy.backoff_coefficient ** min(info.attempt - 1, 30)
    by_policy = min(policy.initial_interval.total_seconds() * growth, longest.total_seconds())
    return wait if by_policy < seconds else None
