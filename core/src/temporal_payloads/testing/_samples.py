"""Payloads of every sort, and claims that are not what they seem."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

SIZES = (0, 1, 1_000, 60_000, 300_000, 500_000, 600_000, 1_100_000, 3_000_000, 20_000_000)
"""Around every size from which something may be done in another way."""


def a_payload(number: int, size: int = 100) -> Payload:
    """Return a payload that differs from those of other numbers."""
    data = f"{number} ".encode() * size
    return Payload(metadata={"encoding": b"binary/plain"}, data=data[:size])


def assorted_payloads() -> list[Payload]:
    """Return payloads of every sort: empty, text, binary, compressible or not, small and large."""
    noise = random.Random(7)  # noqa: S311  # the same noise each time
    return [
        Payload(),
        Payload(metadata={"encoding": b"binary/null"}),
        Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"'),
        Payload(metadata={"encoding": b"json/protobuf", "messageType": b"a.b.C"}, data=b"{}"),
        Payload(metadata={"encoding": b"binary/plain", "größe": bytes(range(256))}, data=bytes(range(256))),
        Payload(metadata={"encoding": b"binary/plain"}, data=b"\0" * 300_000),
        Payload(metadata={"encoding": b"binary/plain"}, data=noise.randbytes(300_000)),
        Payload(metadata={"encoding": b"binary/plain"}, data=noise.randbytes(2_000_000)),
    ]


def same(found: Sequence[Payload], expected: Sequence[Payload]) -> bool:
    """Compare payloads. A plain `assert` would make a difference of megabytes to show, for minutes."""
    return list(found) == list(expected)


def sha256_of(payload: Payload) -> str:
    """Return the hash that a claim for the payload carries."""
    return hashlib.sha256(payload.SerializeToString()).hexdigest()


def claim_of_another(claim: StorageDriverClaim, its: Payload, other: Payload) -> StorageDriverClaim:
    """Return the claim that the driver would have made of another payload."""
    mine, others = sha256_of(its), sha256_of(other)
    changed = {name: value.replace(mine, others) for name, value in claim.claim_data.items()}
    assert changed != dict(claim.claim_data), "the claim does not carry the payload's SHA-256"
    return StorageDriverClaim(claim_data=changed)


def forgeries(claim: StorageDriverClaim) -> Iterator[StorageDriverClaim]:
    """Yield claims that differ from a genuine one in a single value, or lack it."""
    genuine = dict(claim.claim_data)
    other_hash = "0" * 64
    for name, value in genuine.items():
        yield StorageDriverClaim(claim_data={key: genuine[key] for key in genuine if key != name})
        for forged in (
            *("", " ", "/", "..", "\0", "*", "x" * 5000, other_hash),
            *(f"{value} ", f" {value}", f"{value}\n", f"{value}\0", f"{value}/", f"{value}x", f"x{value}"),
            *(f"/{value}", f"../{value}", f"{value}/../{value}", f"{value}?versionId=1", f"{value}#"),
            *(value[:-1], value[1:], value + value, value.upper(), value.title(), value[::-1]),
            *(
                value.replace("v0", "v1"),
                value.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
            ),
            *(value.replace("/", "//", 1), value.replace(":", "::", 1)),
        ):
            if forged != value:
                yield StorageDriverClaim(claim_data={**genuine, name: forged})


def respellings(claim: StorageDriverClaim) -> Iterator[StorageDriverClaim]:
    """Yield claims with the same names in their values, escaped otherwise."""
    for name, value in claim.claim_data.items():
        for forged in (
            *(value.replace("default", "%64efault"), value.replace("%2F", "%2f"), value.replace("%3A", ":")),
            *(value.replace("%20", " "), value.replace("%20", "+"), unquote(value)),
        ):
            if forged != value:
                yield StorageDriverClaim(claim_data={**claim.claim_data, name: forged})
