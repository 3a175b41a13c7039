"""The layers of a payload, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from temporalio.converter import PayloadCodec

from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import encoding_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._codecs.named import NamedCodec


@dataclass(frozen=True)
class Layer:
    """What a codec has put around a payload."""

    codec: str
    """The codec's name in the settings."""
    encoding: str
    key: str | None
    """The id of the key that it is encrypted with."""
    size: int
    """Bytes with it."""


def peeling(chain: CodecChain, layers: list[Layer], turn: Callable[[], Awaitable[None]]) -> CodecChain:
    """Return the chain as it decodes one payload, with what is in clear taken as well.

    Args:
        chain: Decodes as the data converter would.
        layers: Gets those that are taken off, outermost first, also where the next one cannot be.
        turn: Is waited for before a layer that may expand is taken off: any that does not encrypt.
    """
    return chain.reading(lambda codec: _telling(codec, layers, turn))


def _telling(named: NamedCodec, layers: list[Layer], turn: Callable[[], Awaitable[None]]) -> NamedCodec:
    return replace(named, codec=_Telling(named, layers, turn))


class _Telling(PayloadCodec):
    """Decodes with a codec, and tells of each layer that it took off."""

    def __init__(self, named: NamedCodec, layers: list[Layer], turn: Callable[[], Awaitable[None]]) -> None:
        self._named = named
        self._layers = layers
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        # What codecs may have beside the SDK's methods: the chain asks.
        return getattr(self._named.codec, name)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Not for this object."""
        raise NotImplementedError

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode; see `temporalio.converter.PayloadCodec.decode`."""
        if self._named.role != "encrypt" and any(map(self._named.may_decode, payloads)):
            await self._turn()
        decoded = await self._named.codec.decode(payloads)
        for before, after in zip(payloads, decoded, strict=True):
            if self._named.has_changed(before, after):
                key_of = getattr(self._named.codec, "key_of", None)
                key = key_of(before) if key_of else None
                layer = Layer(self._named.name, encoding_of(before), key, before.ByteSize())
                self._layers.append(layer)
        return decoded
