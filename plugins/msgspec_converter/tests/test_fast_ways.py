"""What is documented as fast does not silently go the SDK's way: the SDK's converter is not asked."""

import collections
import dataclasses
import enum
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal, NamedTuple, NewType, TypedDict

import pytest
from temporal_payloads_msgspec_converter import MsgspecPayloadConverter
from temporalio.api.common.v1 import Payload
from temporalio.converter import AdvancedJSONEncoder, DefaultPayloadConverter, JSONPlainPayloadConverter


class Status(enum.StrEnum):
    OPEN = "open"
    SENT = "sent"


class Priority(enum.IntEnum):
    LOW = 1
    HIGH = 2


Sku = NewType("Sku", str)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    sku: Sku
    quantity: int = 1
    weight: float | None = None


@dataclasses.dataclass
class Order:
    order_id: uuid.UUID
    placed: datetime
    status: Status
    priority: Priority
    lines: list[Line]
    tags: frozenset[str]
    by_shelf: dict[str, list[Line]]
    size: tuple[int, ...]
    channel: Literal["web", "shop"]
    extra: dict[str, Any]
    reference: str | int
    paid: bool = False
    sent: datetime | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Node:
    name: str
    children: list["Node"] = dataclasses.field(default_factory=list)


LINES = [Line(Sku("a"), 2, 1.5), Line(Sku("b"))]
ORDER = Order(
    order_id=uuid.UUID(int=7),
    placed=datetime(2026, 11, 24, 12, 30, 1, 5, tzinfo=UTC),
    status=Status.SENT,
    priority=Priority.HIGH,
    lines=LINES,
    tags=frozenset({"gift"}),
    by_shelf={"north": LINES, "east": []},
    size=(1, 2, 3),
    channel="web",
    extra={"a": [1, 2.5, None, {"b": True}]},
    reference=5,
    sent=datetime(2026, 11, 25, tzinfo=timezone(timedelta(hours=2))),
)
READ_AND_WRITTEN_FAST = [
    ("text", str),
    (5, int),
    (2.5, float),
    (True, bool),
    (2**80, int),
    ([1, 2], list[int]),
    ({"a": 1.5, "b": None}, dict[str, float | None]),
    ({"a": [1, {"b": "c"}]}, Any),
    ({"a": [1, {"b": "c"}]}, None),
    (ORDER, Order),
    ([ORDER, ORDER], list[Order]),
    (Node("root", [Node("leaf")]), Node),
    ({"a": LINES}, dict[str, list[Line]]),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Crate(Line):
    seal: str = ""


@dataclasses.dataclass
class Mixed:
    line: Line
    amount: int | float
    count: int = 0


class Address(TypedDict):
    city: str


WRITTEN_FAST = [
    [LINES[0], ORDER],
    Mixed(Crate(Sku("c"), seal="s"), 2.5),
    Mixed(LINES[0], 1, count="other than annotated"),  # type: ignore[arg-type]  # on purpose
    Address(city="Cork"),
    {"a": (1, LINES[0])},
]


class Named(NamedTuple):
    number: int


@pytest.fixture
def alone(monkeypatch):
    """Our converter without the SDK's behind it."""

    def refuse(*_, **__):
        raise AssertionError("the SDK's converter was asked")

    converter = MsgspecPayloadConverter()
    monkeypatch.setattr(JSONPlainPayloadConverter, "to_payload", refuse)
    monkeypatch.setattr(JSONPlainPayloadConverter, "from_payload", refuse)
    return converter


@pytest.mark.parametrize(("value", "hint"), READ_AND_WRITTEN_FAST, ids=lambda each: str(each)[:40])
def test_it_is_written_and_read_without_the_sdk(alone, value, hint):
    payload = alone.to_payload(value)
    assert alone.from_payload(payload, hint) == value


@pytest.mark.parametrize("value", WRITTEN_FAST, ids=lambda each: str(each)[:40])
def test_values_are_written_without_the_sdk_whatever_the_hints_say(alone, value):
    assert json.loads(alone.to_payload(value).data) == json.loads(json.dumps(value, cls=AdvancedJSONEncoder))


@pytest.mark.parametrize("hint", [int | float, Address, bytes, collections.deque[int]], ids=str)
def test_other_hints_are_left_to_the_sdk(alone, hint):
    with pytest.raises(AssertionError, match="was asked"):
        alone.from_payload(Payload(metadata={"encoding": b"json/plain"}, data=b"1"), hint)


@pytest.mark.parametrize("value", [Line(Sku("a"), weight=float("nan")), Named(1)], ids=str)
def test_other_values_are_left_to_the_sdk_or_to_its_json(value):
    assert MsgspecPayloadConverter().to_payload(value) == DefaultPayloadConverter().to_payload(value)


def test_what_is_written_in_a_dataclass_is_written_as_the_annotated_type(alone):
    data = alone.to_payload(ORDER).data.decode()
    assert '"placed":"2026-11-24T12:30:01.000005+00:00"' in data
    assert '"sent":"2026-11-25T00:00:00+02:00"' in data
    assert '"priority":2' in data
    assert '"status":"sent"' in data


def test_an_order_has_a_mirror_which_is_faster_than_looking_at_each_of_its_types():
    from temporal_payloads_msgspec_converter._mirrors import mirror_of  # noqa: PLC0415  # no public way to see it

    assert mirror_of(Order) is not None
    assert mirror_of(Node) is None  # it may hold itself
