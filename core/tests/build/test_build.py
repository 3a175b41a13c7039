"""Settings become the SDK's own DataConverter."""

import asyncio
import dataclasses
import traceback
import warnings

import pytest
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PluginConflictError,
    PluginLoadError,
    UnknownPluginError,
    build_data_converter,
    open_data_converter,
)
from temporal_payloads.plugin import StorageUnavailableError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    StorageDriver,
    StorageDriverActivityInfo,
    StorageDriverSelectContext,
    StorageDriverWorkflowInfo,
)


def problems_of(settings, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings, **arguments)
    return [(problem.place, problem.message) for problem in caught.value.problems]


def storage_of(converter):
    assert converter.external_storage is not None
    return converter.external_storage


def storage(**values):
    return PayloadSettings(storage=values)


# -- the converter


async def test_without_settings_payloads_stay_as_the_sdk_makes_them():
    converter = build_data_converter()
    values = ["hello", 1, None, b"x" * 1_000_000]
    payloads = await converter.encode(values)
    assert payloads == await DataConverter.default.encode(values)
    assert await converter.decode(payloads) == values


def test_a_converter_without_codecs_and_drivers_can_be_the_base_of_one_with_both(install, registry):
    install("reverse")
    settings = PayloadSettings(codecs=["reverse"], storage={"drivers": {"memory": {}}})
    converter = build_data_converter(settings, base=build_data_converter(), registry=registry)
    assert storage_of(converter).drivers[0].name() == "example.memory"
    assert repr(converter.payload_codec) == "<codecs reverse>"


def test_what_the_base_converter_has_and_the_settings_do_not_is_kept(install, registry):
    install("reverse")
    settings = PayloadSettings(codecs=["reverse"], storage={"drivers": {"memory": {}}})
    base = build_data_converter(settings, registry=registry)
    converter = build_data_converter(PayloadSettings(), base=base)
    assert converter.payload_codec is base.payload_codec
    assert converter.external_storage is base.external_storage


def test_the_converter_is_the_sdks_own_class(registry):
    converter = build_data_converter(storage(drivers={"memory": {}}), registry=registry)
    assert type(converter) is DataConverter
    assert isinstance(converter.external_storage, ExternalStorage)


def test_settings_are_loaded_from_file_and_environment_unless_given(write_settings, set_variables, registry):
    write_settings("[storage.drivers.memory]")
    set_variables(STORAGE__THRESHOLD="77")
    converter = build_data_converter(registry=registry)
    assert storage_of(converter).payload_size_threshold == 77


def test_building_opens_nothing_and_needs_no_loop(registry, store):
    build_data_converter(storage(drivers={"memory": {}}), registry=registry)
    assert store.opened == 0


def test_a_base_converter_is_built_upon(registry):
    converter = build_data_converter(
        storage(drivers={"memory": {}}), base=pydantic_data_converter, registry=registry
    )
    assert converter.payload_converter_class is PydanticPayloadConverter
    assert converter.external_storage is not None
    assert pydantic_data_converter.external_storage is None


def test_failures_are_encoded_if_the_settings_say_so():
    encoding = DefaultFailureConverterWithEncodedAttributes
    assert not issubclass(build_data_converter().failure_converter_class, encoding)
    converter = build_data_converter(PayloadSettings(encode_failures=True))
    assert issubclass(converter.failure_converter_class, encoding)


def test_encoding_failures_is_no_contradiction_to_a_base_that_does_it_too():
    base = dataclasses.replace(
        DataConverter.default, failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )
    converter = build_data_converter(PayloadSettings(encode_failures=True), base=base)
    assert issubclass(converter.failure_converter_class, DefaultFailureConverterWithEncodedAttributes)


class OwnFailureConverter(DefaultFailureConverter):
    pass


def test_parts_of_the_base_are_never_silently_replaced(install, registry):
    install("reverse")
    settings = PayloadSettings(
        codecs=["reverse"],
        encode_failures=True,
        payload_converter="temporalio.converter:DefaultPayloadConverter",
        storage={"drivers": {"memory": {}}},
    )
    base = dataclasses.replace(
        build_data_converter(
            PayloadSettings(codecs=["reverse"], storage={"drivers": {"memory": {}}}), registry=registry
        ),
        payload_converter_class=PydanticPayloadConverter,
        failure_converter_class=OwnFailureConverter,
    )
    places = [place for place, _ in problems_of(settings, base=base, registry=registry)]
    assert sorted(places) == ["codecs", "encode_failures", "payload_converter", "storage"]


