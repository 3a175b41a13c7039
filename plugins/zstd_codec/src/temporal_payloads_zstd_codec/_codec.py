"""The codec: a zstd frame of the serialized payload."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    DEFAULT_MAX_DECODED_SIZE,
    CompressionCodec,
    PayloadTooLargeError,
    StorageMisconfiguredError,
)

from temporal_payloads_zstd_codec._settings import (
    DEFAULT_LEVEL,
    DEFAULT_MAX_WINDOW_SIZE,
    HIGHEST_LEVEL,
    LEAST_MAX_WINDOW_SIZE,
    MOST_MAX_WINDOW_SIZE,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from temporalio.api.common.v1 import Payload

_PIECE = 256 * 1024
"""How much is decompressed at once: it stays in the processor's cache, and the GIL is let go in between."""
_FIRST_VERY_SLOW_LEVEL = 10
_LAST_SMALL_WINDOW_LEVEL = 19
"""Up to this level zstd chooses windows of at most 8 MiB; each level above doubles that."""


class ZstdCodec(CompressionCodec):
    """The codec `binary/zstd`: one zstd frame of the serialized payload, with a checksum.

    Args:
        level: From 1, the fastest, to 22, the smallest; 3 by default.
        max_window_size: Memory in bytes that decoding may take beside the payload; from 8 MiB to 2 GiB,
            rounded down to a power of two; 128 MiB by default.
        dictionary: File with a trained dictionary, to encode with. Whoever decodes needs it too.
        read_dictionaries: Files with other dictionaries that payloads to decode were encoded with.
        min_size: Payloads whose serialized size in bytes is below this are left as they are; 0 by default.
        keep_if_not_smaller: Leave a payload as it is if compression does not make it smaller; by default so.
        max_decoded_size: Largest serialized payload in bytes that is encoded or decoded; 256 MiB by default.

    Raises:
        ValueError: An argument is out of its range, or a file is not a trained dictionary.
        OSError: A dictionary's file cannot be read.
    """

    codec_name = "zstd"
    encoding = "binary/zstd"

    def __init__(
        self,
        *,
        level: int = DEFAULT_LEVEL,
        max_window_size: int = DEFAULT_MAX_WINDOW_SIZE,
        dictionary: Path | None = None,
        read_dictionaries: Sequence[Path] = (),
        min_size: int = 0,
        keep_if_not_smaller: bool = True,
        max_decoded_size: int = DEFAULT_MAX_DECODED_SIZE,
    ) -> None:
        if not 1 <= level <= HIGHEST_LEVEL:
            raise ValueError(f"level must be from 1 to {HIGHEST_LEVEL}")
        if not LEAST_MAX_WINDOW_SIZE <= max_window_size <= MOST_MAX_WINDOW_SIZE:
            raise ValueError("max_window_size must be from 8 MiB to 2 GiB")
        super().__init__(
            min_size=min_size,
            keep_if_not_smaller=keep_if_not_smaller,
            max_decoded_size=max_decoded_size,
            slowness=_slowness(level),
        )
        self._max_window_size = max_window_size
        max_window_log = max_window_size.bit_length() - 1
        self._decompress_options: Mapping[int, int] = {
            zstd.DecompressionParameter.window_log_max: max_window_log
        }
        self._compress_options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: level,
            # Corruption is found; zstd leaves this out unless told so.
            zstd.CompressionParameter.checksum_flag: 1,
        }
        if level > _LAST_SMALL_WINDOW_LEVEL:
            # zstd's own choice (25 to 27), but nothing that decoding would refuse.
            own_choice = level + 5
            self._compress_options[zstd.CompressionParameter.window_log] = min(own_choice, max_window_log)
        self._dictionary = None if dictionary is None else _load(dictionary)
        known = [] if self._dictionary is None else [self._dictionary]
        self._dictionaries = {each.dict_id: each for each in [*known, *map(_load, read_dictionaries)]}

    def compress(self, data: bytes) -> bytes:
        """See `CompressionCodec.compress`."""
        return zstd.compress(data, options=self._compress_options, zstd_dict=self._dictionary)

    def decompress(self, data: bytes, limit: int) -> bytes:
        """See `CompressionCodec.decompress`.

        Raises:
            StorageMisconfiguredError: The frame needs a dictionary that this codec does not have.
        """
        try:
            header = zstd.get_frame_info(data)
            if (header.decompressed_size or 0) > limit:
                raise self.too_large()
            return self._decompress_frame(data, self._dictionary_for(header.dictionary_id), limit)
        except zstd.ZstdError as error:
            if "requires too much memory" in str(error):
                raise self._window_too_large() from error
            raise self.corrupted(f"the data is corrupted ({error})") from error

    def _decompress_frame(self, data: bytes, dictionary: zstd.ZstdDict | None, limit: int) -> bytes:
        decompressor = zstd.ZstdDecompressor(zstd_dict=dictionary, options=self._decompress_options)
        found = BytesIO()
        found.write(decompressor.decompress(data, _PIECE))
        while not decompressor.eof:
            if found.tell() > limit:
                raise self.too_large()
            if decompressor.needs_input:
                raise self.corrupted(f"the data is truncated after {len(data)} bytes")
            found.write(decompressor.decompress(b"", _PIECE))
        if found.tell() > limit:
            raise self.too_large()
        if decompressor.unused_data:
            raise self.corrupted(f"{len(decompressor.unused_data)} bytes follow after the zstd frame")
        return found.getvalue()

    def _dictionary_for(self, dictionary_id: int) -> zstd.ZstdDict | None:
        if dictionary_id in (0, *self._dictionaries):
            return self._dictionaries.get(dictionary_id)
        known = ", ".join(map(str, self._dictionaries)) or "none"
        raise StorageMisconfiguredError(
            f"Codec 'zstd': a payload was encoded with the dictionary {dictionary_id}, which is not "
            f"configured (configured: {known}). Add its file to codec.zstd.read_dictionaries"
        )

    def _window_too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(
            f"Codec 'zstd': decoding a payload takes a window of more than {self._max_window_size} bytes. "
            "Raise codec.zstd.max_window_size if such payloads are expected",
            non_retryable=False,
        )

    def decode_cost(self, payload: Payload) -> int:
        """See `PerPayloadCodec.decode_cost`."""
        try:
            size = zstd.get_frame_info(payload.data).decompressed_size
        except zstd.ZstdError:
            return 0  # decoding fails at once
        # A frame may leave its size out, and a few bytes may expand to anything.
        return size or self._max_decoded_size


def _load(file: Path) -> zstd.ZstdDict:
    try:
        return zstd.ZstdDict(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} is not a trained dictionary, as `zstd --train` writes") from error


def _slowness(level: int) -> int:
    if level <= DEFAULT_LEVEL:
        return 1
    return 10 if level < _FIRST_VERY_SLOW_LEVEL else 100
