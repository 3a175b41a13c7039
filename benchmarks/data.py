"""Payloads to measure with: as random or as repetitive as real ones, and each one new to the store."""

from __future__ import annotations

import json
import os
import random
from functools import cache

from order_batch.orders import make_orders
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

_NOTES = (
    "leave at the back door ring twice fragile this side up call before delivery no signature needed "
    "gift wrap keep dry pallet dock seven second floor neighbour parcel locker evening only"
)
_WORDS = _NOTES.split()
_CITIES = ("Lisbon", "Porto", "Gdansk", "Turku", "Bergen", "Leiden", "Ghent", "Lyon", "Graz", "Brno")


@cache
def json_payload(size: int) -> Payload:
    """A payload of about this many bytes of JSON: records like those of an API or a query."""
    rng = random.Random(size)
    rows: list[str] = []
    total = 0
    while total < size:
        row = json.dumps(
            {
                "id": rng.getrandbits(48),
                "created_at": f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T08:00:00Z",
                "status": rng.choice(("new", "paid", "packed", "shipped", "returned")),
                "amount": round(rng.uniform(1, 5000), 2),
                "city": rng.choice(_CITIES),
                "comment": " ".join(rng.choices(_WORDS, k=rng.randint(3, 15))),
            }
        )
        rows.append(row)
        total += len(row) + 1
    return Payload(metadata={"encoding": b"json/plain"}, data=f"[{','.join(rows)}]".encode())


@cache
def order_payload(size: int) -> Payload:
    """A payload of about this many bytes: the example's order batch, half of which does not compress."""
    each = _batch(200).ByteSize() / 200
    return _batch(round(size / each))


def _batch(count: int) -> Payload:
    (payload,) = DataConverter.default.payload_converter.to_payloads([make_orders("benchmark", count)])
    return payload


def new_payload(size: int) -> Payload:
    """A payload that no store has seen, already compressed or encrypted by the look of it."""
    return Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(size))


def new_payloads(count: int, size: int) -> list[Payload]:
    """Several of them."""
    return [new_payload(size) for _ in range(count)]
