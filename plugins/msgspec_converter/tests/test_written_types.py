"""What a field holds is written as the SDK writes it, also where that is not quite what is annotated."""

import enum
import uuid
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from temporal_payloads_msgspec_converter import MsgspecPayloadConverter
from temporalio.converter import DefaultPayloadConverter


class Marked(str):
    """Text that has another text."""

    __slots__ = ()

    @property
    def text(self):
        return "another text"


class Shouted(uuid.UUID):
    def __str__(self):
        return super().__str__().upper()


class Odd(str, enum.Enum):  # noqa: UP042  # a StrEnum takes no __new__ like this
    A = "a"

    def __new__(cls, value):
        member = str.__new__(cls, "content")
        member._value_ = value
        return member


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Held:
    text: str = ""
    number: int = 0
    kind: Literal["a", "content"] = "a"
    id: uuid.UUID | None = None
    counts: dict[str, int] | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("text", Marked("its own text")),
        ("text", Odd.A),
        ("text", Level.LOW),
        ("number", Level.LOW),
        ("number", True),
        ("number", 1.0),
        ("kind", Marked("a")),
        ("kind", Odd.A),
        ("id", Shouted(int=0xABC)),
        ("id", str(uuid.UUID(int=0xABC)).upper()),
        ("counts", {Marked("key"): 1}),
        ("counts", {Odd.A: 1}),
        ("counts", {Level.LOW: 1}),
        ("counts", {"key": Level.LOW}),
        ("anything", [Marked("in a list"), {Marked("key"): Odd.A}]),
    ],
    ids=str,
)
def test_a_field_is_written_as_by_the_sdk(field, content):
    held = replace(Held(), **{field: content})
    for value in (held, [held, Held()], {"held": held}):
        assert MsgspecPayloadConverter().to_payload(value) == DefaultPayloadConverter().to_payload(value)
