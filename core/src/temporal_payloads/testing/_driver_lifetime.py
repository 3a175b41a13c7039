"""What every storage driver plugin must do while it is open, when it is cancelled, and when it is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._storage.errors import PayloadIntegrityError, PayloadNotFoundError
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads.testing._promises import broken_by, raised
from temporal_payloads.testing._running import (
    RETRIEVE,
    STORE,
    complaints_of,
    driver_context,
    managed,
    run,
    run_loop,
    store,
)
from temporal_payloads.testing._samples import (
    a_payload,
    claim_of_another,
    require_same,
    same,
    some_payloads,
)
from temporal_payloads.testing._watching import (
    TURNS,
    cancelled,
    require_a_loop_that_goes_on,
    require_cancellation,
    require_no_thread_beside,
    threads_at_work,
)

GOODBYES = (0.1, 1.0, 5.0)
"""Seconds that connections have to close by themselves, in each of several attempts.

A TLS connection that asyncio was told to close stays open until the other side has said goodbye too, which
takes milliseconds, however often the loop turns, and longer where the machine is busy with others. A client
that closes what a cancelled call has used cannot wait for it. That is no leak: asyncio ends it by itself,
without an answer too, after 30 s (`ssl_shutdown_timeout`). A leak shows in each attempt.
"""
LARGE = 16 * 1024 * 1024
MEDIUM, MEDIUMS = 256 * 1024, 64
_SWALLOWED = (
    "`except BaseException`, a bare `except`, or `suppress(CancelledError)` around a request. Catch "
    "`Exception`, and `raise` what cancelled the call."
)
_CACHED_CLIENT = (
    "a client, lock or pool in a module or on the plugin, which belongs to the loop that made it "
    "first. Make it in `open`, which core calls once per event loop."
)


class DriverLifetime:
    """The part of the kit for drivers that is about event loops, cancellation and closing."""

    # -- cancellation: Temporal cancels activities, and deadlines cancel calls

    @broken_by(_SWALLOWED)
    def test_a_store_that_is_cancelled_ends_as_cancelled(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """At whatever moment: else `storage.timeout` is none, and a worker does not shut down."""

        async def story() -> None:
            async with plugin.open(settings, driver_context(plugin)) as driver:
                await require_cancellation(lambda number: driver.store(STORE, some_payloads(number)))

        run_loop(story)

    @broken_by(_SWALLOWED + " One that returns nothing for it makes a payload seem to be gone for good.")
    def test_a_retrieve_that_is_cancelled_ends_as_cancelled(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """At whatever moment, and neither with an error nor as if something were missing."""

        async def story() -> None:
            async with plugin.open(settings, driver_context(plugin)) as driver:
                claims = await driver.store(STORE, some_payloads(0))
                await require_cancellation(lambda _: driver.retrieve(RETRIEVE, claims))

        run_loop(story)

    @broken_by("a connection that goes back to its pool with an answer that nobody has read.")
    def test_a_call_that_is_cancelled_leaves_the_driver_usable(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """The next call has its own answer, and a connection for it."""

        async def story(driver: ManagedDriver) -> None:
            await driver.check()
            for turns in range(0, 40, 4):
                await cancelled(store(driver, *some_payloads(turns)), turns)
            require_same(await driver.retrieve(RETRIEVE, await store(driver, a_payload(9))), [a_payload(9)])

        run(plugin, settings, story)

    @broken_by(
        "a write in several steps under the final key. Write elsewhere and rename, or in one request or "
        "transaction."
    )
    def test_a_payload_is_seen_whole_or_not_at_all(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """While it is written, and after its write was cancelled; written again, it is whole."""

        async def story(driver: ManagedDriver) -> None:
            other = managed(plugin, settings)
            (known,) = await store(driver, a_payload(5))
            for turns in TURNS:
                payloads = some_payloads(1000 + turns, count=2, size=200_000)
                claims = [claim_of_another(known, a_payload(5), payload) for payload in payloads]
                await require_whole_or_missing(other, claims, payloads, "before it was written")

                writing = asyncio.create_task(
                    store(driver, *some_payloads(1000 + turns, count=2, size=200_000))
                )
                for _ in range(turns):
                    await asyncio.sleep(0)
                await require_whole_or_missing(other, claims, payloads, "while it was written")
                writing.cancel()
                await asyncio.wait([writing])
                await require_whole_or_missing(other, claims, payloads, "after its write was cancelled")
                written = await store(driver, *some_payloads(1000 + turns, count=2, size=200_000))
                require_same(await other.retrieve(RETRIEVE, written), payloads)

        run(plugin, settings, story)

    # -- event loops

    @broken_by(
        "a client library without `async`, hashing, or reading a file, on the event loop. "
        "`run_off_loop` does it in a thread."
    )
    def test_large_payloads_do_not_stop_the_event_loop(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """While many megabytes are stored and retrieved, the other tasks of the loop have their turns.

        It is broken where in each of three attempts they had none for a quarter of a second, in which another
        thread of the process looked fifty times.
        """

        async def story(driver: ManagedDriver) -> None:
            await driver.check()

            async def there_and_back(attempt: int) -> None:
                def payloads() -> list[Payload]:
                    return [
                        *some_payloads(2000 + attempt, count=MEDIUMS, size=MEDIUM),
                        a_payload(3000 + attempt, size=LARGE),
                    ]

                claims = await store(driver, *payloads())
                require_same(await driver.retrieve(RETRIEVE, claims), payloads())

            await require_a_loop_that_goes_on(there_and_back)

        run(plugin, settings, story)

    @broken_by(_CACHED_CLIENT)
    def test_one_driver_serves_consecutive_loops(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Each `asyncio.run` has a client of its own."""
        driver = managed(plugin, settings)

        async def story() -> None:
            claims = await store(driver, a_payload(13))
            require_same(await driver.retrieve(RETRIEVE, claims), [a_payload(13)])

        for _ in range(3):
            run_loop(story)

    @broken_by(_CACHED_CLIENT)
    def test_one_driver_serves_loops_in_several_threads(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Nothing of one loop's client is used in another."""
        driver = managed(plugin, settings)
        failures: list[BaseException] = []
        together = threading.Barrier(2, timeout=60)

        async def story() -> None:
            await driver.check()
            together.wait()
            for number in range(20):
                claims = await store(driver, a_payload(number))
                require_same(await driver.retrieve(RETRIEVE, claims), [a_payload(number)])

        def in_thread() -> None:
            try:
                asyncio.run(story())
            except BaseException as error:  # noqa: BLE001  # told by the test's own thread
                together.abort()
                failures.append(error)

        threads = [threading.Thread(target=in_thread) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            if not isinstance(failure, threading.BrokenBarrierError):
                raise failure

    # -- closing

    @broken_by("`create_task` without a word of its end. Cancel what `open` began, and wait for it.")
    def test_closing_leaves_nothing_running(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """No task outlives the driver."""
        driver = managed(plugin, settings)

        async def story() -> None:
            before = asyncio.all_tasks()
            async with driver.kept_open(check=True):
                await driver.retrieve(RETRIEVE, await store(driver, a_payload(14)))
            left = sorted(task.get_name() for task in asyncio.all_tasks() - before)
            assert not left, f"still running: {', '.join(left)}"

        run_loop(story)

    @broken_by(
        "a session or a pool that `open` makes and nobody closes: `async with` it, around the `yield`."
    )
    def test_closing_leaves_nothing_open(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """No session, connection or file is left for the collector of garbage, calls cancelled or not."""
        driver = managed(plugin, settings)

        async def story(goodbye: float) -> None:
            async with driver.kept_open():
                await driver.retrieve(RETRIEVE, await store(driver, a_payload(14)))
                for turns in TURNS[::3]:
                    await cancelled(store(driver, *some_payloads(4000 + turns)), turns)
            await asyncio.sleep(goodbye)

        complaints: list[str] = []
        for goodbye in GOODBYES:
            complaints = complaints_of(partial(story, goodbye))
            if not complaints:
                return
        raise AssertionError(f"left open: {'; '.join(complaints)}")

    @broken_by(
        "`asyncio.to_thread`, whose thread goes on when its caller is cancelled, with a client that "
        "is closed by then. `run_off_loop` waits for its thread."
    )
    def test_closing_leaves_no_thread_at_work(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """Also where a call was cancelled just before: what it has begun has come to an end."""

        async def story() -> None:
            for turns in TURNS[::3]:
                before = threads_at_work()
                async with plugin.open(settings, driver_context(plugin)) as driver:
                    await cancelled(driver.store(STORE, some_payloads(5000 + turns)), turns)
                require_no_thread_beside(before)

        run_loop(story)


async def require_whole_or_missing(
    driver: ManagedDriver, claims: Sequence[StorageDriverClaim], payloads: Sequence[Payload], when: str
) -> None:
    """Fail if there is something under a claim, and it is not all of its payload."""
    for claim, payload in zip(claims, payloads, strict=True):
        try:
            found = await driver.retrieve(RETRIEVE, [claim])
        except PayloadNotFoundError:
            continue
        except PayloadIntegrityError as error:
            raise AssertionError(f"a part of a payload was to be read {when}: {error}") from error
        except Exception as error:
            raise AssertionError(
                f"to read a payload {when} did not tell it missing: {raised(error)}"
            ) from error
        if not same(found, [payload]):
            raise AssertionError(f"something else than the payload was to be read {when}")
