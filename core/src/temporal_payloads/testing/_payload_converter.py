"""What every payload converter plugin must do."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
import re
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
from temporal_payloads.testing._promises import broken_by, raised
from temporal_payloads.testing._samples import require_same
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


def written(converter: PayloadConverter, value: Any) -> Payload:
    """Return the payload of a value, and say which value it is where there is none."""
    try:
        return converter.to_payload(value)
    except Exception as error:
        raise AssertionError(f"{shown(value)} could not be written: {raised(error)}") from error


def require_read(converter: PayloadConverter, payload: Payload, value: Any, hint: Any, how: str) -> None:
    """Fail unless a payload is read as the value, of the same types all the way down."""
    try:
        found = shown(converter.from_payload(payload, hint))
    except Exception as error:
        raise AssertionError(
            f"{shown(value)}, {how} as {hint}, could not be read: {raised(error)}"
        ) from error
    assert found == shown(value), f"{shown(value)}, {how} as {hint}, is {found}"


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

    @broken_by("an `__init__` that takes settings: let `create` make a class for each of them.")
    def test_its_class_is_made_without_arguments(self, converter_class: type[PayloadConverter]) -> None:
        """The SDK makes it so, for each workflow anew."""
        assert issubclass(converter_class, PayloadConverter)
        DataConverter(payload_converter_class=converter_class)

    @broken_by("a class made within `create`: put `functools.cache` on it, or the class into the module.")
    def test_equal_settings_give_the_same_class(
        self, plugin: PayloadConverterPlugin[Any], settings: BaseModel
    ) -> None:
        """A converter that was built before is recognised by it."""
        same_class = plugin.create(settings) is plugin.create(settings.model_copy())
        assert same_class, "of equal settings `create` made two classes"

    @broken_by("a `ValueError` without a text, or nothing returned.")
    def test_a_base_that_does_not_compose_is_told_why(
        self, plugin: PayloadConverterPlugin[Any], settings: BaseModel
    ) -> None:
        """With the text of a `ValueError`. A class of which nothing is known may well be one."""
        if plugin.extend is None:
            return
        try:
            extended = plugin.extend(settings, Opaque)
        except ValueError as error:
            said = str(error)
            assert said, "`extend` raised a ValueError without a text"
        else:
            assert issubclass(extended, PayloadConverter)
            extended()

    @broken_by("a misspelt module, or a text in place of a tuple.")
    def test_the_modules_for_the_sandbox_exist(self, plugin: PayloadConverterPlugin[Any]) -> None:
        """A misspelt one would be passed through by nobody, and no error would tell."""
        assert not isinstance(plugin.sandbox_passthrough, str)
        for name in plugin.sandbox_passthrough:
            importlib.import_module(name)

    # -- values

    @pytest.mark.parametrize(("value", "hint"), VALUES, ids=repr)
    @broken_by(
        "a JSON library with ideas of its own on dates, enumerations, keys or declared types, or "
        "another `encoding`."
    )
    def test_a_value_comes_back_as_it_was(
        self, converter_class: type[PayloadConverter], value: Any, hint: Any
    ) -> None:
        """Of the same types all the way down; also where only one side has it, and the other the SDK's own.

        Histories go back to before it was configured, and not every client will have it.
        """
        converter = converter_class()
        ours, theirs = written(converter, value), SDK.to_payload(value)
        assert dict(ours.metadata) == dict(theirs.metadata), "its metadata are not those that the SDK writes"
        for reader, payload, how in (
            (converter, ours, "written and read"),
            (SDK, ours, "written, and read by the SDK's converter"),
            (converter, theirs, "written by the SDK's converter, and read"),
        ):
            require_read(reader, payload, value, hint, how)

    @pytest.mark.parametrize("hint", [None, Any], ids=repr)
    @broken_by("a `None` in place of the types that is not expected, or one payload at a time.")
    def test_values_without_a_declared_type_come_back_as_json_has_them(
        self, converter_class: type[PayloadConverter], hint: Any
    ) -> None:
        """Several at once, in their order; of none at all there are none."""
        converter = converter_class()
        payloads = converter.to_payloads(PLAIN_VALUES)
        given = [Payload.FromString(payload.SerializeToString()) for payload in payloads]
        declared = hint and [hint] * len(payloads)
        found = shown(converter.from_payloads(payloads, declared))
        assert found == shown(list(PLAIN_VALUES)), f"{shown(list(PLAIN_VALUES))} came back as {found}"
        require_same(payloads, given)
        assert list(converter.to_payloads([])) == []
        assert list(converter.from_payloads([])) == []

    @pytest.mark.parametrize("value", [None, b"", b"\0\xff", MESSAGE], ids=repr)
    @broken_by("a converter for everything in front of the SDK's converters for None, bytes and protobuf.")
    def test_what_is_not_json_is_as_the_sdk_has_it(
        self, converter_class: type[PayloadConverter], value: Any
    ) -> None:
        """None, bytes and protobuf messages, of which every SDK knows the encodings."""
        converter = converter_class()
        require_same([converter.to_payload(value)], [SDK.to_payload(value)])
        assert converter.from_payload(SDK.to_payload(value), type(value)) == value

    @broken_by("the SDK's list of converters cut short.")
    def test_binary_protobuf_is_read(self, converter_class: type[PayloadConverter]) -> None:
        """Nobody writes it by default; the SDK of another language may be told to."""
        payload = BinaryProtoPayloadConverter().to_payload(MESSAGE)
        assert payload is not None
        assert converter_class().from_payload(payload, WorkflowExecution) == MESSAGE

    @broken_by("overriding `to_payloads` or `from_payloads` without what the SDK's own do with `RawValue`.")
    def test_raw_values_are_left_alone(self, converter_class: type[PayloadConverter]) -> None:
        """A payload that is given as such, or asked for as such, stays as it is."""
        converter = converter_class()
        payload = Payload(metadata={"encoding": b"of/another"}, data=b"\0")
        require_same(converter.to_payloads([RawValue(payload), 1])[:1], [payload])
        (raw,) = converter.from_payloads([payload], [RawValue])
        assert isinstance(raw, RawValue), f"it was read as {raw!r}"
        require_same([raw.payload], [payload])

    @pytest.mark.parametrize(("metadata", "data", "hint"), UNREADABLE, ids=repr)
    @broken_by("parsing without looking at the encoding or at the declared type.")
    def test_what_cannot_be_read_is_an_error(
        self, converter_class: type[PayloadConverter], metadata: dict[str, bytes], data: bytes, hint: Any
    ) -> None:
        """Never some other value."""
        try:
            value = converter_class().from_payload(Payload(metadata=metadata, data=data), hint)
        except Exception:  # noqa: BLE001  # the SDK's own converter raises what it likes
            return
        raise AssertionError(f"it was read as {value!r}")

    @broken_by("a `default=str` or `default=vars`, which writes what nobody can read.")
    def test_what_cannot_be_written_is_an_error(self, converter_class: type[PayloadConverter]) -> None:
        """Also deep within a value."""
        for value in (object(), [object()], {"a": [Point]}):
            try:
                converter_class().to_payload(value)
            except Exception:  # noqa: BLE001, S112  # likewise
                continue
            raise AssertionError(f"{value!r} was written")

    # -- where it runs

    @broken_by("keys that are not sorted.")
    def test_the_same_value_gives_the_same_bytes(self, converter_class: type[PayloadConverter]) -> None:
        """Whatever the order of a dictionary's keys; a store then keeps it once."""
        one, other = converter_class(), converter_class()
        for value, _ in VALUES:
            require_same([written(one, value), written(other, value)], [written(one, value)] * 2)
        reordered = written(one, {"a": {"c": 3, "d": 2}, "b": 1})
        require_same([written(one, {"b": 1, "a": {"d": 2, "c": 3}})], [reordered])

    @broken_by("a class made within a function, which cannot be pickled.")
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
        require_same(payloads, converter_class().to_payloads(PLAIN_VALUES))

    @broken_by(
        "an import while a value is converted, a module missing in `sandbox_passthrough`, or types "
        "remembered by name."
    )
    def test_it_works_in_the_workflow_sandbox(
        self, plugin: PayloadConverterPlugin[Any], converter_class: type[PayloadConverter]
    ) -> None:
        """With the modules that the plugin names, and with types that each sandbox has for itself."""
        try:
            asyncio.run(run_in_sandbox(converter_class, plugin.sandbox_passthrough))
        except RuntimeError as error:
            # The SDK's core tells a failure and its causes in one long line, with all their stacks.
            told = " <- ".join(re.findall(r'message: "((?:[^"\\]|\\.)*)"', str(error)))
            raise AssertionError(f"the workflow failed in its sandbox: {told or error}") from error

    @broken_by("a `with_context` that returns another converter.")
    def test_it_is_the_same_with_a_serialization_context(
        self, converter_class: type[PayloadConverter]
    ) -> None:
        """The SDK asks for a converter with the context of each workflow and activity."""
        context = WorkflowSerializationContext(namespace="default", workflow_id="order-1")
        converter = DataConverter(payload_converter_class=converter_class).with_context(context)
        for value, hint in VALUES:
            payload = written(converter.payload_converter, value)
            require_same([payload], [written(converter_class(), value)])
            require_read(converter.payload_converter, payload, value, hint, "written and read in a context")

    @broken_by("what belongs to one call kept on the converter.")
    def test_one_converter_serves_several_threads(self, converter_class: type[PayloadConverter]) -> None:
        """At the same time, also where each meets a type first."""
        converter = converter_class()
        failures: list[BaseException] = []
        together = threading.Barrier(4, timeout=60)

        def in_thread() -> None:
            try:
                together.wait()
                for value, hint in VALUES * 5:
                    payload = written(converter, value)
                    require_read(converter, payload, value, hint, "written and read in several threads")
            except BaseException as error:  # noqa: BLE001  # told by the test's own thread
                together.abort()
                failures.append(error)

        threads = [threading.Thread(target=in_thread) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            if not isinstance(failure, threading.BrokenBarrierError):
                raise failure
