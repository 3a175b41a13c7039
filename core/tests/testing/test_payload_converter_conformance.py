"""The conformance kit passes a good payload converter, and finds what is wrong with others."""

import dataclasses
import inspect
import json
import time
from typing import ClassVar

import pytest
from temporal_payloads.plugin import PluginRegistry
from temporal_payloads.testing import PayloadConverterConformance
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DefaultPayloadConverter, JSONPlainPayloadConverter


class TestAnInstalledPayloadConverter(PayloadConverterConformance):
    entry_point = "tidy"
    bases = (PydanticPayloadConverter,)

    @pytest.fixture(autouse=True)
    def installed(self, install):
        install("tidy")

    @pytest.fixture
    def plugin(self, installed):
        return PluginRegistry().payload_converter("tidy")

    @pytest.fixture
    def settings(self, plugin):
        return plugin.settings()

    # Its distribution is on this process's path alone.
    test_registration_imports_no_client_library = None  # type: ignore[assignment]  # leaves the test out


# -- what the kit finds


@pytest.fixture
def tidy(install):
    install("tidy")
    return __import__("tidy_converter")


def fails(test, plugin, converter_class=None):
    """Tell whether one test of the kit fails, with any of the values that it is given."""
    settings = plugin.settings()
    function = getattr(PayloadConverterConformance, test)
    cases: list[dict[str, object]] = [{}]
    for mark in getattr(function, "pytestmark", ()):
        names, values = mark.args
        names = [names] if isinstance(names, str) else names
        cases = [dict(zip(names, value if len(names) > 1 else [value], strict=True)) for value in values]
    given = {"plugin": plugin, "settings": settings, "converter_class": converter_class}
    for case in cases:
        wanted = [name for name in inspect.signature(function).parameters if name in given]
        try:
            function(PayloadConverterConformance(), **{name: given[name] for name in wanted}, **case)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever a broken plugin leads to
            return True
    return False


class WithJSON(DefaultPayloadConverter):
    """The SDK's converter with another JSON part, by default the SDK's own."""

    part: type[JSONPlainPayloadConverter] = JSONPlainPayloadConverter

    def __init__(self):
        super().__init__()
        self._set_converters(*{**self.converters, b"json/plain": self.part()}.values())


def with_json(**methods):
    """A converter with a JSON part of which some methods are others."""
    return type("Broken", (WithJSON,), {"part": type("Part", (JSONPlainPayloadConverter,), methods)})


def json_payload(value, **options):
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value, **options).encode())


class UnderAnotherEncoding(WithJSON):
    class part(JSONPlainPayloadConverter):  # noqa: N801  # stands for an attribute
        encoding = "json/mine"


class BytesAsJSON(WithJSON):
    def to_payloads(self, values):
        return super().to_payloads([list(v) if isinstance(v, bytes) else v for v in values])


class ReadingWhatItDoesNotKnow(WithJSON):
    def from_payloads(self, payloads, type_hints=None):
        known = [Payload(metadata={"encoding": b"json/plain"}, data=payload.data) for payload in payloads]
        return super().from_payloads(known, type_hints)


class TakingRawValuesForValues(WithJSON):
    def to_payloads(self, values):
        return super().to_payloads([getattr(v, "payload", v) for v in values])


class ImportingLate(WithJSON):
    def from_payloads(self, payloads, type_hints=None):
        import pluggy  # noqa: F401, PLC0415  # the point of it

        return super().from_payloads(payloads, type_hints)


class KnowingTypesByName(WithJSON):
    known: ClassVar[dict[str, type]] = {}

    def from_payloads(self, payloads, type_hints=None):
        known = [self.known.setdefault(str(hint), hint) for hint in type_hints or []]
        return super().from_payloads(payloads, known)


class SharedByThreads(WithJSON):
    def from_payloads(self, payloads, type_hints=None):
        self.hints = type_hints
        time.sleep(0.001)
        return super().from_payloads(payloads, self.hints)


class ForgettingItselfInAContext(WithJSON):
    def with_context(self, context):
        return PydanticPayloadConverter()


class Demanding(WithJSON):
    def __init__(self, wishes):
        super().__init__()


def a_local_class():
    class Local(WithJSON):
        """A class that no module has."""

    return Local


@pytest.mark.parametrize(
    ("converter_class", "test"),
    [
        (Demanding, "test_its_class_is_made_without_arguments"),
        (object, "test_its_class_is_made_without_arguments"),
        (
            with_json(from_payload=lambda self, payload, hint=None: json.loads(payload.data)),
            "test_a_value_comes_back_as_it_was",
        ),
        (UnderAnotherEncoding, "test_a_value_comes_back_as_it_was"),
        (ReadingWhatItDoesNotKnow, "test_what_cannot_be_read_is_an_error"),
        (BytesAsJSON, "test_what_is_not_json_is_as_the_sdk_has_it"),
        (TakingRawValuesForValues, "test_raw_values_are_left_alone"),
        (
            with_json(to_payload=lambda self, value: json_payload(value, default=str)),
            "test_what_cannot_be_written_is_an_error",
        ),
        (
            with_json(to_payload=lambda self, value: json_payload(value, default=vars)),
            "test_the_same_value_gives_the_same_bytes",
        ),
        (a_local_class(), "test_a_process_pool_can_have_it"),
        (ImportingLate, "test_it_works_in_the_workflow_sandbox"),
        (KnowingTypesByName, "test_it_works_in_the_workflow_sandbox"),
        (ForgettingItselfInAContext, "test_it_is_the_same_with_a_serialization_context"),
        (SharedByThreads, "test_one_converter_serves_several_threads"),
    ],
)
def test_a_converter_that_breaks_a_rule_is_found(tidy, converter_class, test):
    plugin = tidy.temporal_payloads_payload_converter()
    assert fails(test, plugin, converter_class)
    assert not fails(test, plugin, tidy.TidyPayloadConverter)


def extend_in_silence(settings, base):
    raise ValueError


@pytest.mark.parametrize(
    ("changes", "test"),
    [
        ({"create": lambda _settings: a_local_class()}, "test_equal_settings_give_the_same_class"),
        ({"extend": extend_in_silence}, "test_a_base_that_does_not_compose_is_told_why"),
        ({"extend": lambda _settings, base: None}, "test_a_base_that_does_not_compose_is_told_why"),
        ({"sandbox_passthrough": ("tidy_convertr",)}, "test_the_modules_for_the_sandbox_exist"),
        ({"sandbox_passthrough": "tidy_converter"}, "test_the_modules_for_the_sandbox_exist"),
    ],
)
def test_a_plugin_that_breaks_a_rule_is_found(tidy, changes, test):
    plugin = tidy.temporal_payloads_payload_converter()
    assert fails(test, dataclasses.replace(plugin, **changes))
    assert not fails(test, plugin)
