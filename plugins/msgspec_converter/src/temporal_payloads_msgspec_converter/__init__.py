"""The SDK's JSON payload converter, many times faster: the same JSON, the same values.

    from temporal_payloads_msgspec_converter import MsgspecPayloadConverter

    DataConverter(payload_converter_class=MsgspecPayloadConverter)

With temporal-payloads, `payload_converter = "msgspec"` in the settings does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporal_payloads_msgspec_converter._payload_converter import MsgspecPayloadConverter

__all__ = ["MsgspecPayloadConverter"]


def __getattr__(name: str) -> object:
    # Registering the plugin imports this package, and must not import msgspec.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from temporal_payloads_msgspec_converter import _payload_converter  # noqa: PLC0415  # see above

    return getattr(_payload_converter, name)
