"""Payload converters with one fault each, on the good one of `distributions/tidy`."""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from temporal_payloads.testing import PayloadConverterConformance
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import AdvancedJSONEncoder, DefaultPayloadConverter, JSONPlainPayloadConverter

from gallery.exhibit import Exhibit

sys.path.append(str(Path(__file__).parents[2] / "distributions" / "tidy"))

import tidy_converter  # from there


class WithJSON(DefaultPayloadConverter):
    """The SDK's converter with another JSON part, by default the SDK's own."""

    part: type[JSONPlainPayloadConverter] = JSONPlainPayloadConverter

    def __init__(self):
        super().__init__()
        self._set_converters(*{**self.converters, b"json/plain": self.part()}.values())


def with_json(**methods):
    """A converter with a JSON part of which some methods are others."""
    return type("Broken", (WithJSON,), {"part": type("Part", (JSONPlainPayloadConverter,), methods)})


def json_payload(value, encoder=AdvancedJSONEncoder, encoding=b"json/plain", *, sort_keys=True):
    text = json.dumps(value, cls=encoder, separators=(",", ":"), sort_keys=sort_keys)
    return Payload(metadata={"encoding": encoding}, data=text.encode())


class TextForAnything(AdvancedJSONEncoder):
    def default(self, o):
        try:
            return super().default(o)
        except TypeError:
            return str(o)


class UnderAnotherEncoding(WithJSON):
    class part(JSONPlainPayloadConverter):  # noqa: N801  # stands for an attribute
        encoding = "json/mine"

        def to_payload(self, value):
            return json_payload(value, encoding=b"json/mine")


class BytesAsJSON(WithJSON):
    def to_payloads(self, values):
        return super().to_payloads([list(v) if isinstance(v, bytes) else v for v in values])


class ReadingWhatItDoesNotKnow(WithJSON):
    def from_payloads(self, payloads, type_hints=None):
        hints = type_hints or [None] * len(payloads)
        known = [
            payload
            if hint is RawValue or payload.metadata.get("encoding") in self.converters
            else Payload(metadata={"encoding": b"json/plain"}, data=payload.data)
            for payload, hint in zip(payloads, hints, strict=True)
        ]
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


def with_class(converter_class):
    return {"create": lambda _settings: converter_class}


def extend_in_silence(settings, base):
    raise ValueError


def changed(changes):
    return replace(tidy_converter.temporal_payloads_payload_converter(), **changes)


def exhibit(name, changes, breaks=None, says="", *also, **more):
    return Exhibit(
        name=name,
        kit=PayloadConverterConformance,
        plugin=partial(changed, changes),
        settings=tidy_converter.TidySettings,
        breaks=breaks,
        says=says,
        also=frozenset(also),
        **more,
    )


WHAT_NEEDS_A_CONVERTER = (
    "a_value_comes_back_as_it_was",
    "binary_protobuf_is_read",
    "it_is_the_same_with_a_serialization_context",
    "one_converter_serves_several_threads",
    "raw_values_are_left_alone",
    "the_same_value_gives_the_same_bytes",
    "values_without_a_declared_type_come_back_as_json_has_them",
    "what_is_not_json_is_as_the_sdk_has_it",
)

CONVERTERS = [
    exhibit(
        "a good payload converter",
        {},
        entry_point="tidy",
        attributes={"client_modules": ("sqlite3",), "bases": (PydanticPayloadConverter,)},
    ),
    exhibit(
        "a class with arguments",
        with_class(Demanding),
        "its_class_is_made_without_arguments",
        "TypeError was raised: .*wishes",
        *WHAT_NEEDS_A_CONVERTER,
    ),
    exhibit(
        "declared types ignored",
        with_class(with_json(from_payload=lambda self, payload, hint=None: json.loads(payload.data))),
        "a_value_comes_back_as_it_was",
        ", written and read as .*, is ",
        "it_is_the_same_with_a_serialization_context",
        "one_converter_serves_several_threads",
    ),
    exhibit(
        "another encoding",
        with_class(UnderAnotherEncoding),
        "a_value_comes_back_as_it_was",
        "its metadata are not those that the SDK writes",
    ),
    exhibit(
        "what is not known read all the same",
        with_class(ReadingWhatItDoesNotKnow),
        "what_cannot_be_read_is_an_error",
        "it was read as 1",
    ),
    exhibit(
        "bytes as JSON",
        with_class(BytesAsJSON),
        "what_is_not_json_is_as_the_sdk_has_it",
        "payload 0 of 1 should be one of .* encoding binary/plain.*, and is .* encoding json/plain",
    ),
    exhibit(
        "raw values taken for values",
        with_class(TakingRawValuesForValues),
        "raw_values_are_left_alone",
        "payload 0 of 1 should be one of .* encoding of/another",
    ),
    exhibit(
        "anything written as text",
        with_class(with_json(to_payload=lambda self, value: json_payload(value, TextForAnything))),
        "what_cannot_be_written_is_an_error",
        "was written",
    ),
    exhibit(
        "keys in any order",
        with_class(with_json(to_payload=lambda self, value: json_payload(value, sort_keys=False))),
        "the_same_value_gives_the_same_bytes",
        "payload 0 of 1 should be",
    ),
    exhibit(
        "a local class",
        with_class(a_local_class()),
        "a_process_pool_can_have_it",
        "Can't pickle|local object",
    ),
    exhibit(
        "a late import",
        with_class(ImportingLate),
        "it_works_in_the_workflow_sandbox",
        "failed in its sandbox: .*[Mm]odule pluggy",
    ),
    exhibit(
        "types known by name",
        with_class(KnowingTypesByName),
        "it_works_in_the_workflow_sandbox",
        "failed in its sandbox: .* became ",
    ),
    exhibit(
        "another converter in a context",
        with_class(ForgettingItselfInAContext),
        "it_is_the_same_with_a_serialization_context",
        "payload 0 of 1 should be",
    ),
    exhibit(
        "shared by threads",
        with_class(SharedByThreads),
        "one_converter_serves_several_threads",
        "written and read in several threads as .*, (is|could not be read)",
    ),
    exhibit(
        "a new class each time",
        {"create": lambda _settings: a_local_class()},
        "equal_settings_give_the_same_class",
        "`create` made two classes",
        "a_process_pool_can_have_it",
    ),
    exhibit(
        "a base refused in silence",
        {"extend": extend_in_silence},
        "a_base_that_does_not_compose_is_told_why",
        "a ValueError without a text",
    ),
    exhibit(
        "a misspelt module",
        {"sandbox_passthrough": ("tidy_convertr",)},
        "the_modules_for_the_sandbox_exist",
        "tidy_convertr",
    ),
]
