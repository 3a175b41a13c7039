"""Payloads of every sort, and claims that are not what they seem."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import cache
from urllib.parse import unquote

from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

SIZES = (0, 1, 1_000, 60_000, 300_000, 500_000, 600_000, 1_100_000, 3_000_000, 20_000_000)
"""Around every size from which something may be done in another way."""
SMALL, LARGE = 300_000, 2_000_000
"""Sizes of the larger ones of the assorted payloads."""


def a_payload(number: int, size: int = 100) -> Payload:
    """Return a payload that differs from those of other numbers."""
    data = f"{number} ".encode() * size
    return Payload(metadata={"encoding": b"binary/plain"}, data=data[:size])


def some_payloads(number: int, count: int = 20, size: int = 100) -> list[Payload]:
    """Return payloads that differ from those of other numbers."""
    return [a_payload(number * 100 + index, size) for index in range(count)]


def assorted_payloads() -> list[Payload]:
    """Return payloads of every sort: empty, text, binary, compressible or not, small and large."""
    return [
        Payload(),
        Payload(metadata={"encoding": b"binary/null"}),
        Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"'),
        Payload(metadata={"encoding": b"json/protobuf", "messageType": b"a.b.C"}, data=b"{}"),
        Payload(metadata={"encoding": b"binary/plain", "größe": bytes(range(256))}, data=bytes(range(256))),
        Payload(metadata={"encoding": b"binary/plain"}, data=bytes(SMALL)),
        Payload(metadata={"encoding": b"binary/plain"}, data=_noise(SMALL)),
        Payload(metadata={"encoding": b"binary/plain"}, data=_noise(LARGE)),
    ]


@cache
def _noise(size: int) -> bytes:
    """Return bytes that nothing compresses, the same each time."""
    return random.Random(size).randbytes(size)  # noqa: S311  # no secret


def same(found: Sequence[Payload], expected: Sequence[Payload]) -> bool:
    """Tell whether payloads are equal. A plain `assert` would print them, megabytes of bytes."""
    return list(found) == list(expected)


def require_same(found: Sequence[Payload], expected: Sequence[Payload]) -> None:
    """Fail unless payloads are equal, and name the first that is not by its index, size and SHA-256."""
    if len(found) != len(expected):
        raise AssertionError(f"{len(expected)} payloads were expected, and {len(found)} came")
    for index, (one, wanted) in enumerate(zip(found, expected, strict=True)):
        if one != wanted:
            elsewhere = [at for at, other in enumerate(expected) if other == one]
            hint = f", which was expected at index {elsewhere[0]}" if elsewhere else ""
            raise AssertionError(
                f"payload {index} of {len(expected)} should be {described(wanted)}, and is "
                f"{described(one)}{hint}"
            )


def described(payload: Payload) -> str:
    """Return what a person can tell a payload by."""
    encoding = payload.metadata.get("encoding", b"none").decode(errors="replace")
    return f"one of {payload.ByteSize():,} bytes, encoding {encoding}, sha256 {sha256_of(payload)[:12]}"


def sha256_of(payload: Payload) -> str:
    """Return the hash that a claim for the payload carries."""
    return hashlib.sha256(payload.SerializeToString(deterministic=True)).hexdigest()


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
