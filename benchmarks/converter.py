"""The payload converter alone: large lists of dataclasses and small arguments, beside the SDK's own."""

from __future__ import annotations

from functools import partial

from order_batch.models import Order, OrderBatchRequest
from order_batch.orders import make_orders
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadConverter

from benchmarks.harness import Config, Contestant, Line, Report, duration, race

ORDERS = 400
SMALL = {
    "text": "leave at the back door, ring twice; fragile, keep dry, this side up, evening only, no signature",
    "dataclass": OrderBatchRequest("BATCH-20261124-152700-of-the-northern-warehouse-in-Gdansk", 400),
}


async def run(config: Config) -> Report:
    """Measure both ways; what is read back must be what was written, and the bytes must be the same."""
    peer = DataConverter.default.payload_converter
    ours = build_data_converter(PayloadSettings(payload_converter="msgspec")).payload_converter
    converters = {"peer": peer, "ours": ours}
    rounds = config.rounds(25)
    orders = make_orders("benchmark", ORDERS)
    lines = await _race(
        converters, f"a list of {ORDERS} orders", orders, list[Order], wanted=15, calls=5, rounds=rounds
    )
    for kind, value in SMALL.items():
        what = f"an argument of 100 bytes ({kind})"
        # Within the noise of a shared machine.
        lines += await _race(converters, what, value, type(value), wanted=0.95, calls=500, rounds=rounds)
    return Report(lines)


async def _race(
    converters: dict[str, PayloadConverter],
    what: str,
    value: object,
    type_hint: object,
    *,
    wanted: float,
    calls: int,
    rounds: int,
) -> list[Line]:
    [payload] = converters["peer"].to_payloads([value])
    for converter in converters.values():
        assert converter.to_payloads([value]) == [payload]
        assert converter.from_payloads([payload], [type_hint]) == [value]  # type: ignore[list-item]  # generics too
    encode = await race(
        {n: Contestant(partial(_encode, c, value, calls)) for n, c in converters.items()}, rounds
    )
    decode = await race(
        {n: Contestant(partial(_decode, c, payload, type_hint, calls)) for n, c in converters.items()}, rounds
    )
    lines = []
    for way, times in (("encode", encode), ("decode", decode)):
        ratio = times["peer"] / times["ours"]
        lines.append(
            Line(
                f"{what}, converter alone: {way}",
                duration(times["peer"] / calls),
                duration(times["ours"] / calls),
                ratio,
                f"{wanted} times" if wanted > 1 else "no slower",
                ratio >= wanted,
                times.best_ratio(),
            )
        )
    return lines


async def _encode(converter: PayloadConverter, value: object, calls: int, _: object) -> None:
    for _number in range(calls):
        converter.to_payloads([value])


async def _decode(
    converter: PayloadConverter, payload: Payload, type_hint: object, calls: int, _: object
) -> None:
    for _number in range(calls):
        converter.from_payloads([payload], [type_hint])  # type: ignore[list-item]  # generics too
