"""Codecs as somebody wrote them for the plain SDK, and other things that can be named by mistake."""

from pydantic import BaseModel
from temporal_payloads.plugin import CodecPlugin, hookimpl
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

PASSWORD = "hunter2"


class LegacyCodec(PayloadCodec):
    """Turns the bytes around; it copies what it leaves alone, as the SDK's documentation shows it."""

    encoding = b"binary/legacy"

    async def encode(self, payloads):
        return [
            Payload(metadata={"encoding": self.encoding}, data=payload.SerializeToString()[::-1])
            for payload in payloads
        ]

    async def decode(self, payloads):
        decoded = []
        for payload in payloads:
            copy = Payload()
            if payload.metadata.get("encoding") == self.encoding:
                copy.ParseFromString(payload.data[::-1])
            else:
                copy.CopyFrom(payload)
            decoded.append(copy)
        return decoded


class Unnamed(LegacyCodec):
    """One that nobody can tell the encodings of."""

    encoding = None
    ENCODING = b"binary/unnamed"

    async def encode(self, payloads):
        return [
            Payload(metadata={"encoding": self.ENCODING}, data=payload.SerializeToString()[::-1])
            for payload in payloads
        ]

    async def decode(self, payloads):
        return [
            Payload.FromString(
                payload.data[::-1]
                if payload.metadata.get("encoding") == self.ENCODING
                else payload.SerializeToString()
            )
            for payload in payloads
        ]


class WithKey(LegacyCodec):
    encodings = ("binary/with-key",)
    encoding = b"binary/with-key"
    role = "encrypt"

    def __init__(self, key):
        self.key = key


class Failing(LegacyCodec):
    def __init__(self):
        raise RuntimeError("no key file")


class WrongRole(LegacyCodec):
    role = "encryption"


class WrongEncodings(LegacyCodec):
    encodings = (1,)


class Settings(BaseModel):
    model_config = {"extra": "forbid", "frozen": True}

    key: str


class Hooked:
    @staticmethod
    @hookimpl
    def temporal_payloads_codec():
        return described


class Inner:
    Codec = LegacyCodec


made = WithKey("a key")
described = CodecPlugin(
    api_version=1,
    settings=Settings,
    encodings=("binary/with-key",),
    create=lambda settings: WithKey(settings.key),
)
hooked = Hooked()
makes_no_codec = CodecPlugin(api_version=1, settings=Settings, encodings=(), create=lambda _: "a codec")
