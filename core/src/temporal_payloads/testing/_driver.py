"""What every storage driver plugin must do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from temporalio.converter import StorageDriver, StorageDriverClaim, StorageDriverStoreContext

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._plugins.kinds import KindName
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
)
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads.testing._driver_claims import DriverClaims
from temporal_payloads.testing._driver_collecting import DriverCollecting
from temporal_payloads.testing._driver_lifetime import DriverLifetime
from temporal_payloads.testing._driver_secrets import DriverSecrets
from temporal_payloads.testing._plugin import SOUNDS_LIKE_EXPIRY, PluginConformance
from temporal_payloads.testing._promises import broken_by, raised
from temporal_payloads.testing._running import (
    RETRIEVE,
    TARGETS,
    driver_context,
    run,
    run_loop,
    store,
    trusting,
)
from temporal_payloads.testing._samples import (
    SIZES,
    a_payload,
    assorted_payloads,
    claim_of_another,
    require_same,
    sha256_of,
    some_payloads,
)


class DriverConformance(DriverClaims, DriverCollecting, DriverLifetime, DriverSecrets, PluginConformance):
    """Subclass it, name the entry point, and give two fixtures: `plugin` and `settings`.

    `plugin` is the `DriverPlugin`; `settings` an instance of its settings model with which it can be opened,
    for a store that may be written to. The tests leave some hundred megabytes in it. A third fixture,
    `unusable_settings`, is worth its few lines: settings under which the store cannot be used.
    """

    kind: ClassVar[KindName] = "driver"

    # -- what the plugin says

    @broken_by("a plugin that leaves them empty, for the entry point has a name already.")
    def test_its_names_are_given(self, plugin: DriverPlugin[Any]) -> None:
        """The driver's type, and the name that references record by convention."""
        assert isinstance(plugin.driver_type, str)
        assert plugin.driver_type, "driver_type is empty"
        assert isinstance(plugin.driver_name, str)
        assert plugin.driver_name, "driver_name is empty"

    @broken_by(
        "a `name()` or `type()` made from the settings (`s3-{bucket}`), or a name that is fixed in "
        "the driver. After the next change of the settings no history could be read."
    )
    def test_the_driver_has_the_name_it_is_given(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """References record it. `name()` is `DriverContext.name`, `type()` the plugin's `driver_type`."""

        async def story() -> None:
            async with plugin.open(settings, driver_context(plugin, "a name of my own")) as driver:
                assert isinstance(driver, StorageDriver)
                for said, value, expected in (
                    ("name", driver.name(), "a name of my own"),
                    ("type", driver.type(), plugin.driver_type),
                ):
                    assert value == expected, f"{said}() is {value!r}, not {expected!r}"

        run_loop(story)

    @broken_by("a plugin without `expiry`, or one that returns seconds in place of a `timedelta`.")
    def test_expiry_is_told(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """With a setting by which payloads expire, `expiry` says after how long: what is gone is then final.

        Else a workflow waits for ever for a payload that cannot come back.
        """
        expiry = plugin.expiry(settings)
        assert expiry is None or isinstance(expiry, timedelta), f"expiry is a {type(expiry).__name__}"
        assert expiry is None or expiry > timedelta(0), f"expiry is {expiry}"
        for name, field in type(settings).model_fields.items():
            if not SOUNDS_LIKE_EXPIRY.search(name):
                continue
            try:
                hour = TypeAdapter[Any](field.annotation or object).validate_python(3600)
            except ValidationError:
                continue  # a switch, or a table
            told = plugin.expiry(settings.model_copy(update={name: hour}))
            assert told == timedelta(hours=1), f"with {name} of one hour, expiry is {told!r}"

    @broken_by("a `check` that asks for more than the driver itself needs.")
    def test_a_store_that_is_there_passes_the_check(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """A driver's `check`, if it has one, finds nothing wrong with these settings."""
        run(plugin, settings, lambda driver: driver.check())

    # -- storing and retrieving

    @pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
    @broken_by("bytes that became text on the way, metadata left out, or a key that a name with `/` splits.")
    def test_what_was_stored_is_retrieved(
        self, plugin: DriverPlugin[Any], settings: BaseModel, target: Any
    ) -> None:
        """Whatever the payload, and whatever the workflow or activity is called."""

        async def story(driver: ManagedDriver) -> None:
            for given, expected in zip(assorted_payloads(), assorted_payloads(), strict=True):
                claims = await driver.store(StorageDriverStoreContext(target=target), [given])
                require_same(await driver.retrieve(RETRIEVE, claims), [expected])

        run(plugin, settings, story)

    @broken_by("results taken in the order in which requests end (`as_completed`), or kept in a set.")
    def test_claims_and_payloads_are_in_order(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """`store` returns the claim of each payload in its place, `retrieve` the payload of each claim."""

        async def story(driver: ManagedDriver) -> None:
            payloads = assorted_payloads()[::-1]  # the largest first: their requests end last
            claims = await store(driver, *assorted_payloads()[::-1])
            assert len(claims) == len(payloads), f"{len(claims)} claims for {len(payloads)} payloads"
            hashes = [sha256_of(payload) for payload in payloads]
            for index, claim in enumerate(claims):
                found = plugin.confine(settings, claim).sha256
                assert found == hashes[index], f"claim {index} is that of " + (
                    f"payload {hashes.index(found)}" if found in hashes else "no payload"
                )
            require_same(await driver.retrieve(RETRIEVE, claims), payloads)
            require_same(await driver.retrieve(RETRIEVE, claims[::-1]), payloads[::-1])

        run(plugin, settings, story)

    @pytest.mark.parametrize("size", SIZES)
    @broken_by("the limit of one request of the store, or a wrong sum where a payload goes in parts.")
    def test_a_payload_of_any_size_is_stored_by_itself(
        self, plugin: DriverPlugin[Any], settings: BaseModel, size: int
    ) -> None:
        """What is done in place, in a thread, or in parts, is done right at every size."""

        async def story(driver: ManagedDriver) -> None:
            claims = await store(driver, a_payload(15, size))
            require_same(await driver.retrieve(RETRIEVE, claims), [a_payload(15, size)])

        run(plugin, settings, story)

    @broken_by(
        "keys with a random part, a time or a counter: each replay and each retry then stores the "
        "payload again."
    )
    def test_equal_payloads_have_equal_claims(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """The claim follows from content and target alone: storing again, at any time, stores nothing new."""

        async def story(driver: ManagedDriver) -> None:
            first, another, repeated = await store(driver, a_payload(1), a_payload(2), a_payload(1))
            assert first == repeated, "in one call, equal payloads have different claims"
            assert first != another, "different payloads have one claim"
            for [again] in await asyncio.gather(*(store(driver, a_payload(1)) for _ in range(5))):
                assert again == first, "a payload that is stored again has another claim"
            require_same(await driver.retrieve(RETRIEVE, [first, first]), [a_payload(1)] * 2)

        run(plugin, settings, story)

    @broken_by(
        "a driver that compresses, encrypts or marks the payload that it was given, in place of a copy."
    )
    def test_payloads_are_not_changed_by_storing_them(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """They are the caller's."""

        async def story(driver: ManagedDriver) -> None:
            payloads = assorted_payloads()
            await store(driver, *payloads)
            require_same(payloads, assorted_payloads())

        run(plugin, settings, story)

    @broken_by("a connection or a thread for each payload: use `gather_bounded`.")
    def test_many_calls_with_many_payloads_work_at_once(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """However many there are, the driver bounds what it asks of the store at a time."""

        async def one_call(driver: ManagedDriver, number: int) -> None:
            claims = await store(driver, *some_payloads(number, count=100))
            require_same(await driver.retrieve(RETRIEVE, claims), some_payloads(number, count=100))

        async def story(driver: ManagedDriver) -> None:
            await asyncio.gather(*(one_call(driver, number) for number in range(10)))

        run(plugin, settings, story)

    @broken_by("a limit that is compared after writing, or not at all.")
    def test_a_payload_over_the_limit_is_refused(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """With `PayloadTooLargeError`, which names the limit. The setting is called `max_payload_size`."""
        limited = settings.model_copy(update={"max_payload_size": 1000})
        assert "max_payload_size" in type(settings).model_fields, "there is no such setting"

        async def story(driver: ManagedDriver) -> None:
            small, large = a_payload(3), a_payload(4, size=2000)
            await store(driver, small)
            with pytest.raises(PayloadTooLargeError, match="1000"):
                await store(driver, small, large)

        run(plugin, limited, story)

    @broken_by(
        "an empty value for what is not there, or the client library's own error for it. Core tells "
        "what is gone for good from what may come back by `PayloadNotFoundError` alone."
    )
    def test_a_missing_payload_is_told(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """With `PayloadNotFoundError`, also where other payloads of the call are there."""

        async def story(driver: ManagedDriver) -> None:
            (here,) = await store(driver, a_payload(5))
            missing = claim_of_another(here, a_payload(5), a_payload(6, size=777))
            try:
                found = await driver.retrieve(RETRIEVE, [here, missing])
            except PayloadNotFoundError:
                return
            except Exception as error:
                raise AssertionError(f"for a key that nobody wrote, {raised(error)}") from error
            raise AssertionError(
                f"for a key that nobody wrote, there was something: {len(found)} payloads came"
            )

        run(plugin, settings, story)

    @broken_by("bytes from the store that nobody hashes, or a hash of which only the one in the key is read.")
    def test_other_bytes_than_were_stored_are_detected(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """The driver compares the SHA-256 of what it gets with its claim's, and returns nothing else."""

        async def story(driver: ManagedDriver) -> None:
            one, other = await store(driver, a_payload(7), a_payload(8))
            for name in one.claim_data:
                mixed = StorageDriverClaim(
                    claim_data={**one.claim_data, name: other.claim_data.get(name, "")}
                )
                if mixed in (one, other):
                    continue
                try:
                    await driver.retrieve(RETRIEVE, [mixed])
                except (PayloadIntegrityError, ClaimRejectedError, PayloadNotFoundError):
                    continue
                raise AssertionError(f"a claim with the {name} of another payload was followed")

        run(plugin, settings, story, confine=trusting)
