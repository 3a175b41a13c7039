"""Runs a converter and the SDK's on the two runs of a program, and reports where they differ."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.differential.describe import describe, type_name
from support.differential.prelude import Stop
from support.differential.programs import Program, Run
from temporalio.api.common.v1 import Payload
from temporalio.converter import DefaultPayloadConverter

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.converter import PayloadConverter

TRIED: Counter[str] = Counter()
"""What has been compared so far, by kind and outcome."""

_SDK = DefaultPayloadConverter()
_NOTES = ("__msgspec_cache__", "__slotnames__", "__annotations_cache__", "__temporal_payloads_")
"""How names begin under which msgspec, Python itself and we keep with a class what is known of it."""


class DifferenceError(AssertionError):
    """The converter and the SDK's do not do the same."""


class UnusableError(Exception):
    """A program or an expression that Python itself refuses."""


@dataclass(frozen=True)
class Outcome:
    """What came of one call."""

    value: Any = None
    error: BaseException | None = None
    warned: tuple[tuple[str, str], ...] = ()

    def kind(self) -> str:
        """Return what is counted."""
        return f"error {type(self.error).__name__}" if self.error else "value"

    def unwrap(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value

    def errors_name(self) -> str | None:
        """Return the error's type and words, or None."""
        return f"{type_name(type(self.error))}: {_words(self.error)}" if self.error is not None else None


def _words(error: BaseException | None) -> str:
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", str(error))


def attempt(call: Callable[..., Any], *arguments: Any) -> Outcome:
    """Call, and keep what comes of it, whatever it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value, error = call(*arguments), None
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # noqa: BLE001  # a program may raise anything
            value, error = None, raised
    return Outcome(value, error, tuple((each.category.__name__, str(each.message)) for each in caught))


def json_payload(text: bytes) -> Payload:
    """Return a payload of JSON."""
    return Payload(metadata={"encoding": b"json/plain"}, data=text)


class Comparison:
    """Two runs of one program, of which the first is the SDK's."""

    def __init__(self, program: Program, converter: PayloadConverter) -> None:
        self._program = program
        self._converter = converter
        try:
            self._theirs, self._ours = Run(program), Run(program)
        except (Exception, Stop) as error:
            raise UnusableError(str(error)) from error

    def encode(self, expression: str) -> Outcome:
        """Encode what the expression gives with both; return the SDK's JSON, or None for another payload.

        Raises:
            DifferenceError: They do not do the same.
            UnusableError: The expression has no value.
        """
        # Each run evaluates it, even where the first refuses: their counters must stay together.
        made = [attempt(run.evaluate, expression) for run in (self._theirs, self._ours)]
        if made[0].error is not None or made[1].error is not None:
            raise UnusableError(expression)
        their_value, our_value = (each.value for each in made)
        before = describe(our_value)
        self._theirs.events.clear()
        self._ours.events.clear()
        with self._theirs.current():
            theirs = attempt(_SDK.to_payload, their_value)
        classes = self._classes()
        with self._ours.current():
            ours = attempt(self._converter.to_payload, our_value)
        TRIED[f"encode: {theirs.kind()}"] += 1
        call = f"converter.to_payload({expression})"
        self._same_fate(theirs, ours, call)
        self._same("the value afterwards", before, describe(our_value), call)
        self._same("the classes afterwards", classes, self._classes(), call)
        if theirs.error is not None:
            return theirs
        self._same("metadata", dict(theirs.value.metadata), dict(ours.value.metadata), call)
        if theirs.value.data != ours.value.data:
            self._same("JSON", _canonical(theirs.value.data), _canonical(ours.value.data), call)
        is_json = theirs.value.metadata["encoding"] == b"json/plain"
        return Outcome(bytes(theirs.value.data) if is_json else None)

    def decode(self, text: bytes) -> Outcome:
        """Decode JSON to the program's hint with both; return what came of it.

        Raises:
            DifferenceError: They do not do the same.
        """
        payload = json_payload(text)
        self._theirs.events.clear()
        self._ours.events.clear()
        with self._theirs.current():
            theirs = attempt(_SDK.from_payload, payload, self._theirs.hint)
        classes = self._classes()
        with self._ours.current():
            ours = attempt(self._converter.from_payload, payload, self._ours.hint)
        TRIED[f"decode: {theirs.kind()}"] += 1
        call = f"converter.from_payload(json_payload({text!r}), hint)"
        self._same_fate(theirs, ours, call)
        self._same("value", describe(theirs.value), describe(ours.value), call)
        self._same("the classes afterwards", classes, self._classes(), call)
        return ours

    def _same_fate(self, theirs: Outcome, ours: Outcome, call: str) -> None:
        self._same("error", theirs.errors_name(), ours.errors_name(), call)
        self._same("warnings", theirs.warned, ours.warned, call)
        self._same("calls of the program's own code", self._theirs.events, self._ours.events, call)

    def _classes(self) -> dict[str, dict[str, int]]:
        """Return what our run's classes hold, by identity, beside such notes."""
        return {
            name: {key: id(member) for key, member in vars(kind).items() if not key.startswith(_NOTES)}
            for name, kind in self._ours.classes().items()
        }

    def _same(self, what: str, theirs: Any, ours: Any, call: str) -> None:
        if repr(theirs) != repr(ours):
            raise DifferenceError(
                f"{what} differ\n  SDK:  {theirs!r}\n  ours: {ours!r}\n\n"
                f"from support.differential.prelude import *\n\n{self._program}\n\n{call}"
            )


def _canonical(text: bytes) -> Any:
    """Return what JSON says in its order, doubled keys too, however text and floats are spelt."""
    try:
        return describe(json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs)))
    except ValueError as error:
        return f"no JSON: {error}"