# -- codecs


async def test_codecs_encode_in_the_order_of_the_settings(install):
    install("reverse")
    settings = PayloadSettings(codecs=["a", "b"], codec={name: {"type": "reverse"} for name in "ab"})
    converter = build_data_converter(settings)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"')
    assert converter.payload_codec is not None
    (encoded,) = await converter.payload_codec.encode([payload])
    assert await converter.payload_codec.decode([encoded]) == [payload]
    assert repr(converter.payload_codec) == "<codecs a, b>"


@pytest.mark.parametrize(
    ("settings", "place", "message"),
    [
        ({"codecs": ["revers"]}, "codecs[0]", "there is no codec 'revers'"),
        ({"codecs": ["x"], "codec": {"x": {"type": "revers"}}}, "codec.x.type", "there is no codec 'revers'"),
        (
            {"codecs": ["reverse"], "codec": {"reverse": {"tims": 1}}},
            "codec.reverse.tims",
            "Did you mean 'times'?",
        ),
        (
            {"codecs": ["reverse"], "codec": {"reverse": {"times": 0}}},
            "codec.reverse.times",
            "greater than or equal to 1",
        ),
        ({"codecs": ["broken"]}, "codecs[0]", "a_library_that_nobody_has"),
    ],
)
def test_what_is_wrong_with_a_codec_is_told_where_it_is_configured(install, settings, place, message):
    install("reverse", "broken")
    ((found, text),) = problems_of(PayloadSettings(**settings))
    assert found == place
    assert message in text


# -- names recorded in references


def driver_names(registry, **tables):
    converter = build_data_converter(storage(driver="inline", drivers=tables), registry=registry)
    return [driver.name() for driver in storage_of(converter).drivers]


def test_a_driver_whose_key_is_its_type_records_the_conventional_name(registry):
    assert driver_names(registry, memory={}) == ["example.memory"]
    assert driver_names(registry, memory={"type": "memory"}) == ["example.memory"]


def test_a_driver_under_another_key_records_the_key(registry):
    assert driver_names(registry, old={"type": "memory"}) == ["old"]


def test_a_driver_name_that_is_given_is_recorded(registry):
    assert driver_names(registry, memory={"driver_name": "m"}) == ["m"]
    assert driver_names(registry, old={"type": "memory", "driver_name": "m"}) == ["m"]


def test_a_driver_chosen_by_its_distribution_records_the_conventional_name(install):
    install("shelf", "rival")
    for_this = {"shelf": {"type": "rival-storage:shelf", "room": "attic"}}
    assert driver_names(None, **for_this) == ["example.rival"]


def test_the_recorded_name_depends_on_the_drivers_own_table_alone(registry):
    """Another driver comes and goes; the names in histories stay."""
    tables = {"memory": {}, "old": {"type": "memory", "shelf": "o"}, "new": {"type": "memory", "shelf": "n"}}
    all_of_them = dict(zip(tables, driver_names(registry, **tables), strict=True))
    for key, table in tables.items():
        assert driver_names(registry, **{key: table}) == [all_of_them[key]]


def test_earlier_names_are_read_through_aliases(registry):
    names = driver_names(registry, memory={"read_aliases": ["older", "oldest"]})
    assert names == ["example.memory", "older", "oldest"]


async def test_a_reference_under_an_alias_is_read_and_new_payloads_get_the_present_name(registry):
    before = build_data_converter(
        storage(threshold=0, drivers={"memory": {"driver_name": "older"}}), registry=registry
    )
    after = build_data_converter(
        storage(threshold=0, drivers={"memory": {"read_aliases": ["older"]}}), registry=registry
    )
    stored = await before.encode(["hello"])
    assert b"older" in stored[0].data
    assert await after.decode(stored) == ["hello"]
    assert b"example.memory" in (await after.encode(["hello"]))[0].data


