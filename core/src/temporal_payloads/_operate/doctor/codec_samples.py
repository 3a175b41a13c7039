"""What the codecs make of samples: how small, how fast, and whether the samples come back."""

from __future__ import annotations

import itertools
import json
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload

from temporal_payloads._errors import reason_of
from temporal_payloads._storage.diagnosing import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._codecs.chain import CodecChain

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class CodecSample:
    """What one codec, or all of them together, made of one sample."""

    sample: str
    codec: str
    """Its name in the settings; empty for all together."""
    size: int
    """Bytes that went in."""
    encoded_size: int
    """Bytes that came out."""
    encode_seconds: float
    decode_seconds: float

    @property
    def ratio(self) -> float:
        """What is left of one byte."""
        return self.encoded_size / self.size


def samples() -> dict[str, Payload]:
    """Return what is encoded, by what it is. It is the same each time."""
    order = random.Random(11)  # noqa: S311  # no secret
    return {
        "JSON, 1 KiB": _orders(order, KIB),
        "JSON, 64 KiB": _orders(order, 64 * KIB),
        "JSON, 4 MiB": _orders(order, 4 * MIB),
        "random bytes, 1 MiB": Payload(metadata={"encoding": b"binary/plain"}, data=order.randbytes(MIB)),
    }


def _orders(order: random.Random, size: int) -> Payload:
    """Return a list of orders of about this size; compression looks back less far than they differ."""
    lines = [
        json.dumps(
            {
                "order_id": f"ORD-{order.randrange(10**6):06}",
                "sku": f"SKU-{order.randrange(500):04}",
                "quantity": order.randrange(1, 20),
                "unit_price": order.randrange(10**5) / 100,
                "note": order.choice(["", "gift", "leave with the neighbour", "call before delivery"]),
            }
        ).encode()
        for _ in range(KIB)
    ]
    length = sum(map(len, lines)) // len(lines)
    listed = itertools.islice(itertools.cycle(lines), max(1, size // length))
    return Payload(metadata={"encoding": b"json/plain"}, data=b"[" + b",".join(listed) + b"]")


async def try_codecs(chain: CodecChain) -> tuple[list[CodecSample], list[Finding]]:
    """Encode and decode the samples with each codec that is written, in their order.

    Returns:
        What each made of each sample, and where there are several also what all made of it; and what
        is wrong.
    """
    measured: list[CodecSample] = []
    findings: list[Finding] = []
    for name, payload in samples().items():
        try:
            if not measured:
                await _try_sample(chain, name, payload)  # a first use loads libraries, and asks for keys
            steps, same = await _try_sample(chain, name, payload)
        except Exception as error:  # noqa: BLE001  # a codec may raise anything
            told = reason_of(error)
            findings.append(
                Finding(level="problem", check="codecs", place="codecs", message=f"{name}: {told}")
            )
            break
        measured += steps
        if not same:
            findings.append(
                Finding(
                    level="problem",
                    check="codecs",
                    place="codecs",
                    message=f"{name} is not the same after it was encoded and decoded",
                    advice="Run the conformance kit on the codecs that are your own (docs/conformance.md)",
                )
            )
    if measured and not findings:
        findings.append(
            Finding(level="ok", check="codecs", place="codecs", message="all samples came back as they were")
        )
    return measured, findings


async def _try_sample(chain: CodecChain, name: str, payload: Payload) -> tuple[list[CodecSample], bool]:
    encoded = [payload]
    steps: list[CodecSample] = []
    for codec in chain.codecs:
        before, start = encoded, time.perf_counter()
        encoded = list(await codec.codec.encode(before))
        middle = time.perf_counter()
        await codec.codec.decode(_copies(encoded))
        end = time.perf_counter()
        steps.append(
            CodecSample(name, codec.name, _size(before), _size(encoded), middle - start, end - middle)
        )
    if len(steps) > 1:
        encoding = sum(step.encode_seconds for step in steps)
        decoding = sum(step.decode_seconds for step in steps)
        steps.append(CodecSample(name, "", _size([payload]), _size(encoded), encoding, decoding))
    return steps, list(await chain.decode(_copies(encoded))) == [payload]


def _copies(payloads: Sequence[Payload]) -> list[Payload]:
    """Return copies, for a codec may change what it is given."""
    copies = [Payload() for _ in payloads]
    for copy, payload in zip(copies, payloads, strict=True):
        copy.CopyFrom(payload)
    return copies


def _size(payloads: Sequence[Payload]) -> int:
    return sum(payload.ByteSize() for payload in payloads)
