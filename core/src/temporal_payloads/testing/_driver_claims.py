"""What every storage driver plugin must do with claims, which are input, and can be forged."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.converter import StorageDriverClaim, StorageDriverStoreContext, StorageDriverWorkflowInfo

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._storage.errors import ClaimRejectedError
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._running import TARGETS, run, store
from temporal_payloads.testing._samples import a_payload, forgeries, respellings, sha256_of

_LOOSE_PATTERN = (
    "a pattern that is not anchored at its end (`match`, `endswith`, `$`), or a part of the claim that "
    "`confine` does not look at."
)


class DriverClaims:
    """The part of the kit for drivers that is about `confine`."""

    @pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
    @broken_by("a key without namespace or hash, or names in it that are read as they are escaped.")
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

    @broken_by(_LOOSE_PATTERN)
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

    @broken_by("names that are unescaped and compared, while the claim goes on as it came.")
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

    @broken_by('`claim.claim_data["key"]`, which raises a `KeyError`: use `get`.')
    def test_claims_that_are_no_claims_are_rejected(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """With `ClaimRejectedError`, and no other error."""
        hexes = sha256_of(a_payload(12))
        for data in ({}, {"": ""}, {"key": hexes}, {"hash_value": hexes}, {"key": "/", "hash_value": "\0"}):
            try:
                plugin.confine(settings, StorageDriverClaim(claim_data=data))
            except ClaimRejectedError:
                continue
            raise AssertionError(f"let through: {data}")
