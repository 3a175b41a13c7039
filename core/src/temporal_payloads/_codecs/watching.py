"""Lets codecs work, and tells observers what each has done."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._errors import failure_type_of
from temporal_payloads._observe.belonging import current_belonging
from temporal_payloads._plugins.events import CodecEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import Literal

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._codecs.named import NamedCodec
    from temporal_payloads._observe.observers import Observers

    Operation = Literal["encode", "decode"]

UNKNOWN_KEY = "other"
"""Stands for a key that is not configured. An id in a payload is input, and could be any text."""


@dataclass(frozen=True)
class Watch:
    """Calls codecs."""

    observers: Observers | None = None

    async def encode(self, codec: NamedCodec, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode with a codec."""
        return await self._call(codec, "encode", codec.codec.encode, payloads)

    async def decode(self, codec: NamedCodec, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode with a codec."""
        return await self._call(codec, "decode", codec.codec.decode, payloads)

    async def _call(
        self,
        codec: NamedCodec,
        operation: Operation,
        work: Callable[[Sequence[Payload]], Awaitable[list[Payload]]],
        payloads: Sequence[Payload],
    ) -> list[Payload]:
        observers = self.observers
        if observers is None or not observers.wants(CodecEvent):
            return await work(payloads)
        started, start = time.time_ns(), time.perf_counter()

        def tell(
            seconds: float, given: Sequence[Payload], got: Sequence[Payload], error: str | None = None
        ) -> None:
            sealed = () if error else got if operation == "encode" else given
            observers.notify(
                CodecEvent(
                    operation=operation,
                    codec=codec.name,
                    payloads=len(given),
                    size_before=sum(payload.ByteSize() for payload in given),
                    size_after=sum(payload.ByteSize() for payload in got),
                    duration=seconds,
                    error=error,
                    namespace=current_belonging().namespace,
                    keys=_keys_of(codec, sealed),
                    started=started,
                )
            )

        try:
            results = await work(payloads)
        except BaseException as error:
            concerned = payloads if operation == "encode" else list(filter(codec.may_decode, payloads))
            tell(
                time.perf_counter() - start,
                concerned,
                (),
                failure_type_of(error),
            )
            raise
        seconds = time.perf_counter() - start
        # A codec that breaks its promise of one result for each payload is found out by whoever called.
        changed = [
            (given, got)
            for given, got in zip(payloads, results, strict=False)
            if codec.has_changed(given, got)
        ]
        if changed:
            tell(seconds, [given for given, _ in changed], [got for _, got in changed])
        return results


def _keys_of(codec: NamedCodec, sealed: Iterable[Payload]) -> dict[str, int]:
    """Return how many of the encrypted payloads each of the codec's keys has encrypted."""
    told_by: Any = codec.codec
    if not (hasattr(told_by, "key_of") and hasattr(told_by, "describe_keys")):
        return {}
    counts = Counter(map(told_by.key_of, sealed))
    del counts[None]
    if not counts:
        return {}
    known = {key.id for key in told_by.describe_keys()}
    keys: Counter[str] = Counter()
    for key, count in counts.items():
        keys[key if key in known else UNKNOWN_KEY] += count
    return dict(keys)