@pytest.mark.parametrize(
    "tables",
    [
        {"a": {"type": "memory", "driver_name": "x"}, "b": {"type": "memory", "driver_name": "x"}},
        {"a": {"type": "memory"}, "b": {"type": "memory", "driver_name": "a"}},
        {"a": {"type": "memory"}, "b": {"type": "memory", "read_aliases": ["a"]}},
        {"a": {"type": "memory", "read_aliases": ["x"]}, "b": {"type": "memory", "read_aliases": ["x"]}},
    ],
)
def test_two_drivers_with_one_recorded_name_are_told(registry, tables):
    ((place, message),) = problems_of(storage(driver="a", drivers=tables), registry=registry)
    assert place == "storage.drivers.b"
    assert "is that of storage.drivers.a already" in message


# -- drivers


def test_a_driver_without_a_table_is_configured_by_its_defaults(registry):
    converter = build_data_converter(storage(driver="memory"), registry=registry)
    assert [driver.name() for driver in storage_of(converter).drivers] == ["example.memory"]


async def test_with_only_inline_every_payload_stays_in_the_history():
    converter = build_data_converter(storage(driver="inline"))
    [payload] = await converter.encode(["x" * 1_000_000])
    assert len(payload.data) > 1_000_000


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({"driver": "memoryy"}, "storage.driver", "Did you mean 'memory'?"),
        (
            {"driver": "memoryy", "drivers": {"memory": {}}},
            "storage.driver",
            "there is no driver 'memoryy': no table [storage.drivers.memoryy] (but: memory)",
        ),
        (
            {
                "drivers": {"memory": {}},
                "routes": [{"driver": "inlin", "namespace": "x"}],
                "driver": "memory",
            },
            "storage.routes[0].driver",
            "Did you mean 'inline'?",
        ),
        ({"drivers": {"x": {"type": "memry"}}}, "storage.drivers.x.type", "Did you mean 'memory'?"),
        ({"drivers": {"memry": {}}}, "storage.drivers.memry", "Did you mean 'memory'?"),
        ({"drivers": {"memory": {"shelv": "s"}}}, "storage.drivers.memory.shelv", "Did you mean 'shelf'?"),
        (
            {"drivers": {"memory": {"read_alias": "s"}}},
            "storage.drivers.memory.read_alias",
            "Did you mean 'read_aliases'?",
        ),
        ({"drivers": {"memory": {"shelf": ""}}}, "storage.drivers.memory.shelf", "at least 1 character"),
    ],
)
def test_what_is_wrong_with_a_driver_is_told_where_it_is_configured(registry, values, place, message):
    ((found, text),) = problems_of(storage(**values), registry=registry)
    assert found == place
    assert message in text


def test_a_misspelt_variable_for_a_plugins_setting_is_told_with_the_near_match(set_variables, registry):
    set_variables(STORAGE__DRIVERS__MEMORY__PASWORD="x", STORAGE__DRIVERS__MEMORY__RETRIEVEONLY="true")
    messages = dict(problems_of(None, registry=registry))
    near = "Did you mean 'TEMPORAL_PAYLOADS_STORAGE__DRIVERS__MEMORY__{}'?"
    assert near.format("PASSWORD") in messages["storage.drivers.memory.pasword"]
    assert near.format("RETRIEVE_ONLY") in messages["storage.drivers.memory.retrieveonly"]


def test_a_required_setting_of_a_plugin_is_told_with_its_variable(install):
    install("shelf")
    ((place, message),) = problems_of(storage(driver="shelf"))
    assert place == "storage.drivers.shelf.room"
    assert "or as the variable TEMPORAL_PAYLOADS_STORAGE__DRIVERS__SHELF__ROOM" in message


