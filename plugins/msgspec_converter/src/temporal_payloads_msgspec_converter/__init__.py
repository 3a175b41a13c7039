"""The SDK's JSON payload converter, many times faster: the same JSON, the same values.

    from temporal_payloads_msgspec_converter import MsgspecPayloadConverter

    DataConverter(payload_converter_class=MsgspecPayloadConverter)

With temporal-payloads, `payload_converter = "msgspec"` in the settings does that.
"""

from temporal_payloads_msgspec_converter._payload_converter import MsgspecPayloadConverter

__all__ = ["MsgspecPayloadConverter"]
