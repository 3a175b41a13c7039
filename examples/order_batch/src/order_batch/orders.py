"""Orders made up from a batch's id: the same id always gives the same orders."""

import base64
import random

from order_batch.models import Customer, LineItem, Order

_FIRST_NAMES = [
    "Ada",
    "Bilal",
    "Chiara",
    "Dmitri",
    "Esi",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Jun",
    "Kofi",
    "Lea",
]
_LAST_NAMES = [
    "Abe",
    "Berg",
    "Costa",
    "Diallo",
    "Evans",
    "Fischer",
    "Garcia",
    "Haddad",
    "Ito",
    "Jones",
    "Kaya",
]
_STREETS = ["Harbour Road", "Mill Lane", "Station Street", "Linden Avenue", "Quay West", "Orchard Close"]
_CITIES = ["Antwerp", "Bilbao", "Cork", "Dresden", "Espoo", "Faro", "Graz", "Haarlem", "Izmir", "Jena"]
_ARTICLES = ["bearing set", "brass valve", "cable drum", "drill press", "filter unit", "gearbox", "heat pump"]
_PLACES = ["dock", "bay", "aisle", "gate", "shelf", "cage"]
_NOTES = [
    "Keep upright; shock sensor {code} must read below {number} g on arrival.",
    "Release from {place} {number} with gate code {code}.",
    "Pallet {code} rides with order {code}; load {place} {number} last.",
    "Temperature log {code}: store between {number} and {number} degrees.",
    "Driver signs for seal {code} at {place} {number}.",
    "Inspect crate {code} for damp before it leaves {place} {number}.",
]


def make_orders(batch_id: str, count: int) -> list[Order]:
    """The first `count` orders of the batch.

    Codes, serial numbers and seals are what does not compress in real orders; with them 200 orders are
    several hundred kilobytes even after compression.
    """
    source = random.Random(batch_id)  # noqa: S311 - repeatable on purpose, and nobody's secret
    return [_make_order(source, f"{batch_id}-{number:05}") for number in range(1, count + 1)]


def _make_order(source: random.Random, order_id: str) -> Order:
    return Order(
        order_id=order_id,
        customer=_make_customer(source),
        items=[_make_item(source) for _ in range(source.randint(3, 7))],
        shipping_cost_cents=source.randint(2_500, 26_000),
        delivery_days=source.randint(2, 7),
        handling_notes=[_make_note(source) for _ in range(source.randint(8, 14))],
        customs_seal=base64.b64encode(source.randbytes(1024)).decode(),
    )


def _make_customer(source: random.Random) -> Customer:
    first, last = source.choice(_FIRST_NAMES), source.choice(_LAST_NAMES)
    return Customer(
        customer_id=f"C-{source.randint(10**7, 10**8 - 1)}",
        name=f"{first} {last}",
        email=f"{first}.{last}.{source.randint(1, 999)}@example.com".lower(),
        phone=f"+{source.randint(30, 49)} {source.randint(10**8, 10**9 - 1)}",
        street=f"{source.randint(1, 240)} {source.choice(_STREETS)}",
        city=source.choice(_CITIES),
        postal_code=f"{source.randint(10_000, 99_999)}",
    )


def _make_item(source: random.Random) -> LineItem:
    quantity = source.randint(1, 8)
    return LineItem(
        sku=f"SKU-{_make_code(source)}",
        description=f"{source.choice(_ARTICLES)}, type {source.randint(100, 999)}",
        quantity=quantity,
        unit_price_cents=source.randint(500, 90_000),
        weight_grams=source.randint(150, 9_500),
        serial_numbers=[source.randbytes(12).hex() for _ in range(quantity)],
    )


def _make_note(source: random.Random) -> str:
    pieces = source.choice(_NOTES).split(" ")
    return " ".join(_fill(source, piece) for piece in pieces)


def _fill(source: random.Random, piece: str) -> str:
    return piece.format(code=_make_code(source), number=source.randint(1, 60), place=source.choice(_PLACES))


def _make_code(source: random.Random) -> str:
    return base64.b32encode(source.randbytes(10)).decode()
