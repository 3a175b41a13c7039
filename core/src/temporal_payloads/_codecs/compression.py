"""The base class and base settings of codecs that compress the serialized payload."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ByteSize, ConfigDict, Field
from temporalio.api.common.v1 import Payload

from temporal_payloads._codecs.base import PerPayloadCodec, each_payload
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE
from temporal_payloads._storage.errors import PayloadIntegrityError, PayloadTooLargeError
from temporal_payloads._storage.serialized import data_prefix, serialize

DEFAULT_MAX_DECODED_SIZE = 256 * 1024 * 1024
"""Largest size in bytes that a payload may expand to, unless settings say otherwise: 256 MiB.

Example::

    class InflateSettings(BaseModel):
        max_decoded_size: ByteSize = Field(ByteSize(DEFAULT_MAX_DECODED_SIZE), gt=0)

    assert InflateSettings().max_decoded_size.human_readable() == "256.0MiB"
"""
TYPICAL_EXPANSION = 8
"""JSON shrinks to about an eighth: what decoding costs, as long as nobody has decoded it."""


class CompressionSettings(BaseModel):
    """What the `[codec.NAME]` table of every compressing codec has.

    Example::

        class Bz2Settings(CompressionSettings):
            level: int = Field(9, ge=1, le=9, description="How much work it is worth.")

        assert Bz2Settings(min_size="4KiB").min_size == 4096
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    min_size: ByteSize = Field(
        default=ByteSize(0),
        ge=0,
        description="Payloads whose serialized size is below this are left as they are.",
    )
    keep_if_not_smaller: bool = Field(
        default=True, description="Whether a payload that compression does not make smaller is left as it is."
    )
    max_decoded_size: ByteSize = Field(
        default=ByteSize(DEFAULT_MAX_DECODED_SIZE),
        gt=0,
        description="Largest size that a payload may expand to. Larger ones are neither written nor read, "
        "so that a few kilobytes can't fill the machine's memory.",
    )