def test_problems_of_core_and_of_every_plugin_are_told_at_once(install, write_settings, registry):
    install("shelf", "reverse", "tidy", "broken")
    write_settings("""
        codecs = ["reverse", "broken"]
        payload_converter = "tidy"
        [payload_converters.tidy]
        indent = "perhaps"
        [codec.reverse]
        times = 0
        [storage]
        concurrency = 0
        driver = "shelf"
        [storage.drivers.shelf]
        boards = "many"
        retrieve_only = "perhaps"
        [storage.drivers.memory]
        shelv = 1
    """)
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(registry=registry)
    assert {problem.place for problem in caught.value.problems} == {
        "codecs[1]",
        "payload_converters.tidy.indent",
        "codec.reverse.times",
        "storage.concurrency",
        "storage.drivers.shelf.boards",
        "storage.drivers.shelf.retrieve_only",
        "storage.drivers.shelf.room",
        "storage.drivers.memory.shelv",
    }
    assert all(problem.origin == "temporal-payloads.toml" for problem in caught.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "storage.driver = 'shelf'\nstorage.drivers = 3",
        "storage.driver = 'shelf'\nstorage.drivers.shelf = 3",
        "storage.driver = 'old'\nstorage.drivers.old.type = 3",
        "codecs = ['x']\ncodec.x.type = 3",
        "codecs = ['x']\ncodec.x = 3",
        "codecs = ['x']\ncodec = 3",
    ],
)
def test_what_only_follows_from_a_wrong_value_is_not_told(install, write_settings, text):
    install("shelf")
    write_settings(text)
    assert len(problems_of(None)) == 1


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"storage": {"driver": "nobody"}}, UnknownPluginError),
        ({"storage": {"driver": "shelf"}}, PluginConflictError),
        ({"codecs": ["broken"]}, PluginLoadError),
    ],
)
def test_where_all_that_is_wrong_is_one_plugin_the_error_says_so_by_its_type(install, settings, error):
    install("shelf", "rival", "broken")
    with pytest.raises(error) as caught:
        build_data_converter(PayloadSettings(**settings))
    assert type(caught.value) is error
    assert caught.value.problems[0].place


def test_a_plugin_whose_own_code_fails_is_a_configuration_error(registry, memory, monkeypatch):
    broken = dataclasses.replace(registry.driver("memory"), expiry=lambda _settings: 1 / 0)
    monkeypatch.setitem(registry._loaded, ("driver", "memory"), broken)
    ((place, message),) = problems_of(storage(driver="memory"), registry=registry)
    assert place == "storage.drivers.memory"
    assert "ZeroDivisionError" in message


# -- routes


def selected(registry, payload_size, target, **values):
    converter = build_data_converter(storage(threshold=0, **values), registry=registry)
    payload = Payload(data=b"x" * payload_size)
    driver = storage_of(converter).driver_selector(StorageDriverSelectContext(target=target), payload)
    assert driver is None or isinstance(driver, StorageDriver)
    assert driver is None or driver in storage_of(converter).drivers
    return driver.name() if driver else None


WORKFLOW = StorageDriverWorkflowInfo(namespace="prod-eu", id="w", type="HealthCheck")
ACTIVITY = StorageDriverActivityInfo(namespace="prod-us", id="a", type="Resize")
TWO = {"a": {"type": "memory", "shelf": "a"}, "b": {"type": "memory", "shelf": "b"}}


@pytest.mark.parametrize(
    ("route", "size", "target", "matches"),
    [
        ({"min_size": 100}, 200, None, True),
        ({"min_size": 100}, 90, None, False),
        ({"max_size": 100}, 90, None, True),
        ({"max_size": 100}, 200, None, False),
        ({"min_size": 50, "max_size": 100}, 70, None, True),
        ({"namespace": "prod-*"}, 1, WORKFLOW, True),
        ({"namespace": ["test", "prod-us"]}, 1, ACTIVITY, True),
        ({"namespace": "prod-us"}, 1, WORKFLOW, False),
        ({"namespace": "PROD-*"}, 1, WORKFLOW, False),
        ({"namespace": "prod-*"}, 1, None, False),
        ({"namespace": "*"}, 1, None, True),
        ({"workflow_type": "Health*"}, 1, WORKFLOW, True),
        ({"workflow_type": "Order"}, 1, WORKFLOW, False),
        ({"workflow_type": "Resize"}, 1, ACTIVITY, False),
        ({"activity_type": "Resize"}, 1, ACTIVITY, True),
        ({"activity_type": "Health*"}, 1, WORKFLOW, False),
        ({"workflow_type": "Health*", "namespace": "prod-eu", "min_size": 1}, 9, WORKFLOW, True),
        ({"workflow_type": "Health*", "namespace": "prod-us", "min_size": 1}, 9, WORKFLOW, False),
        ({}, 1, None, True),
    ],
)
def test_a_route_matches_if_all_its_conditions_hold(registry, route, size, target, matches):
    chosen = selected(registry, size, target, driver="a", drivers=TWO, routes=[{"driver": "b", **route}])
    assert chosen == ("b" if matches else "a")


