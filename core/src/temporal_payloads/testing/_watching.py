"""What a plugin does beside its answers: does it let the event loop go on, and come to an end?"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import logging
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import pytest

SAMPLE = 0.005
"""Seconds between two looks at the event loop."""
STALLED = 50
"""Looks in a row that found the event loop where it was: a quarter of a second in which this process ran."""
ATTEMPTS = 3
"""How often the same has to go wrong: once may be the machine's doing, or a race of the client library's."""
TURNS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233)
"""After how many turns of the event loop calls are cancelled: while they begin, wait, and end."""
PATIENCE = 30.0
"""Seconds after which a call that was cancelled is taken never to end."""
GRACE = 1.0
"""Seconds that a thread has to come back from work that is done."""
_IDLE = concurrent.futures.thread._worker.__code__  # noqa: SLF001  # where the threads of pools wait for work


class Outcome(Enum):
    """What became of a call that was cancelled."""

    ENDED_BEFORE = 1
    CANCELLED = 2
    WENT_ON = 3


async def longest_stall(work: Callable[[], Awaitable[object]]) -> int:
    """Return for how many looks in a row the event loop stood still while the work was done.

    Another thread looks. What counts is how often it looked, not the time: while the machine is busy with
    others, or a library holds the GIL, neither thread runs, and there is nothing to count.
    """
    turns = longest = 0
    over = threading.Event()

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(SAMPLE)

    def look() -> None:
        nonlocal longest
        seen, stood = turns, 0
        while not over.is_set():
            time.sleep(SAMPLE)
            stood = stood + 1 if turns == seen else 0
            seen = turns
            longest = max(longest, stood)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    looking = threading.Thread(target=look)
    looking.start()
    try:
        await work()
    finally:
        over.set()
        turning.cancel()
        looking.join()
    return longest


async def require_a_loop_that_goes_on(work: Callable[[int], Awaitable[object]]) -> None:
    """Do the work, given the number of the attempt, and fail if the event loop stood still each time."""
    stalls: list[int] = []
    for attempt in range(ATTEMPTS):
        stalls.append(await longest_stall(lambda attempt=attempt: work(attempt)))  # type: ignore[misc]  # mypy has no types for defaults of lambdas
        if stalls[-1] < STALLED:
            return
    times = ", ".join(f"{1000 * SAMPLE * stall:.0f} ms" for stall in stalls)
    raise AssertionError(
        f"no other task of the event loop had a turn for {times}, in each of {ATTEMPTS} attempts"
    )


async def cancelled(call: Coroutine[Any, Any, object], turns: int) -> Outcome:
    """Cancel a call after so many turns of the event loop.

    Returns:
        What it made of that, in words if it did not end as cancelled.
    """
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        task.result()
        return Outcome.ENDED_BEFORE
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    if not task.done():
        raise AssertionError(f"a call that was cancelled did not end within {PATIENCE:g} s")
    if task.cancelled():
        return Outcome.CANCELLED
    error = task.exception()
    if error is None:
        return Outcome.WENT_ON
    raise AssertionError(f"a call that was cancelled raised {type(error).__name__}: {error}") from error


async def require_cancellation(call: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    """Cancel calls, each given a number of its own, at many moments, and fail unless they end as cancelled.

    `asyncio.wait_for` of Python 3.11, which client libraries use, loses a cancellation that comes in the very
    turn in which what it waits for ends. That is not the plugin's doing: meanwhile it is that of Python 3.12.
    """
    outcomes = []
    with pytest.MonkeyPatch.context() as patch:
        if sys.version_info < (3, 12):
            patch.setattr(asyncio, "wait_for", _wait_for)
        for turns in TURNS:
            outcomes.append(await cancelled(call(turns), turns))
            if outcomes[-1] is Outcome.ENDED_BEFORE:
                break
    went_on = outcomes.count(Outcome.WENT_ON)
    if went_on:
        raise AssertionError(
            "a call that was cancelled returned as if nothing had happened, "
            f"at {went_on} of {len(outcomes)} moments"
        )


async def _wait_for(awaitable: Awaitable[Any], timeout: float | None) -> Any:  # noqa: ASYNC109  # as asyncio's own
    async with asyncio.timeout(timeout):
        return await awaitable


def threads_at_work() -> dict[threading.Thread, str]:
    """Return the threads that do not just wait for work in a pool, and what they do."""
    frames = sys._current_frames()  # noqa: SLF001  # the only way to see what threads do
    at_work = {}
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None and frame.f_code is not _IDLE:
            code = frame.f_code
            at_work[thread] = (
                f"thread {thread.name!r} in {code.co_name} ({code.co_filename}:{frame.f_lineno})"
            )
    return at_work


def require_no_thread_beside(before: dict[threading.Thread, str]) -> None:
    """Fail if more threads are at work than before, a moment to come to an end included."""
    left: list[str] = []
    for _ in range(round(GRACE / SAMPLE)):
        left = [doing for thread, doing in threads_at_work().items() if thread not in before]
        if not left:
            return
        time.sleep(SAMPLE)
    raise AssertionError(f"still at work: {'; '.join(left)}")


class Said(logging.Handler):
    """All that is logged, and all errors that are noted: what a secret must not be in."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note what is logged, with its stack traces."""
        self.texts.append(f"the log of {record.name}: {self.format(record)}")

    def note(self, what: str, text: str) -> None:
        """Note a text, under the words that an error calls it by."""
        self.texts.append(f"{what}: {text}")

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Note what is raised, with all its causes, and go on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is, it is to be looked at
            self.note(f"the error of {what}", "".join(traceback.format_exception(error)) + repr(error))

    def require_none_of(self, secrets: Iterator[str]) -> None:
        """Fail if one of the secrets was told, without telling it again."""
        for secret in secrets:
            for text in self.texts:
                if secret in text:
                    shown = text.replace(secret, "<the secret>")
                    at = shown.index("<the secret>")
                    raise AssertionError(
                        f"a secret is shown by {shown[:60]} ... {shown[max(at - 60, 60) : at + 20]}"
                    )


@contextmanager
def all_that_is_said() -> Iterator[Said]:
    """Collect what is logged meanwhile, at every level."""
    said, root = Said(), logging.getLogger()
    level = root.level
    root.addHandler(said)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.setLevel(level)
        root.removeHandler(said)
