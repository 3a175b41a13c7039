"""The base class for codecs that turn one payload into one payload."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING

from temporalio.converter import PayloadCodec

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from temporalio.api.common.v1 import Payload


class PerPayloadCodec(PayloadCodec):
    """A codec written as two plain functions of one payload.

    Small batches are done in place. From `OFFLOAD_SIZE` bytes on, each payload is done in a bounded thread
    pool, several at a time, so that the event loop never waits for a codec. Both functions must therefore
    be safe to call from several threads at once, and must not change the payload they are given.

    Example::

        class ReverseCodec(PerPayloadCodec):
            def encode_payload(self, payload):
                data = payload.SerializeToString(deterministic=True)
                return Payload(metadata={"encoding": b"binary/reversed"}, data=data[::-1])

            def decode_payload(self, payload):
                if payload.metadata.get("encoding") != b"binary/reversed":
                    return payload
                return Payload.FromString(payload.data[::-1])

        [encoded] = await ReverseCodec().encode([payload])
        assert await ReverseCodec().decode([encoded]) == [payload]
    """

    @abstractmethod
    def encode_payload(self, payload: Payload) -> Payload:
        """Return the encoded payload, or `payload` itself to leave it as it is."""

    @abstractmethod
    def decode_payload(self, payload: Payload) -> Payload:
        """Return the decoded payload, or `payload` itself if this codec did not encode it.

        Raises:
            PayloadIntegrityError: The data is corrupted or truncated.
            PayloadTooLargeError: The data would expand beyond the codec's limit.
        """

    def encode_cost(self, payload: Payload) -> int:
        """Roughly how many bytes of work `encode_payload` is; decides on threads."""
        return len(payload.data)

    def decode_cost(self, payload: Payload) -> int:
        """Roughly how many bytes of work `decode_payload` is; decides on threads."""
        return len(payload.data)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode each payload; see `temporalio.converter.PayloadCodec.encode`."""
        return await each_payload(self.encode_payload, self.encode_cost, payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode each payload; see `temporalio.converter.PayloadCodec.decode`."""
        return await each_payload(self.decode_payload, self.decode_cost, payloads)


async def each_payload(
    work: Callable[[Payload], Payload], cost: Callable[[Payload], int], payloads: Sequence[Payload]
) -> list[Payload]:
    """Do the work on each payload: in place while it costs little altogether, else in threads."""
    costs = []
    for payload in payloads:
        costs.append(cost(payload))
        if costs[-1] >= OFFLOAD_SIZE:
            # Protobuf copies the data of a payload to tell its size: one large copy in a turn of the loop.
            await asyncio.sleep(0)
    if sum(costs) < OFFLOAD_SIZE:
        return [work(payload) for payload in payloads]
    # A batch of many small payloads is one piece of work: a thread for each would cost more than it saves.
    # A payload that is a piece of work by itself gets its own thread.
    pieces: list[list[int]] = [[index] for index, size in enumerate(costs) if size >= OFFLOAD_SIZE]
    small = [index for index, size in enumerate(costs) if size < OFFLOAD_SIZE]
    if small:
        pieces.append(small)
    results = list(payloads)

    async def do(piece: list[int]) -> None:
        done = await run_off_loop(
            lambda: [work(payloads[index]) for index in piece], sum(costs[index] for index in piece)
        )
        for index, payload in zip(piece, done, strict=True):
            results[index] = payload

    # No limit of its own: the pool is bounded, and waiting pieces hold nothing but their index.
    await gather_bounded(do, pieces, limit=len(pieces))
    return results