def test_the_size_that_counts_is_that_of_the_serialized_payload(registry):
    size = Payload(data=b"x" * 100).ByteSize()
    route = {"driver": "b", "min_size": size, "max_size": size}
    assert selected(registry, 100, None, driver="a", drivers=TWO, routes=[route]) == "b"
    assert selected(registry, 101, None, driver="a", drivers=TWO, routes=[route]) == "a"


def test_the_first_route_that_matches_wins(registry):
    routes = [{"driver": "b", "namespace": "prod-*"}, {"driver": "inline", "workflow_type": "Health*"}]
    assert selected(registry, 1, WORKFLOW, driver="a", drivers=TWO, routes=routes) == "b"
    assert selected(registry, 1, WORKFLOW, driver="a", drivers=TWO, routes=routes[::-1]) is None


def test_a_route_to_inline_keeps_payloads_in_the_history(registry):
    assert selected(registry, 1, None, driver="a", drivers=TWO, routes=[{"driver": "inline"}]) is None


def test_without_a_route_that_matches_payloads_go_to_the_default(registry):
    assert selected(registry, 1, None, driver="b", drivers=TWO) == "b"
    assert selected(registry, 1, None, driver="inline", drivers=TWO) is None


def test_the_only_driver_is_the_default(registry):
    assert selected(registry, 1, None, drivers={"memory": {}}) == "example.memory"


def test_nothing_new_goes_to_a_driver_that_is_retrieve_only(registry):
    old = {"type": "memory", "retrieve_only": True, "shelf": "old"}
    assert selected(registry, 1, None, drivers={"old": old}) is None
    assert selected(registry, 1, None, drivers={"old": old, "memory": {}}) == "example.memory"


async def test_what_a_retrieve_only_driver_stored_earlier_is_still_read(registry):
    earlier = build_data_converter(storage(threshold=0, driver="memory"), registry=registry)
    stored = await earlier.encode(["hello"])
    now = build_data_converter(
        storage(threshold=0, drivers={"memory": {"retrieve_only": True}}), registry=registry
    )
    assert await now.decode(stored) == ["hello"]
    (inline,) = await now.encode(["hello"])
    assert inline.data == b'"hello"'


async def test_payloads_below_the_threshold_stay_in_the_history(registry, store):
    converter = build_data_converter(storage(threshold="1KiB", driver="memory"), registry=registry)
    small, large = await converter.encode(["x" * 100, "x" * 2000])
    assert small.data.startswith(b'"xxx')
    assert large.external_payloads[0].size_bytes > 2000
    assert len(store.items) == 1


# -- opening


async def test_an_open_converter_has_its_drivers_open_from_beginning_to_end(registry, store):
    async with open_data_converter(storage(threshold=0, driver="memory"), registry=registry) as converter:
        assert (store.opened, store.open_now) == (1, 1)
        assert await converter.decode(await converter.encode(["hello"])) == ["hello"]
        assert store.opened == 1
    assert store.open_now == 0


async def test_a_driver_that_cannot_be_opened_fails_at_once(registry, store):
    store.fail_opening = StorageUnavailableError("nobody at home")
    with pytest.raises(StorageUnavailableError, match="nobody at home"):
        async with open_data_converter(storage(driver="memory"), registry=registry):
            pytest.fail("must not get here")
    assert store.open_now == 0


async def test_a_store_that_is_of_no_use_fails_at_once(registry, store):
    store.fail_reading = StorageUnavailableError("full")
    with pytest.raises(StorageUnavailableError, match="full"):
        async with open_data_converter(storage(driver="memory"), registry=registry):
            pytest.fail("must not get here")
    assert store.open_now == 0


def test_one_converter_serves_consecutive_loops_and_leaves_nothing_open(registry, store):
    converter = build_data_converter(
        storage(threshold=0, driver="memory", cache={"max_size": 0}), registry=registry
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = asyncio.run(converter.encode(["hello"]))
        assert asyncio.run(converter.decode(stored)) == ["hello"]
    assert (store.opened, store.open_now) == (2, 0)


def test_a_traceback_names_an_error_as_it_is_imported(write_settings):
    write_settings("codecs = 3")
    with pytest.raises(ConfigurationError) as raised:
        build_data_converter()
    assert traceback.format_exception_only(raised.value)[0].startswith(
        "temporal_payloads.ConfigurationError: "
    )
