"""Tenants that share a store: a process reads and stores for the namespaces that its settings list."""

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads.plugin import ClaimRejectedError, StorageMisconfiguredError
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo


@pytest.fixture
def driver_of(registry):
    """The driver of a process with these `storage.namespaces`; all share one store, and no cache."""

    def make(namespaces=None, **cache):
        settings = PayloadSettings(
            storage={
                "drivers": {"memory": {}},
                "cache": cache or {"max_size": 0},
                "namespaces": namespaces,
            }
        )
        return assemble(settings, registry=registry).drivers["memory"]

    return make


def stored_for(namespace):
    target = StorageDriverWorkflowInfo(namespace=namespace, id="w", run_id="r", type="Order")
    return StorageDriverStoreContext(target=target)


async def test_a_payload_of_a_listed_namespace_is_stored_and_read(driver_of, make_payload, retrieve_context):
    driver = driver_of(["orders", "billing"])
    claims = await driver.store(stored_for("billing"), [make_payload()])
    assert await driver.retrieve(retrieve_context, claims) == [make_payload()]


async def test_a_payload_of_another_namespace_is_refused_before_the_store_is_asked(
    driver_of, store, make_payload, retrieve_context
):
    claims = await driver_of().store(stored_for("payroll"), [make_payload()])
    with pytest.raises(ClaimRejectedError, match=r"'payroll'.*storage\.namespaces.*allowed: orders"):
        await driver_of(["orders"]).retrieve(retrieve_context, claims)
    assert store.reads == 0


async def test_a_payload_of_another_namespace_is_refused_though_it_is_in_the_cache(
    driver_of, make_payload, retrieve_context
):
    claims = await driver_of(max_size=7_654_321).store(stored_for("payroll"), [make_payload()])
    with pytest.raises(ClaimRejectedError):
        await driver_of(["orders"], max_size=7_654_321).retrieve(retrieve_context, claims)


@pytest.mark.parametrize("context", [StorageDriverStoreContext(target=None), stored_for("")])
async def test_a_payload_of_no_namespace_is_refused(driver_of, make_payload, retrieve_context, context):
    claims = await driver_of().store(context, [make_payload()])
    with pytest.raises(ClaimRejectedError, match="of no namespace"):
        await driver_of(["orders"]).retrieve(retrieve_context, claims)


async def test_what_could_not_be_read_back_is_not_stored(driver_of, store, make_payload):
    with pytest.raises(StorageMisconfiguredError, match=r"'payroll'.*connects to"):
        await driver_of(["orders"]).store(stored_for("payroll"), [make_payload()])
    assert not store.items


def test_names_stand_in_a_variable_separated_by_commas(set_variables):
    set_variables(STORAGE__NAMESPACES="orders, billing")
    assert PayloadSettings.load().storage.namespaces == ("orders", "billing")


def test_a_list_of_none_is_a_mistake(write_settings):
    write_settings("[storage]\nnamespaces = []")
    with pytest.raises(ConfigurationError, match=r"storage\.namespaces"):
        PayloadSettings.load()
