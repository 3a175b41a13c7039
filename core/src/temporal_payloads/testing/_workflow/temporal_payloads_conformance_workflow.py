"""A workflow as an application has it: what it is given and what it gives are of types of its own module."""  # noqa: INP001  # found by its folder: a sandbox that loads a module of the kit would load the kit

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from temporalio import workflow


class State(IntEnum):
    """How far an order is."""

    PLACED = 1


@dataclass
class Item:
    """What was ordered."""

    name: str
    price: float
    tags: list[str] = field(default_factory=list)


@dataclass
class Order:
    """An order; its types stand in text, as `from __future__ import annotations` leaves them."""

    number: int
    state: State
    items: list[Item]
    notes: dict[str, str | None]


def an_order() -> Order:
    """Return the order that the workflow expects."""
    return Order(
        number=2**53 + 1,
        state=State.PLACED,
        items=[Item("book", 12.5, ["new"]), Item("größe-注文", -0.0)],
        notes={"gift": None, "": "\u2028"},
    )


@workflow.defn
class ConformanceWorkflow:
    """Is given an order, converts it to a payload and back, and returns it."""

    @workflow.run
    async def run(self, order: Order) -> Order:
        """Raise unless each order is of this sandbox's own type, and as it was."""
        converter = workflow.payload_converter()
        for each in (order, converter.from_payload(converter.to_payload(order), Order)):
            if each != an_order():  # a dataclass equals none of another class
                raise ValueError(f"{an_order()} became {each}, of type {type(each)!r}")
        return order
