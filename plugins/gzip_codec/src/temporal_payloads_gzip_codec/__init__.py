"""The payload codecs `binary/gzip` and `binary/zlib`."""

from temporal_payloads_gzip_codec._codec import GzipCodec, ZlibCodec

__all__ = ["GzipCodec", "ZlibCodec"]
