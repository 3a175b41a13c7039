"""The settings of a `[codec.NAME]` table of the type `zstd`."""

from __future__ import annotations

from pydantic import ByteSize, Field, FilePath
from temporal_payloads.plugin import CompressionSettings

DEFAULT_LEVEL = 3
HIGHEST_LEVEL = 22
DEFAULT_MAX_WINDOW_SIZE = 128 * 1024 * 1024
"""zstd's own limit: what level 22 writes."""
LEAST_MAX_WINDOW_SIZE = 8 * 1024 * 1024
"""What level 19 writes, so that no setting makes a codec that can't read what it wrote."""
MOST_MAX_WINDOW_SIZE = 2 * 1024 * 1024 * 1024


class ZstdSettings(CompressionSettings):
    """The settings of a codec of type `zstd`."""

    level: int = Field(
        default=DEFAULT_LEVEL, ge=1, le=HIGHEST_LEVEL, description="From 1, the fastest, to 22, the smallest."
    )
    max_window_size: ByteSize = Field(
        default=ByteSize(DEFAULT_MAX_WINDOW_SIZE),
        ge=LEAST_MAX_WINDOW_SIZE,
        le=MOST_MAX_WINDOW_SIZE,
        description="Memory that decoding one payload may take beside the payload itself; the power of two "
        "at or below it counts.",
    )
    dictionary: FilePath | None = Field(
        default=None,
        description="File with a trained dictionary. Small payloads that resemble each other shrink much "
        "more with one, and whoever reads them needs it too.",
    )
    read_dictionaries: tuple[FilePath, ...] = Field(
        default=(),
        description="Files with dictionaries that earlier settings wrote with: histories still need them.",
    )
