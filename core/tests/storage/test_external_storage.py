"""A reference to a driver that is not there, or that cannot be read, is told in our words."""

import dataclasses
import importlib.metadata

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.references import LEGACY_ENCODING, MESSAGE_TYPE, Reference
from temporal_payloads.plugin import ClaimRejectedError, UnknownDriverError
from temporalio.api.common.v1 import Payload
from temporalio.converter import ExternalStorage, StorageDriverClaim, StorageDriverStoreContext


@pytest.fixture
def reference():
    def make(driver_name):
        return Reference(driver_name, StorageDriverClaim(claim_data={}), 1).to_payload()

    return make


@pytest.fixture
def converter(registry):
    drivers = {"memory": {"read_aliases": ["older"]}}
    return build_data_converter(PayloadSettings(storage={"drivers": drivers}), registry=registry)


def test_the_sdk_has_the_method_by_which_it_looks_drivers_up():
    release = importlib.metadata.version("temporalio")
    assert callable(getattr(ExternalStorage, "_get_driver_by_name", None)), (
        f"temporalio {release} has no ExternalStorage._get_driver_by_name, which PayloadStorage overrides: "
        "find where it looks up a reference's driver now, or unknown drivers are told in the SDK's words"
    )


async def test_an_unknown_name_is_told_with_those_that_are_configured(converter, reference):
    with pytest.raises(UnknownDriverError) as caught:
        await converter.decode([reference("archive")])
    message = caught.value.message
    assert "storage driver 'archive', which is not configured here" in message
    assert "(configured: 'example.memory', 'older')" in message
    assert "add 'archive' to read_aliases" in message
    assert "retrieve_only = true" in message
    assert not caught.value.non_retryable


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("archive", UnknownDriverError, "no storage driver is configured here"),
        ("", ClaimRejectedError, "it names no driver"),
    ],
)
async def test_without_any_driver_the_reference_is_told_too(name, error, message, reference):
    with pytest.raises(error, match=message) as caught:
        await build_data_converter(PayloadSettings()).decode([reference(name)])
    assert not caught.value.non_retryable


async def test_a_forged_name_does_not_fill_the_log(converter, reference):
    with pytest.raises(UnknownDriverError) as caught:
        await converter.decode([reference("x" * 100_000)])
    assert len(caught.value.message) < 1000


async def test_the_copies_that_the_sdk_makes_for_each_workflow_tell_it_too(converter, reference):
    copy = dataclasses.replace(converter)._with_store_context(StorageDriverStoreContext())
    with pytest.raises(UnknownDriverError):
        await copy.decode([reference("archive")])


async def test_an_sdk_that_looks_drivers_up_elsewhere_tells_it_in_its_own_words(
    converter, reference, monkeypatch
):
    """What a renamed method comes to: less to read, and nothing broken."""
    monkeypatch.delattr("temporal_payloads._storage.external_storage.PayloadStorage._get_driver_by_name")
    with pytest.raises(ValueError, match="No driver found"):
        await converter.decode([reference("archive")])


PRESENT = {"encoding": b"json/protobuf", "messageType": MESSAGE_TYPE}
OLDER = {"encoding": LEGACY_ENCODING}


@pytest.mark.parametrize("others", [[], ["beside"]], ids=["alone", "among others"])
@pytest.mark.parametrize(
    ("metadata", "data"),
    [
        (PRESENT, b"{"),
        (PRESENT, b'"hello"'),
        (PRESENT, b'{"claimData": {}}'),
        (OLDER, b"{"),
        (OLDER, b"[]"),
        (OLDER, b'{"driverName": "example.memory"}'),
        (OLDER, b'{"driver_name": "example.memory", "driver_claim": 7}'),
    ],
)
async def test_what_is_no_reference_is_told_in_our_words_and_waits(converter, metadata, data, others):
    payloads = [Payload(metadata=metadata, data=data), *await converter.encode(others)]
    with pytest.raises(ClaimRejectedError, match="A storage reference could not be read") as caught:
        await converter.decode(payloads)
    assert not caught.value.non_retryable
