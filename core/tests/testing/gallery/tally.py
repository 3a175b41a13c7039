"""A good codec: whole payloads with a checksum, zeros at their end cut short."""

import zlib

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from temporal_payloads.plugin import (
    ByteSize,
    CodecPlugin,
    PayloadIntegrityError,
    PayloadTooLargeError,
    PerPayloadCodec,
    hookimpl,
)
from temporalio.api.common.v1 import Payload

ENCODING = b"binary/tallied"
CHECKSUM = 4


class TallySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    max_decoded_size: ByteSize = Field(64 * 1024 * 1024, description="Largest payload that is decoded.")
    password: SecretStr | None = Field(None, description="Nobody asks for it.")


def squeeze(data):
    zeros = len(data) - len(data.rstrip(b"\0"))
    return zeros.to_bytes(8, "big") + data[: len(data) - zeros]


class TallyCodec(PerPayloadCodec):
    def __init__(self, settings):
        self.settings = settings

    def encode_payload(self, payload):
        data = squeeze(payload.SerializeToString(deterministic=True))
        return Payload(
            metadata={"encoding": ENCODING}, data=zlib.crc32(data).to_bytes(CHECKSUM, "big") + data
        )

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        checksum, data = payload.data[:CHECKSUM], payload.data[CHECKSUM:]
        self.check(checksum, data)
        zeros = int.from_bytes(data[:8], "big")
        if zeros + len(data) > self.settings.max_decoded_size:
            raise PayloadTooLargeError("A payload would have more bytes than max_decoded_size")
        return Payload.FromString(data[8:] + bytes(zeros))

    def check(self, checksum, data):
        if len(data) < 8 or checksum != zlib.crc32(data).to_bytes(CHECKSUM, "big"):
            raise PayloadIntegrityError("A tallied payload is corrupted")


def tally(codec=TallyCodec, **changes):
    given = {
        "api_version": 1,
        "settings": TallySettings,
        "encodings": ("binary/tallied",),
        "create": codec,
    }
    return CodecPlugin(**given | changes)


@hookimpl
def temporal_payloads_codec():
    return tally()
