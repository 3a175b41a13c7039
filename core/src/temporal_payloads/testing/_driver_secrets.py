"""What no storage driver plugin may tell anybody, and what it must tell where its store cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.converter import StorageDriverClaim

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._storage.errors import StorageError
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads._storage.unavailable import told_by_driver
from temporal_payloads.testing._plugin import secrets_in
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._running import RETRIEVE, STORE, driver_context, managed, run_loop, store
from temporal_payloads.testing._samples import a_payload, claim_of_another
from temporal_payloads.testing._watching import all_that_is_said


class DriverSecrets:
    """The part of the kit for drivers that is about errors and secrets."""

    @pytest.fixture
    def unusable_settings(self) -> Sequence[BaseModel]:
        """Settings that are well-formed, and under which the store cannot be used.

        A port at which nobody listens, a wrong password. Let there be secrets in them, for errors must not
        show those.
        """
        return ()

    @broken_by("a dataclass for the driver or its client, whose `repr` has all fields: `field(repr=False)`.")
    def test_the_driver_shows_no_secret(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """Neither `repr` nor `str` of it: they end in logs and in error trackers."""

        async def story() -> None:
            async with plugin.open(settings, driver_context(plugin)) as driver:
                with all_that_is_said() as said:
                    said.note("repr(driver)", repr(driver))
                    said.note("str(driver)", str(driver))
                said.require_none_of(secrets_in(settings))

        run_loop(story)

    @broken_by(
        "a URL with its password, or all settings, in a message; or a client library's error that has them."
    )
    def test_errors_and_logs_show_no_secret(
        self, plugin: DriverPlugin[Any], settings: BaseModel, unusable_settings: Sequence[BaseModel]
    ) -> None:
        """Of the causes of errors too, and at the level DEBUG too. Histories and logs keep them for long."""

        async def story(driver: ManagedDriver, known: StorageDriverClaim) -> None:
            missing = claim_of_another(known, a_payload(5), a_payload(6, size=777))
            with said.errors("opening"):
                async with driver.kept_open():
                    with said.errors("check"):
                        await driver.check()
                    with said.errors("store"):
                        await store(driver, a_payload(5))
                    with said.errors("retrieve"):
                        await driver.retrieve(RETRIEVE, [missing])
                    with said.errors("confine"):
                        driver.confine(StorageDriverClaim(claim_data={**known.claim_data, "key": "forged"}))

        async def all_stories() -> None:
            [known] = await store(managed(plugin, settings), a_payload(5))
            for each in (settings, *unusable_settings):
                await story(managed(plugin, each), known)

        with all_that_is_said() as said:
            run_loop(all_stories)
        for each in (settings, *unusable_settings):
            said.require_none_of(secrets_in(each))

    @broken_by(
        "the client library's own exceptions, let through. Raise from them the `StorageError` that says more."
    )
    def test_a_store_that_cannot_be_used_is_told(
        self, plugin: DriverPlugin[Any], unusable_settings: Sequence[BaseModel]
    ) -> None:
        """With one of the `StorageError` classes, which says where and what to do."""
        if not unusable_settings:
            pytest.skip("the fixture unusable_settings gives none")

        async def story(settings: BaseModel) -> None:
            try:
                async with plugin.open(settings, driver_context(plugin)) as driver:
                    await driver.store(STORE, [a_payload(5)])
            except Exception as error:
                if not isinstance(told_by_driver(error), StorageError):
                    raise AssertionError(
                        f"storing raised {type(error).__module__}.{type(error).__qualname__}, in "
                        "which there is no StorageError"
                    ) from error
            else:
                raise AssertionError("the payload was stored")

        for each in unusable_settings:
            run_loop(lambda each=each: story(each))  # type: ignore[misc]  # mypy has no types for defaults of lambdas
