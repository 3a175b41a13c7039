"""The payload codec `binary/zstd`."""

from temporal_payloads_zstd_codec._codec import ZstdCodec

__all__ = ["ZstdCodec"]