class CompressionCodec(PerPayloadCodec):
    """A codec whose data is the compressed serialized payload, with the metadata `encoding` and no other.

    Serialization is deterministic: payloads that are equal become bytes that are equal.

    Args:
        min_size: Payloads whose serialized size in bytes is below this are left as they are.
        keep_if_not_smaller: Leave a payload as it is if compression does not make it smaller.
        max_decoded_size: Largest serialized payload in bytes that is encoded or decoded.
        slowness: How much slower than about 300 MB/s `compress` is; decides on threads.

    Example::

        class Bz2Codec(CompressionCodec):
            codec_name = "bz2"
            encoding = "binary/bz2"

            def compress(self, data):
                return bz2.compress(data)

            def decompress(self, data, limit):
                decompressor = bz2.BZ2Decompressor()
                try:
                    found = decompressor.decompress(data, max_length=limit + 1)
                except (OSError, EOFError) as error:
                    raise self.corrupted(str(error)) from error
                if len(found) > limit:
                    raise self.too_large()
                if not decompressor.eof or decompressor.unused_data:
                    raise self.corrupted("it ends too early or too late")
                return found

        def create(settings):
            return Bz2Codec(**dict(settings))
    """

    codec_name: ClassVar[str]
    """The codec's name in the settings, for error messages."""
    encoding: ClassVar[str]
    """The `encoding` metadata value that the codec writes."""

    def __init__(
        self, *, min_size: int, keep_if_not_smaller: bool, max_decoded_size: int, slowness: int = 1
    ) -> None:
        if min_size < 0:
            raise ValueError("min_size must not be negative")
        if max_decoded_size <= 0:
            raise ValueError("max_decoded_size must be greater than zero")
        self._min_size = min_size
        self._keep_if_not_smaller = keep_if_not_smaller
        self._max_decoded_size = max_decoded_size
        self._slowness = slowness

    @abstractmethod
    def compress(self, data: bytes) -> bytes:
        """Return the compressed data: the same for the same data, whenever and wherever it is asked."""

    @abstractmethod
    def decompress(self, data: bytes, limit: int) -> bytes | bytearray:
        """Return what was compressed, without ever holding much more than `limit` bytes of it.

        Raises:
            PayloadIntegrityError: Made by `corrupted`.
            PayloadTooLargeError: Made by `too_large`.
        """

    def decodes(self, payload: Payload) -> bool:
        """Whether the payload is one that this codec has encoded."""
        return payload.metadata.get("encoding", b"") == self.encoding.encode()

    def encode_payload(self, payload: Payload) -> Payload:
        """Compress the payload, or leave it as it is; see `PerPayloadCodec.encode_payload`.

        Raises:
            PayloadTooLargeError: The payload is over `max_decoded_size`: nobody could decode it.
        """
        serialized = b"".join(serialize(payload))
        if len(serialized) > self._max_decoded_size:
            raise PayloadTooLargeError(
                f"Codec {self.codec_name!r}: the payload has {len(serialized)} bytes, more than the "
                f"{self._max_decoded_size} that can be decoded again. {self._where_to_raise_the_limit()}"
            )
        # What looks encoded is never left as it is: decoding would unwrap it once too often.
        may_stay = not self.decodes(payload)
        if may_stay and len(serialized) < self._min_size:
            return payload
        data = self.compress(serialized)
        metadata = {"encoding": self.encoding.encode()}
        if may_stay and self._keep_if_not_smaller:
            size = Payload(metadata=metadata).ByteSize() + len(data_prefix(len(data))) + len(data)
            if size >= len(serialized):
                return payload
        return Payload(metadata=metadata, data=data)

    def decode_payload(self, payload: Payload) -> Payload:
        """Return the payload that was compressed; see `PerPayloadCodec.decode_payload`."""
        if not self.decodes(payload):
            return payload
        return self._parse(self.decompress(payload.data, self._max_decoded_size))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode each payload; see `temporalio.converter.PayloadCodec.decode`."""
        results = list(payloads)
        longer = []
        room = OFFLOAD_SIZE
        for index, payload in enumerate(payloads):
            if not self.decodes(payload):
                continue
            if self.decode_cost(payload) > room:
                longer.append(index)
                continue
            try:
                serialized = self.decompress(payload.data, min(room, self._max_decoded_size))
            except PayloadTooLargeError:
                # It seemed to be small, and is not: what may be done in place was spent to find that out.
                longer.append(index)
                room = 0
            else:
                results[index] = self._parse(serialized)
                room -= len(serialized)
        decoded_later = await each_payload(
            self.decode_payload, lambda _: OFFLOAD_SIZE, [payloads[index] for index in longer]
        )
        for index, payload in zip(longer, decoded_later, strict=True):
            results[index] = payload
        return results

    def _parse(self, serialized: bytes | bytearray) -> Payload:
        try:
            return Payload.FromString(serialized)  # type: ignore[arg-type]  # it takes any buffer
        except DecodeError as error:
            raise self.corrupted("what was compressed is not a serialized payload") from error

    def encode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.encode_cost`."""
        return len(payload.data) * self._slowness

    def decode_cost(self, payload: Payload) -> int:
        """About how many bytes the payload expands to. It may be what the payload says: it is not trusted."""
        return len(payload.data) * TYPICAL_EXPANSION

    def corrupted(self, reason: str) -> PayloadIntegrityError:
        """Return the error for data that cannot be decompressed."""
        return PayloadIntegrityError(
            f"Codec {self.codec_name!r} cannot decode a payload with encoding {self.encoding!r}: {reason}"
        )

    def too_large(self) -> PayloadTooLargeError:
        """Return the error for data that expands beyond the limit."""
        # Retryable: the payload may be sound, and an operator can raise the limit while the workflow waits.
        return PayloadTooLargeError(
            f"Codec {self.codec_name!r}: a payload expands to more than {self._max_decoded_size} bytes. "
            f"{self._where_to_raise_the_limit()}",
            non_retryable=False,
        )

    def _where_to_raise_the_limit(self) -> str:
        return f"Raise codec.{self.codec_name}.max_decoded_size if payloads of that size are expected"
