"""The entry point `encryption` of temporal-payloads. Nothing here imports a cryptographic library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import CodecContext, CodecPlugin, hookimpl

from temporal_payloads_encryption_codec._settings import EncryptionSettings

if TYPE_CHECKING:
    from temporal_payloads_encryption_codec._codec import EncryptionCodec


@hookimpl
def temporal_payloads_codec() -> CodecPlugin[EncryptionSettings]:
    """Describe the encryption codec."""
    return CodecPlugin(
        api_version=1,
        settings=EncryptionSettings,
        encodings=("binary/encrypted",),
        create_with=_create,
        role="encrypt",
        # What readers need are the keys, which the codec describes.
        identity=lambda _: {},
    )


def _create(settings: EncryptionSettings, context: CodecContext) -> EncryptionCodec:
    from temporal_payloads_encryption_codec._making import make_codec  # noqa: PLC0415  # imports cryptography

    return make_codec(settings, context)
