"""What the plugin tells core."""

from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient
from temporal_payloads_azure_blob import AzureBlobStorageDriver
from temporal_payloads_azure_blob._plugin import temporal_payloads_driver
from temporal_payloads_azure_blob._settings import AzureBlobSettings
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

PLUGIN = temporal_payloads_driver()
KEY = "a2V5"
HERE = {
    "container": "payloads",
    "account_url": "https://orders.blob.core.windows.net",
    "account_key": KEY,
}


def identity(**settings):
    assert PLUGIN.identity
    return PLUGIN.identity(AzureBlobSettings(**settings))


def test_name_and_type():
    assert (PLUGIN.driver_name, PLUGIN.driver_type, PLUGIN.api_version) == ("azure_blob", "azure_blob", 1)


def test_payloads_do_not_expire():
    assert PLUGIN.expiry(AzureBlobSettings(**HERE)) is None


@pytest.mark.parametrize(
    "same",
    [
        {**HERE, "account_key": "b3RoZXI="},
        {**HERE, "pool_size": 3, "connect_timeout": "1s", "max_attempts": 9, "block_size": "1MiB"},
        {"container": "payloads", "connection_string": f"AccountName=orders;AccountKey={KEY}"},
        {"container": "payloads", "account_url": HERE["account_url"], "client_id": "somebody"},
    ],
)
def test_tuning_and_another_login_leave_the_store_what_it_was(same):
    assert identity(**same) == identity(**HERE)


@pytest.mark.parametrize(
    "other", [{**HERE, "container": "others"}, {**HERE, "account_url": "https://bills.blob.core.windows.net"}]
)
def test_another_account_or_container_is_another_store(other):
    assert identity(**other) != identity(**HERE)


def test_no_secret_is_part_of_what_tells_stores_apart():
    assert KEY not in str(identity(**HERE))


ODD_NAMES = [
    "a/b\\c",
    "..",
    "end.",
    "a b?c#d&e",
    "ü%C3€",
    "*'()!~",
    "\x00\x1f\x7f",
    "日本 🚢",
    "." * 40,
    "x" * 1000,
]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names_make_blob_names_that_azure_takes(container, open_driver, payload, name):
    target = StorageDriverWorkflowInfo(namespace="default", id=name, run_id="run", type=name)
    async with open_driver(**container.settings) as driver:
        (claim,) = await driver.store(StorageDriverStoreContext(target=target), [payload(1)])
        assert await driver.retrieve(None, [claim]) == [payload(1)]
    (blob,) = container.names()
    assert blob == claim.claim_data["key"]
    assert len(blob) <= 1024
    assert not any(segment.endswith(".") for segment in blob.split("/"))
    assert PLUGIN.confine(AzureBlobSettings(**container.settings), claim).namespace == "default"


async def test_a_claim_has_the_fields_of_s3_with_the_container(
    container, open_driver, store_context, payload
):
    async with open_driver(**container.settings) as driver:
        (claim,) = await driver.store(store_context, [payload(1)])
    sha256 = claim.claim_data["hash_value"]
    assert claim.claim_data == {
        "container": container.name,
        "key": f"v0/ns/default/wt/Order/wi/order-1/ri/r1/d/sha256/{sha256}",
        "hash_algorithm": "sha256",
        "hash_value": sha256,
    }


@pytest.mark.parametrize("argument", ["block_size", "requests_at_once", "max_payload_size"])
def test_arguments_that_make_no_sense_are_refused(argument):
    client = ContainerClient("https://orders.blob.core.windows.net", "payloads")
    arguments: dict[str, Any] = {argument: 0}
    with pytest.raises(ValueError, match=argument):
        AzureBlobStorageDriver(client, **arguments)
