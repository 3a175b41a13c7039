"""Several codecs as one, in the order that the settings give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext
from temporalio.exceptions import ApplicationError

from temporal_payloads._plugins.registry import KNOWN_ENCODINGS
from temporal_payloads._storage.errors import PayloadNotDecodedError
from temporal_payloads._storage.retries import inbound, outbound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporalio.api.common.v1 import Payload


class CodecChain(PayloadCodec, WithSerializationContext):
    """Encodes with the first codec first, decodes with the last one first.

    Args:
        codecs: The codecs by their names in the settings, in the order in which they encode.
        encodings: Every `encoding` value that one of them writes, and the codec's name.
    """

    def __init__(self, codecs: Mapping[str, PayloadCodec], encodings: Mapping[str, str]) -> None:
        self._codecs = dict(codecs)
        self._encodings = encodings

    def __repr__(self) -> str:
        return f"<codecs {', '.join(self._codecs) or 'none'}>"

    @property
    def has_codecs(self) -> bool:
        """Whether a codec is configured. Without one the chain only tells what it would take to decode."""
        return bool(self._codecs)

    def with_context(self, context: SerializationContext) -> CodecChain:
        """Return a chain of the same codecs, those that want it with the context."""
        bound = {
            name: codec.with_context(context) if isinstance(codec, WithSerializationContext) else codec
            for name, codec in self._codecs.items()
        }
        if all(bound[name] is codec for name, codec in self._codecs.items()):
            return self
        return CodecChain(bound, self._encodings)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode with each codec in turn.

        Raises:
            ApplicationError: A codec refused a payload. Retryable except in an activity.
        """
        try:
            for codec in self._codecs.values():
                payloads = await codec.encode(payloads)
        except ApplicationError as error:
            raise outbound(error) from error.__cause__
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode with each codec in turn, the last one first.

        Raises:
            PayloadNotDecodedError: A payload is still encoded afterwards.
            ApplicationError: A codec could not decode what it had encoded. Retryable, whatever it raised.
        """
        try:
            for codec in reversed(self._codecs.values()):
                payloads = await codec.decode(payloads)
        except ApplicationError as error:
            raise inbound(error) from error.__cause__
        for payload in payloads:
            self._expect_decoded(payload)
        return list(payloads)

    def _expect_decoded(self, payload: Payload) -> None:
        encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
        if encoding in self._encodings:
            others = ", ".join(sorted(set(payload.metadata) - {"encoding"})) or "nothing more"
            raise PayloadNotDecodedError(
                f"A payload is still encoded as {encoding!r} after decoding. The codec "
                f"{self._encodings[encoding]!r} left it alone: it was encoded twice, or another project "
                f"uses the same name for another format (the payload's metadata has {others})"
            )
        if encoding in KNOWN_ENCODINGS:
            configured = ", ".join(self._codecs) or "none"
            raise PayloadNotDecodedError(
                f"A payload is encoded as {encoding!r}, which no configured codec decodes "
                f"(codecs: {configured}). Add {KNOWN_ENCODINGS[encoding]!r} to codecs"
            )
