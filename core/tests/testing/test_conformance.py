"""The conformance kit passes good plugins, and finds what is wrong with others."""

import asyncio
import dataclasses
import inspect

import pytest
from pydantic import BaseModel
from temporal_payloads.plugin import (
    ConfinedClaim,
    PayloadNotFoundError,
    PerPayloadCodec,
    PluginRegistry,
    StorageError,
)
from temporal_payloads.testing import CodecConformance, DriverConformance
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, StorageDriverClaim


class TestMemoryDriver(DriverConformance):
    entry_point = "memory"

    @pytest.fixture
    def plugin(self, memory):
        return memory.temporal_payloads_driver()

    @pytest.fixture
    def settings(self, plugin):
        return plugin.settings(password="hunter2")

    # It is registered in code.
    test_the_entry_point_leads_to_this_plugin = None  # type: ignore[assignment]  # leaves the test out
    test_registration_imports_no_client_library = None  # type: ignore[assignment]  # likewise


class TestAnInstalledCodec(CodecConformance):
    entry_point = "reverse"

    @pytest.fixture(autouse=True)
    def installed(self, install):
        install("reverse")

    @pytest.fixture
    def plugin(self, installed):
        return PluginRegistry().codec("reverse")

    @pytest.fixture
    def settings(self, plugin):
        return plugin.settings()

    # Its distribution is on this process's path alone.
    test_registration_imports_no_client_library = None  # type: ignore[assignment]  # leaves the test out


def fails(test, plugin, settings):
    """Tell whether one test of the kit fails."""
    given = {"plugin": plugin, "settings": settings, "target": None}
    kit = DriverConformance if hasattr(DriverConformance, test) else CodecConformance
    function = getattr(kit, test)
    wanted = {name: given[name] for name in inspect.signature(function).parameters if name != "self"}
    try:
        function(kit(), **wanted)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever a broken plugin leads to
        return True
    return False


@pytest.fixture
def plugin(memory):
    return memory.temporal_payloads_driver()


def test_a_driver_that_trusts_claims_is_found(plugin):
    def trust(settings, claim):
        data = claim.claim_data
        return ConfinedClaim(
            claim=StorageDriverClaim(claim_data=dict(data)), sha256=data["hash_value"], namespace=None
        )

    trusting = dataclasses.replace(plugin, confine=trust)
    assert fails("test_forged_claims_are_rejected", trusting, plugin.settings())
    assert fails("test_claims_that_are_no_claims_are_rejected", trusting, plugin.settings())


def test_a_driver_that_checks_only_how_a_key_begins_and_ends_is_found(plugin):
    def careless(settings, claim):
        data = claim.claim_data
        key = data.get("key", "")
        if not key.startswith(settings.shelf) or not key.rstrip().endswith(data.get("hash_value", "?")):
            plugin.confine(settings, StorageDriverClaim(claim_data={}))
        _, _, rest = key.partition("/")
        namespace, _, sha256 = rest.rpartition("/")
        return ConfinedClaim(claim=claim, sha256=sha256, namespace=namespace or None)

    broken = dataclasses.replace(plugin, confine=careless)
    assert fails("test_forged_claims_are_rejected", broken, plugin.settings())


def broken_driver(memory, **methods):
    """The plugin with a driver some of whose methods are others."""
    good = memory.temporal_payloads_driver()

    def open_broken(settings, context):
        opened = good.open(settings, context)
        enter = opened.__aenter__

        class Broken:
            async def __aenter__(self):
                driver = await enter()
                driver.__class__ = type("Broken", (type(driver),), methods)
                return driver

            async def __aexit__(self, *failure):
                return await opened.__aexit__(*failure)

        return Broken()

    return dataclasses.replace(good, open=open_broken)


async def _retrieve_unverified(self, context, claims):
    return [Payload.FromString(self.store_behind.items[claim.claim_data["key"]]) for claim in claims]


async def _retrieve_losing_the_type(self, context, claims):
    try:
        return await super(type(self), self).retrieve(context, claims)
    except PayloadNotFoundError:
        raise KeyError("no such key") from None


async def _write_leaving_a_task(self, items):
    self.task = asyncio.create_task(asyncio.sleep(60))
    await super(type(self), self).write(items)


@pytest.mark.parametrize(
    ("methods", "test"),
    [
        ({"retrieve": _retrieve_unverified}, "test_other_bytes_than_were_stored_are_detected"),
        ({"retrieve": _retrieve_losing_the_type}, "test_a_missing_payload_is_told"),
        ({"name": lambda self: "memory"}, "test_the_driver_has_the_name_it_is_given"),
        ({"type": lambda self: "other"}, "test_the_driver_has_the_name_it_is_given"),
        ({"write": _write_leaving_a_task}, "test_closing_leaves_nothing_running"),
    ],
)
def test_a_driver_that_breaks_a_rule_is_found(memory, methods, test):
    plugin = broken_driver(memory, **methods)
    assert fails(test, plugin, plugin.settings())


@pytest.mark.parametrize(
    "test",
    [
        "test_settings_are_frozen_and_take_no_unknown_keys",
        "test_errors_about_settings_do_not_show_what_was_given",
        "test_every_setting_has_a_description",
        "test_secret_settings_are_of_a_secret_type",
        "test_no_setting_has_a_name_that_core_uses",
    ],
)
def test_settings_that_break_the_rules_are_found(plugin, test):
    class Careless(BaseModel):
        password: str = "x"
        type: str = ""

    assert fails(test, dataclasses.replace(plugin, settings=Careless), plugin.settings())


ENCODING = b"binary/reversed"


def reverse(payload):
    return Payload(metadata={"encoding": ENCODING}, data=payload.SerializeToString()[::-1])


class OnTheLoop(PayloadCodec):
    async def encode(self, payloads):
        return [reverse(payload) for payload in payloads]

    async def decode(self, payloads):
        return [Payload.FromString(payload.data[::-1]) for payload in payloads]


class InPlace(PerPayloadCodec):
    def encode_payload(self, payload):
        encoded = reverse(payload)
        payload.CopyFrom(encoded)
        return payload

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        try:
            return Payload.FromString(payload.data[::-1])
        except Exception as error:
            raise StorageError("broken") from error


class Numbering(InPlace):
    count = 0

    def encode_payload(self, payload):
        Numbering.count += 1
        encoded = reverse(payload)
        encoded.metadata["number"] = str(Numbering.count).encode()
        return encoded


@pytest.mark.parametrize(
    ("codec", "tests"),
    [
        (
            OnTheLoop,
            {
                "test_large_payloads_do_not_stop_the_event_loop",
                "test_payloads_of_others_pass_through_decoding",
                "test_corrupted_data_is_told",
            },
        ),
        (InPlace, {"test_payloads_are_not_changed"}),
        (Numbering, {"test_equal_payloads_are_encoded_equally"}),
    ],
)
def test_a_codec_that_breaks_a_rule_is_found(install, codec, tests):
    install("reverse")
    plugin = dataclasses.replace(PluginRegistry().codec("reverse"), create=lambda _settings: codec())
    assert [test for test in tests if not fails(test, plugin, plugin.settings())] == []
