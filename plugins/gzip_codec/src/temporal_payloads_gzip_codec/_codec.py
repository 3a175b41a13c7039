"""The codecs: gzip or zlib around the same deflate data."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from gzip import BadGzipFile
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

import deflate
from isal import isal_zlib
from isal.igzip import IGzipFile
from temporal_payloads.plugin import DEFAULT_MAX_DECODED_SIZE, CompressionCodec

from temporal_payloads_gzip_codec._settings import DEFAULT_LEVEL, HIGHEST_LEVEL

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub says: an instance

_HIGHEST_ISAL_LEVEL = 3
_LIBDEFLATE_SLOWNESS = 10
"""libdeflate's levels 4 to 9 take 3 to 20 times as long as ISA-L's level 1."""
_MAGIC = b"\x1f\x8b\x08"
"""What a gzip member begins with (RFC 1952, section 2.3.1)."""
_READ_SIZE = 1024 * 1024
_AT_ONCE_SIZE = 1024 * 1024
"""Size from which libdeflate, which wants to know the size beforehand, decompresses faster than ISA-L."""


class _DeflateCodec(CompressionCodec):
    """Compresses with ISA-L at the levels 1 to 3, with libdeflate from 4 on."""

    _wbits: ClassVar[int]
    """zlib's number for the wrapping."""

    def __init__(
        self,
        *,
        level: int = DEFAULT_LEVEL,
        min_size: int = 0,
        keep_if_not_smaller: bool = True,
        max_decoded_size: int = DEFAULT_MAX_DECODED_SIZE,
    ) -> None:
        if not 1 <= level <= HIGHEST_LEVEL:
            raise ValueError(f"level must be from 1 to {HIGHEST_LEVEL}")
        super().__init__(
            min_size=min_size,
            keep_if_not_smaller=keep_if_not_smaller,
            max_decoded_size=max_decoded_size,
            slowness=1 if level <= _HIGHEST_ISAL_LEVEL else _LIBDEFLATE_SLOWNESS,
        )
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """See `CompressionCodec.compress`."""
        if self._level <= _HIGHEST_ISAL_LEVEL:
            return isal_zlib.compress(data, self._level, self._wbits)
        return bytes(self._libdeflate(data))

    @abstractmethod
    def _libdeflate(self, data: bytes) -> bytearray:
        """Compress with libdeflate, which has one function for each wrapping."""

    def decompress(self, data: bytes, limit: int) -> bytes | bytearray:
        """See `CompressionCodec.decompress`."""
        decompressor = isal_zlib.decompressobj(self._wbits)
        try:
            # One byte more than may come tells what is too large from what just fits.
            found = decompressor.decompress(data, limit + 1)
        except IsalError as error:
            raise self.corrupted(f"the data is corrupted ({error})") from error
        if len(found) > limit:
            raise self.too_large()
        if not decompressor.eof:
            raise self.corrupted(f"the data is truncated after {len(data)} bytes")
        if decompressor.unused_data:
            return self._decompress_longer(data, limit)
        return found

    def _decompress_longer(self, data: bytes, limit: int) -> bytes:
        """Decompress data that goes on after the end of what was compressed."""
        del limit
        raise self.corrupted(f"something follows after the compressed data, within {len(data)} bytes")


class GzipCodec(_DeflateCodec):
    """The codec `binary/gzip`: gzip of the serialized payload, as in the Python sample `external_storage`.

    The gzip header holds neither time stamp nor file name, so equal payloads are encoded to equal bytes.
    A payload that carries the metadata `original_encoding` is another project's (gzip of the data alone)
    and is left alone by `decode`.

    Args:
        level: From 1, the fastest, to 9, the smallest; 1 by default.
        min_size: Payloads whose serialized size in bytes is below this are left as they are; 0 by default.
        keep_if_not_smaller: Leave a payload as it is if compression does not make it smaller; by default so.
        max_decoded_size: Largest serialized payload in bytes that is encoded or decoded; 256 MiB by default.

    Raises:
        ValueError: An argument is out of its range.
    """

    codec_name = "gzip"
    encoding = "binary/gzip"
    _wbits = 31

    def _libdeflate(self, data: bytes) -> bytearray:
        return deflate.gzip_compress(data, self._level)

    def decodes(self, payload: Payload) -> bool:
        """See `CompressionCodec.decodes`."""
        return super().decodes(payload) and "original_encoding" not in payload.metadata

    def decode_cost(self, payload: Payload) -> int:
        """See `CompressionCodec.decode_cost`."""
        data = payload.data
        return max(len(data), _stated_size(data))

    def decompress(self, data: bytes, limit: int) -> bytes | bytearray:
        """See `CompressionCodec.decompress`."""
        stated = _stated_size(data)
        # libdeflate stops at the end of the first member and does not tell of what follows. So nothing in
        # the data may look like another member, and the trailer must be that of what was found.
        if _AT_ONCE_SIZE <= stated <= limit and data.find(_MAGIC, 1) < 0:
            with suppress(deflate.DeflateError):  # told in detail below
                found = deflate.gzip_decompress(data, stated)
                if len(found) == stated and data[-8:-4] == deflate.crc32(found).to_bytes(4, "little"):
                    return found
        return super().decompress(data, limit)

    def _decompress_longer(self, data: bytes, limit: int) -> bytes:
        # A gzip file of several members is legal, but nobody is known to write payloads so.
        pieces: list[bytes] = []
        room = limit
        try:
            with IGzipFile(fileobj=BytesIO(data)) as reader:  # type: ignore[no-untyped-call]  # not annotated
                while piece := reader.read(_READ_SIZE):
                    pieces.append(piece)
                    room -= len(piece)
                    if room < 0:
                        raise self.too_large()
        except (IsalError, BadGzipFile, EOFError) as error:
            raise self.corrupted(
                f"the data goes on after the end of a gzip member, but not with a sound one ({error})"
            ) from error
        return b"".join(pieces)


def _stated_size(data: bytes) -> int:
    """Return the size in gzip's trailer (RFC 1952, section 2.3.1), which may be a lie."""
    return int.from_bytes(data[-4:], "little")


class ZlibCodec(_DeflateCodec):
    """The codec `binary/zlib`: zlib of the serialized payload, as in the Go and Java SDKs.

    Arguments as of `GzipCodec`.
    """

    codec_name = "zlib"
    encoding = "binary/zlib"
    _wbits = 15

    def _libdeflate(self, data: bytes) -> bytearray:
        return deflate.zlib_compress(data, self._level)
