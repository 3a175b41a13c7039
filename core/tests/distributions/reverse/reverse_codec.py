"""A working codec plugin."""

from pydantic import BaseModel, ConfigDict, Field
from temporal_payloads.plugin import CodecPlugin, PerPayloadCodec, hookimpl
from temporalio.api.common.v1 import Payload

ENCODING = b"binary/reversed"


class ReverseSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    times: int = Field(1, ge=1, description="How often.")


class ReverseCodec(PerPayloadCodec):
    def encode_payload(self, payload):
        return Payload(metadata={"encoding": ENCODING}, data=payload.SerializeToString()[::-1])

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        return Payload.FromString(payload.data[::-1])


@hookimpl
def temporal_payloads_codec():
    return CodecPlugin(
        api_version=1,
        settings=ReverseSettings,
        encodings=("binary/reversed",),
        create=lambda _settings: ReverseCodec(),
    )
