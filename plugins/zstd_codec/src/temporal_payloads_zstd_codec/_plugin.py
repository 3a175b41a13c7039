"""The entry point `zstd` of temporal-payloads. Nothing here imports a compression library."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from temporal_payloads.plugin import CodecPlugin, hookimpl

from temporal_payloads_zstd_codec._settings import ZstdSettings

if TYPE_CHECKING:
    from temporal_payloads_zstd_codec._codec import ZstdCodec


@hookimpl
def temporal_payloads_codec() -> CodecPlugin[ZstdSettings]:
    """Describe the zstd codec."""
    return CodecPlugin(
        api_version=1,
        settings=ZstdSettings,
        encodings=("binary/zstd",),
        create=_create,
        role="compress",
        identity=_dictionaries,
    )


def _dictionaries(settings: ZstdSettings) -> dict[str, object]:
    """Return what readers need: the same dictionaries, whichever of them writes."""
    files = (*((settings.dictionary,) if settings.dictionary else ()), *settings.read_dictionaries)
    return {"dictionaries": sorted({sha256(file.read_bytes()).hexdigest() for file in files})}


def _create(settings: ZstdSettings) -> ZstdCodec:
    from temporal_payloads_zstd_codec._codec import ZstdCodec  # noqa: PLC0415  # imports zstd

    return ZstdCodec(**settings.model_dump())
