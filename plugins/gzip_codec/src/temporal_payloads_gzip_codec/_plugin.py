"""The entry points `gzip` and `zlib` of temporal-payloads. Nothing here imports a compression library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import CodecPlugin, hookimpl

from temporal_payloads_gzip_codec._settings import GzipSettings, ZlibSettings

if TYPE_CHECKING:
    from temporal_payloads_gzip_codec._codec import GzipCodec, ZlibCodec


class _Gzip:
    @hookimpl
    def temporal_payloads_codec(self) -> CodecPlugin[GzipSettings]:
        return CodecPlugin(
            api_version=1,
            settings=GzipSettings,
            encodings=("binary/gzip",),
            create=_create_gzip,
            role="compress",
            identity=_nothing_to_share,
        )


class _Zlib:
    @hookimpl
    def temporal_payloads_codec(self) -> CodecPlugin[ZlibSettings]:
        return CodecPlugin(
            api_version=1,
            settings=ZlibSettings,
            encodings=("binary/zlib",),
            create=_create_zlib,
            role="compress",
            identity=_nothing_to_share,
        )


gzip = _Gzip()
zlib = _Zlib()


def _nothing_to_share(_: GzipSettings | ZlibSettings) -> dict[str, object]:
    # Every reader reads every level.
    return {}


def _create_gzip(settings: GzipSettings) -> GzipCodec:
    from temporal_payloads_gzip_codec._codec import GzipCodec  # noqa: PLC0415  # imports isal

    return GzipCodec(**settings.model_dump())


def _create_zlib(settings: ZlibSettings) -> ZlibCodec:
    from temporal_payloads_gzip_codec._codec import ZlibCodec  # noqa: PLC0415  # imports isal

    return ZlibCodec(**settings.model_dump())
