"""A working codec plugin."""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field
from temporal_payloads.plugin import CodecPlugin, PayloadIntegrityError, PerPayloadCodec, hookimpl
from temporalio.api.common.v1 import Payload

ENCODING = b"binary/reversed"


class ReverseSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    times: int = Field(1, ge=1, description="How often.")


class ReverseCodec(PerPayloadCodec):
    def encode_payload(self, payload):
        data = payload.SerializeToString()
        return Payload(metadata={"encoding": ENCODING}, data=data[::-1] + sha256(data).digest())

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        data, checksum = payload.data[:-32][::-1], payload.data[-32:]
        if sha256(data).digest() != checksum:
            raise PayloadIntegrityError("A reversed payload is corrupted")
        return Payload.FromString(data)


@hookimpl
def temporal_payloads_codec():
    return CodecPlugin(
        api_version=1,
        settings=ReverseSettings,
        encodings=("binary/reversed",),
        create=lambda _settings: ReverseCodec(),
    )
