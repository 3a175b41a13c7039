"""What every payload converter plugin must do."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pprint import pformat
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.common import RawValue
from temporalio.converter import (
    BinaryProtoPayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    PayloadConverter,
    WorkflowSerializationContext,
)

from temporal_payloads._plugins.contract import PayloadConverterPlugin
from temporal_payloads._plugins.kinds import KindName
from temporal_payloads.testing._plugin import PluginConformance
from temporal_payloads.testing._sandbox import run_in_sandbox

SDK = DefaultPayloadConverter()


class Colour(str, Enum):  # noqa: UP042  # the SDK's converter knows both kinds; this one is older than StrEnum
    """An enumeration of texts."""

    RED = "red"


@dataclass
class Point:
    """A small dataclass."""

    x: int
    y: float = 0.5


@dataclass
class Line:
    """A dataclass that holds others."""

    points: list[Point]
    label: str | None = None
    colour: Colour = Colour.RED


VALUES: tuple[tuple[Any, Any], ...] = (
    *((value, type(value)) for value in (True, False, 0, -1, 2**53 + 1, 0.1, -0.0, 1e300)),
    *((text, str) for text in ("", "größe 注文 \U0001f4e6")),
    ('\u2028 \x00 \x7f " \\ </script>', str),
    ([], list[int]),
    ([1, 2, 3], list[int]),
    ([[1], [], [2, 3]], list[list[int]]),
    ({}, dict[str, int]),
    ({"b": 1, "a": 2, "": 3}, dict[str, int]),
    ({"a": [{"b": None}]}, dict[str, Any]),
    ({1: "one", -2: "two"}, dict[int, str]),
    ((1, "a"), tuple[int, str]),
    ({7}, set[int]),
    (None, int | None),
    (3, int | None),
    (Point(1), Point),
    (Line([Point(1, 2.5), Point(-1)], None), Line),
    ([Line([]), Line([Point(0, 0.0)], "größe")], list[Line]),
    ({"first": Point(1)}, dict[str, Point]),
    (Colour.RED, Colour),
)
"""Values and the types that workflows and activities declare for them."""
PLAIN_VALUES: tuple[Any, ...] = (True, 5, 0.5, "größe", [1, "a", None], {"a": {"b": [1.5]}}, [])
"""Values that come back as they are where no type is declared."""
MESSAGE = WorkflowExecution(workflow_id="order-1", run_id="run-1")
JSON = {"encoding": b"json/plain"}
UNREADABLE: tuple[tuple[dict[str, bytes], bytes, Any], ...] = (
    ({"encoding": b"of/another"}, b"1", None),
    ({}, b"1", None),
    (JSON, b"", None),
    (JSON, b"[1", list[int]),
    (JSON, b"1 2", None),
    (JSON, b'"\xff"', str),
    (JSON, b'"text"', int),
    (JSON, b"[1]", dict[str, int]),
    (JSON, b"{}", Point),
    (JSON, b'{"x": "text"}', Point),
    (JSON, b'"blue"', Colour),
)
"""Payloads that are damaged, of an unknown encoding, or of another type than is declared."""
CONVERTED_ELSEWHERE = """
import json, pickle, sys
path, converter_class, values = pickle.loads(sys.stdin.buffer.read())
sys.path[:] = path
payloads = pickle.loads(converter_class)().to_payloads(pickle.loads(values))
print(json.dumps([payload.SerializeToString(deterministic=True).hex() for payload in payloads]))
"""


def shown(value: Any) -> str:
    """Return a text that tells equal values of different types apart: 1, 1.0 and True; 0.0 and -0.0."""
    return pformat(value)


class Opaque(PayloadConverter):
    """A payload converter of which nobody knows how it works."""

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Write what `from_payloads` reads."""
        return SDK.to_payloads(values)

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Read what `to_payloads` writes."""
        return SDK.from_payloads(payloads, type_hints)


class PayloadConverterConformance(PluginConformance):
    """Subclass it, name the entry point, and give two fixtures: `plugin` and `settings`.

    `plugin` is the `PayloadConverterPlugin`; `settings` an instance of its settings model.
    """

    kind: ClassVar[KindName] = "payload_converter"
    bases: ClassVar[Sequence[type[PayloadConverter]]] = ()
    """Payload converters of others that the plugin composes with. On top of each, all is tested once more."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give a test each base, and None for the plugin alone."""
        if "base" in metafunc.fixturenames:
            bases = [None, *self.bases]
            metafunc.parametrize("base", bases, ids=[base.__name__ if base else "alone" for base in bases])

    @pytest.fixture
    def converter_class(
        self, plugin: PayloadConverterPlugin[Any], settings: BaseModel, base: type[PayloadConverter] | None
    ) -> type[PayloadConverter]:
        """Return the class that the plugin gives, alone or on top of a base."""
        if base is None:
            return plugin.create(settings)
        assert plugin.extend is not None, "a plugin without `extend` composes with no base"
        return plugin.extend(settings, base)

    # -- what the plugin says

    def test_its_class_is_made_without_arguments(self, converter_class: type[PayloadConverter]) -> None:
        """The SDK makes it so, for each workflow anew."""
        assert issubclass(converter_class, PayloadConverter)
        DataConverter(payload_converter_class=converter_class)

    def test_equal_settings_give_the_same_class(
        self, plugin: PayloadConverterPlugin[Any], settings: BaseModel
    ) -> None:
        """A converter that was built before is recognised by it."""
        assert plugin.create(settings) is plugin.create(settings.model_copy())

    def test_a_base_that_does_not_compose_is_told_why(
        self, plugin: PayloadConverterPlugin[Any], settings: BaseModel
    ) -> None:
        """With the text of a `ValueError`. A class of which nothing is known may well be one."""
        if plugin.extend is None:
            return
        try:
            extended = plugin.extend(settings, Opaque)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # whether it raises is the plugin's choice
        else:
            assert issubclass(extended, PayloadConverter)
            extended()

    def test_the_modules_for_the_sandbox_exist(self, plugin: PayloadConverterPlugin[Any]) -> None:
        """A misspelt one would be passed through by nobody, and no error would tell."""
        assert not isinstance(plugin.sandbox_passthrough, str)
        for name in plugin.sandbox_passthrough:
            importlib.import_module(name)

    # -- values

    @pytest.mark.parametrize(("value", "hint"), VALUES, ids=repr)
    def test_a_value_comes_back_as_it_was(
        self, converter_class: type[PayloadConverter], value: Any, hint: Any
    ) -> None:
        """Of the same types all the way down; also where only one side has it, and the other the SDK's own.

        Histories go back to before it was configured, and not every client will have it.
        """
        converter = converter_class()
        ours, theirs = converter.to_payload(value), SDK.to_payload(value)
        assert ours.metadata == theirs.metadata
        assert shown(converter.from_payload(ours, hint)) == shown(value)
        assert shown(SDK.from_payload(ours, hint)) == shown(value)
        assert shown(converter.from_payload(theirs, hint)) == shown(value)

    @pytest.mark.parametrize("hint", [None, Any], ids=repr)
    def test_values_without_a_declared_type_come_back_as_json_has_them(
        self, converter_class: type[PayloadConverter], hint: Any
    ) -> None:
        """Several at once, in their order; of none at all there are none."""
        converter = converter_class()
        payloads = converter.to_payloads(PLAIN_VALUES)
        given = [Payload.FromString(payload.SerializeToString()) for payload in payloads]
        declared = hint and [hint] * len(payloads)
        assert shown(converter.from_payloads(payloads, declared)) == shown(list(PLAIN_VALUES))
        assert payloads == given, "a payload that was given is the caller's"
        assert list(converter.to_payloads([])) == []
        assert list(converter.from_payloads([])) == []

    @pytest.mark.parametrize("value", [None, b"", b"\0\xff", MESSAGE], ids=repr)
    def test_what_is_not_json_is_as_the_sdk_has_it(
        self, converter_class: type[PayloadConverter], value: Any
    ) -> None:
        """None, bytes and protobuf messages, of which every SDK knows the encodings."""
        converter = converter_class()
        assert converter.to_payload(value) == SDK.to_payload(value)
        assert converter.from_payload(SDK.to_payload(value), type(value)) == value

    def test_binary_protobuf_is_read(self, converter_class: type[PayloadConverter]) -> None:
        """Nobody writes it by default; the SDK of another language may be told to."""
        payload = BinaryProtoPayloadConverter().to_payload(MESSAGE)
        assert payload is not None
        assert converter_class().from_payload(payload, WorkflowExecution) == MESSAGE

    def test_raw_values_are_left_alone(self, converter_class: type[PayloadConverter]) -> None:
        """A payload that is given as such, or asked for as such, stays as it is."""
        converter = converter_class()
        payload = Payload(metadata={"encoding": b"of/another"}, data=b"\0")
        assert converter.to_payloads([RawValue(payload), 1])[0] == payload
        (raw,) = converter.from_payloads([payload], [RawValue])
        assert isinstance(raw, RawValue)
        assert raw.payload == payload

    @pytest.mark.parametrize(("metadata", "data", "hint"), UNREADABLE, ids=repr)
    def test_what_cannot_be_read_is_an_error(
        self, converter_class: type[PayloadConverter], metadata: dict[str, bytes], data: bytes, hint: Any
    ) -> None:
        """Never some other value."""
        with pytest.raises(Exception):  # noqa: B017, PT011  # the SDK's own converter raises what it likes
            converter_class().from_payload(Payload(metadata=metadata, data=data), hint)

    def test_what_cannot_be_written_is_an_error(self, converter_class: type[PayloadConverter]) -> None:
        """Also deep within a value."""
        for value in (object(), [object()], {"a": [Point]}):
            with pytest.raises(Exception):  # noqa: B017, PT011  # likewise
                converter_class().to_payload(value)

    # -- where it runs

    def test_the_same_value_gives_the_same_bytes(self, converter_class: type[PayloadConverter]) -> None:
        """Whatever the order of a dictionary's keys; a store then keeps it once."""
        one, other = converter_class(), converter_class()
        for value, _ in VALUES:
            assert one.to_payload(value) == one.to_payload(value) == other.to_payload(value)
        assert one.to_payload({"b": 1, "a": {"d": 2, "c": 3}}) == one.to_payload(
            {"a": {"c": 3, "d": 2}, "b": 1}
        )

    def test_a_process_pool_can_have_it(self, converter_class: type[PayloadConverter]) -> None:
        """Activities in a process pool are given the class, pickled; there it writes the same bytes."""
        given = (sys.path, pickle.dumps(converter_class), pickle.dumps(PLAIN_VALUES))
        done = subprocess.run(  # noqa: S603  # this interpreter, and our own program
            [sys.executable, "-c", CONVERTED_ELSEWHERE],
            input=pickle.dumps(given),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        payloads = [Payload.FromString(bytes.fromhex(each)) for each in json.loads(done.stdout)]
        assert payloads == converter_class().to_payloads(PLAIN_VALUES)

    def test_it_works_in_the_workflow_sandbox(
        self, plugin: PayloadConverterPlugin[Any], converter_class: type[PayloadConverter]
    ) -> None:
        """With the modules that the plugin names, and with types that each sandbox has for itself."""
        asyncio.run(run_in_sandbox(converter_class, plugin.sandbox_passthrough))

    def test_it_is_the_same_with_a_serialization_context(
        self, converter_class: type[PayloadConverter]
    ) -> None:
        """The SDK asks for a converter with the context of each workflow and activity."""
        context = WorkflowSerializationContext(namespace="default", workflow_id="order-1")
        converter = DataConverter(payload_converter_class=converter_class).with_context(context)
        for value, hint in VALUES:
            payload = converter.payload_converter.to_payload(value)
            assert payload == converter_class().to_payload(value)
            assert shown(converter.payload_converter.from_payload(payload, hint)) == shown(value)

    def test_one_converter_serves_several_threads(self, converter_class: type[PayloadConverter]) -> None:
        """At the same time, also where each meets a type first."""
        converter = converter_class()
        failures: list[BaseException] = []
        together = threading.Barrier(4, timeout=60)

        def in_thread() -> None:
            try:
                together.wait()
                for value, hint in VALUES * 5:
                    assert shown(converter.from_payload(converter.to_payload(value), hint)) == shown(value)
            except BaseException as error:  # noqa: BLE001  # told by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=in_thread) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
