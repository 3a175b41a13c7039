"""The entry point `msgspec` of temporal-payloads. Nothing here imports msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import PayloadConverterPlugin, hookimpl

from temporal_payloads_msgspec_converter._settings import MsgspecSettings

if TYPE_CHECKING:
    from temporalio.converter import PayloadConverter


@hookimpl
def temporal_payloads_payload_converter() -> PayloadConverterPlugin[MsgspecSettings]:
    """Describe the msgspec converter."""
    return PayloadConverterPlugin(
        api_version=1,
        settings=MsgspecSettings,
        create=_create,
        extend=_extend,
        sandbox_passthrough=("msgspec", "temporal_payloads_msgspec_converter"),
    )


def _create(settings: MsgspecSettings) -> type[PayloadConverter]:
    del settings
    from temporal_payloads_msgspec_converter._payload_converter import (  # noqa: PLC0415  # imports msgspec
        MsgspecPayloadConverter,
    )

    return MsgspecPayloadConverter


def _extend(settings: MsgspecSettings, base: type[PayloadConverter]) -> type[PayloadConverter]:
    del settings
    from temporal_payloads_msgspec_converter._payload_converter import (  # noqa: PLC0415  # imports msgspec
        msgspec_converter_on,
    )

    return msgspec_converter_on(base)
