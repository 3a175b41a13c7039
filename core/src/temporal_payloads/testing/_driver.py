"""What every storage driver plugin must do."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel
from temporalio.converter import (
    StorageDriver,
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from temporal_payloads._plugins.contract import DriverContext, DriverPlugin
from temporal_payloads._plugins.kinds import KindName
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
)
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads.testing._plugin import PluginConformance
from temporal_payloads.testing._running import PLACE, WORKFLOW, managed, run, run_cleanly, store, trusting
from temporal_payloads.testing._samples import (
    SIZES,
    a_payload,
    assorted_payloads,
    claim_of_another,
    forgeries,
    respellings,
    same,
    sha256_of,
)

RETRIEVE = StorageDriverRetrieveContext()
TARGETS = (
    None,
    WORKFLOW,
    StorageDriverWorkflowInfo(namespace="default", id="order-1"),
    StorageDriverWorkflowInfo(
        namespace="prod.a1b2", id="a/b:c 9%&+=?#~/../größe-注文", run_id="r", type="Ünï/T"
    ),
    StorageDriverWorkflowInfo(namespace="default", id="ö" * 500, run_id="r" * 500, type="T" * 500),
    StorageDriverActivityInfo(namespace="default", id="resize-1", run_id="run-1", type="Resize"),
)


class DriverConformance(PluginConformance):
    """Subclass it, name the entry point, and give two fixtures: `plugin` and `settings`.

    `plugin` is the `DriverPlugin`; `settings` an instance of its settings model with which it can be opened,
    for a store that may be written to. The tests leave a few megabytes in it.
    """

    kind: ClassVar[KindName] = "driver"

    # -- what the plugin says

    def test_its_names_are_given(self, plugin: DriverPlugin[Any]) -> None:
        """The driver's type, and the name that references record by convention."""
        assert isinstance(plugin.driver_type, str)
        assert plugin.driver_type
        assert isinstance(plugin.driver_name, str)
        assert plugin.driver_name

    def test_the_driver_has_the_name_it_is_given(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """References record the name; it is for the settings to choose, not for the driver."""

        async def story() -> None:
            context = DriverContext(name="a name of my own", place=PLACE, concurrency=8)
            async with plugin.open(settings, context) as driver:
                assert isinstance(driver, StorageDriver)
                assert driver.name() == "a name of my own"
                assert driver.type() == plugin.driver_type

        run_cleanly(story)

    def test_expiry_is_a_duration_or_none(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """After how long payloads expire, if they do."""
        expiry = plugin.expiry(settings)
        assert expiry is None or expiry > timedelta(0)

    def test_a_store_that_is_there_passes_the_check(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """A driver's `check`, if it has one, finds nothing wrong with these settings."""
        run(plugin, settings, lambda driver: driver.check())

    # -- storing and retrieving

    @pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
    def test_what_was_stored_is_retrieved(
        self, plugin: DriverPlugin[Any], settings: BaseModel, target: Any
    ) -> None:
        """Whatever the payload, and whatever the workflow or activity is called."""
        payloads = assorted_payloads()

        async def story(driver: ManagedDriver) -> None:
            claims = await driver.store(StorageDriverStoreContext(target=target), payloads)
            assert same(await driver.retrieve(RETRIEVE, claims), payloads)
            assert same(await driver.retrieve(RETRIEVE, claims[::-1]), payloads[::-1])

        run(plugin, settings, story)

    @pytest.mark.parametrize("size", SIZES)
    def test_a_payload_of_any_size_is_stored_by_itself(
        self, plugin: DriverPlugin[Any], settings: BaseModel, size: int
    ) -> None:
        """What is done in place, in a thread, or in parts, is done right at every size."""
        payload = a_payload(15, size)

        async def story(driver: ManagedDriver) -> None:
            claims = await driver.store(StorageDriverStoreContext(target=WORKFLOW), [payload])
            assert same(await driver.retrieve(RETRIEVE, claims), [payload])

        run(plugin, settings, story)

    def test_equal_payloads_have_equal_claims(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """The claim follows from content and target alone: storing again, at any time, changes nothing."""

        async def story(driver: ManagedDriver) -> None:
            one, other = a_payload(1), a_payload(2)
            first = await store(driver, one, other, one)
            assert first[0] == first[2] != first[1]
            again = await asyncio.gather(*(store(driver, one) for _ in range(5)))
            assert again == [first[:1]] * 5
            assert await driver.retrieve(RETRIEVE, [first[0], first[0]]) == [one, one]

        run(plugin, settings, story)

    def test_payloads_are_not_changed_by_storing_them(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """They are the caller's."""

        async def story(driver: ManagedDriver) -> None:
            payloads = assorted_payloads()
            await store(driver, *payloads)
            assert same(payloads, assorted_payloads())

        run(plugin, settings, story)

    def test_many_calls_with_many_payloads_work_at_once(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """However many there are, the driver bounds what it asks of the store at a time."""

        async def one_call(driver: ManagedDriver, number: int) -> None:
            payloads = [a_payload(number * 100 + index) for index in range(100)]
            assert same(await driver.retrieve(RETRIEVE, await store(driver, *payloads)), payloads)

        async def story(driver: ManagedDriver) -> None:
            await asyncio.gather(*(one_call(driver, number) for number in range(10)))

        run(plugin, settings, story)

    def test_a_payload_over_the_limit_is_refused(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Every driver has a setting `max_payload_size`, and refuses what is larger before it is written."""
        limited = settings.model_copy(update={"max_payload_size": 1000})
        assert "max_payload_size" in type(settings).model_fields

        async def story(driver: ManagedDriver) -> None:
            small, large = a_payload(3), a_payload(4, size=2000)
            await store(driver, small)
            with pytest.raises(PayloadTooLargeError, match="1000"):
                await store(driver, small, large)

        run(plugin, limited, story)

    def test_a_missing_payload_is_told(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """With the error that says so, whatever the client library raises, and what is there is no help."""

        async def story(driver: ManagedDriver) -> None:
            (here,) = await store(driver, a_payload(5))
            missing = claim_of_another(here, a_payload(5), a_payload(6, size=777))
            with pytest.raises(PayloadNotFoundError):
                await driver.retrieve(RETRIEVE, [here, missing])

        run(plugin, settings, story)

    def test_other_bytes_than_were_stored_are_detected(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """The driver verifies what it gets from the store, and returns nothing that the claim is not for."""

        async def story(driver: ManagedDriver) -> None:
            one, other = await store(driver, a_payload(7), a_payload(8))
            for name in one.claim_data:
                mixed = StorageDriverClaim(
                    claim_data={**one.claim_data, name: other.claim_data.get(name, "")}
                )
                if mixed in (one, other):
                    continue
                with pytest.raises((PayloadIntegrityError, ClaimRejectedError, PayloadNotFoundError)):
                    await driver.retrieve(RETRIEVE, [mixed])

        run(plugin, settings, story, confine=trusting)

    def test_a_call_that_is_cancelled_leaves_the_driver_usable(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Temporal cancels activities, and deadlines cancel calls."""

        async def story(driver: ManagedDriver) -> None:
            await driver.check()
            for turns in range(0, 40, 4):
                call = asyncio.create_task(store(driver, *(a_payload(turns * 100 + n) for n in range(20))))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            assert await driver.retrieve(RETRIEVE, await store(driver, a_payload(9))) == [a_payload(9)]

        run(plugin, settings, story)

    # -- claims are input

    @pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
    def test_its_own_claims_are_confined(
        self, plugin: DriverPlugin[Any], settings: BaseModel, target: Any
    ) -> None:
        """A claim leads to content, by its hash, and to the namespace that it was stored for."""

        async def story(driver: ManagedDriver) -> None:
            (claim,) = await driver.store(StorageDriverStoreContext(target=target), [a_payload(10)])
            confined = plugin.confine(settings, claim)
            assert confined.sha256 == sha256_of(a_payload(10))
            assert confined.namespace == (target.namespace if target else None)
            assert plugin.confine(settings, confined.claim) == confined

        run(plugin, settings, story)

    def test_forged_claims_are_rejected(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """Only what the driver writes with these settings is let through, in one canonical spelling."""

        async def story(driver: ManagedDriver) -> None:
            (claim,) = await store(driver, a_payload(11))
            genuine = plugin.confine(settings, claim)
            for forged in forgeries(claim):
                try:
                    confined = plugin.confine(settings, forged)
                except ClaimRejectedError:
                    continue
                assert confined == genuine, f"let through: {forged.claim_data}"

        run(plugin, settings, story)

    def test_a_name_in_a_key_has_one_spelling(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """Another spelling of an escaped name is rejected, or made canonical, or is another name."""
        target = StorageDriverWorkflowInfo(namespace="default", id="a/b:c ü", run_id="r", type="T")

        async def story(driver: ManagedDriver) -> None:
            (claim,) = await driver.store(StorageDriverStoreContext(target=target), [a_payload(15)])
            genuine = plugin.confine(settings, claim)
            for forged in respellings(claim):
                try:
                    confined = plugin.confine(settings, forged)
                except ClaimRejectedError:
                    continue
                other = confined.namespace != genuine.namespace
                assert other or confined == genuine, f"let through: {forged.claim_data}"

        run(plugin, settings, story)

    def test_claims_that_are_no_claims_are_rejected(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """With the error that says so, and no other."""
        hexes = sha256_of(a_payload(12))
        for data in ({}, {"": ""}, {"key": hexes}, {"hash_value": hexes}, {"key": "/", "hash_value": "\0"}):
            with pytest.raises(ClaimRejectedError):
                plugin.confine(settings, StorageDriverClaim(claim_data=data))

    # -- event loops

    def test_one_driver_serves_consecutive_loops(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Each `asyncio.run` has a client of its own."""
        driver = managed(plugin, settings)
        claims: list[StorageDriverClaim] = []

        async def story() -> None:
            claims[:] = await store(driver, a_payload(13))
            assert await driver.retrieve(RETRIEVE, claims) == [a_payload(13)]

        for _ in range(3):
            run_cleanly(story)

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
                assert await driver.retrieve(RETRIEVE, claims) == [a_payload(number)]

        def in_thread() -> None:
            try:
                asyncio.run(story())
            except BaseException as error:  # noqa: BLE001  # told by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=in_thread) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_closing_leaves_nothing_running(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """No task outlives the driver, and no connection is left for the collector of garbage."""
        driver = managed(plugin, settings)

        async def story() -> None:
            before = asyncio.all_tasks()
            async with driver.kept_open(check=True):
                await driver.retrieve(RETRIEVE, await store(driver, a_payload(14)))
            assert asyncio.all_tasks() == before

        run_cleanly(story)
