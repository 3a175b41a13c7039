"""A workflow with values of many types; each sandbox imports its models anew, as an application's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, NewType, TypedDict
from uuid import UUID

from temporalio import activity, workflow

Sku = NewType("Sku", str)


class Priority(StrEnum):
    """Text with a name."""

    LOW = "low"
    HIGH = "high"


class Size(IntEnum):
    """A number with a name."""

    SMALL = 1
    LARGE = 2


class Place(NamedTuple):
    """What JSON has no object for."""

    latitude: float
    longitude: float


class Extras(TypedDict, total=False):
    """A dict with known keys."""

    insured: bool
    value: float


@dataclass(frozen=True, slots=True)
class Item:
    """A plain dataclass."""

    sku: Sku
    quantity: int = 1
    weight: float | None = None


@dataclass
class Parcel:
    """A dataclass with fields of many types, but no datetime, which the SDK does not read in a sandbox."""

    id: UUID
    items: list[Item]
    placed: str
    priority: Priority = Priority.LOW
    size: Size = Size.SMALL
    tags: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[int, float] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    route: tuple[int, ...] = ()
    extras: Extras = field(default_factory=lambda: Extras())  # noqa: PLW0108  # a call of code of one's own
    notes: Any = None
    content: bytes = b""


@dataclass
class Quote:
    """What is made of a parcel; `__post_init__` and a field that `__init__` does not take."""

    parcel: Parcel
    price: float
    worker: str
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made += 1


def parcel(number: int) -> Parcel:
    """Return a parcel; some hold what only the SDK's own way writes."""
    odd = [None, float("nan"), "\ud800", {"a": [1, 2.5, None, "日本"]}, 2**70, [1e16, -0.0]]
    return Parcel(
        id=UUID(int=number),
        items=[Item(Sku(f"sku-{at}"), at, at / 4 or None) for at in range(number % 4)],
        placed=f"2024-02-29T12:30:15.{number:06}Z",
        priority=Priority.HIGH if number % 2 else Priority.LOW,
        size=Size.LARGE if number % 3 else Size.SMALL,
        tags={"größe": ["L", "é"], "b": []},
        counts={number: 1.5, -1: 2},
        labels={"fragile"},
        route=tuple(range(number % 5)),
        extras={"insured": True, "value": 3},
        notes=odd[number % len(odd)],
        content=bytes(range(number % 7)),
    )


class Pricing:
    """Activities that say on which worker they ran."""

    def __init__(self, worker: str) -> None:
        self._worker = worker

    @activity.defn(name="price")
    async def price(self, priced: Parcel) -> Quote:
        """Make a quote."""
        return Quote(priced, float(len(priced.items)), self._worker)

    def all(self) -> list[Callable[..., Any]]:
        """Return the activities."""
        return [self.price]


@workflow.defn
class Ship:
    """Has each parcel priced, one after the other."""

    def __init__(self) -> None:
        self._quotes: list[Quote] = []

    @workflow.run
    async def run(self, parcels: list[Parcel]) -> dict[str, Quote]:
        """Return the quotes by the parcels' ids."""
        for each in parcels:
            quote = await workflow.execute_activity(
                "price", each, result_type=Quote, start_to_close_timeout=timedelta(seconds=30)
            )
            if not isinstance(quote.parcel.items, list) or quote.parcel.placed != each.placed:
                raise TypeError(f"not what was priced: {quote}")
            self._quotes.append(quote)
        return {str(quote.parcel.id): quote for quote in self._quotes}

    @workflow.query
    def quotes(self, least: float) -> list[Quote]:
        """Return the quotes of at least this price."""
        return [quote for quote in self._quotes if quote.price >= least]
