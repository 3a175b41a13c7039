"""The payload codec `binary/zstd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporal_payloads_zstd_codec._codec import ZstdCodec

__all__ = ["ZstdCodec"]


def __getattr__(name: str) -> object:
    # Registering the plugin imports this package, and must not import the compression library.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from temporal_payloads_zstd_codec import _codec  # noqa: PLC0415  # see above

    return getattr(_codec, name)
