"""Codecs with one fault each."""

import asyncio
import itertools
import threading
from functools import partial

from pydantic import SecretStr
from temporal_payloads.plugin import PayloadIntegrityError
from temporal_payloads.testing import CodecConformance
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from gallery.exhibit import Exhibit
from gallery.tally import ENCODING, TallyCodec, TallySettings, tally

SECRET = "open-sesame"


def exhibit(name, codec, breaks=None, says="", *also, changes=None, **more):
    return Exhibit(
        name=name,
        kit=CodecConformance,
        plugin=partial(tally, codec, **(changes or {})),
        settings=lambda: TallySettings(password=SecretStr(SECRET)),
        breaks=breaks,
        says=says,
        also=frozenset(also),
        **more,
    )


class DataAlone(TallyCodec):
    def encode_payload(self, payload):
        return super().encode_payload(Payload(metadata={"encoding": b"json/plain"}, data=payload.data))


class SmallOnesFirst(TallyCodec):
    async def encode(self, payloads):
        return await super().encode(sorted(payloads, key=Payload.ByteSize))


class CuttingLargeOnes(TallyCodec):
    def decode_payload(self, payload):
        decoded = super().decode_payload(payload)
        return Payload(metadata=decoded.metadata, data=decoded.data[:17_000_000])


class LeavingItsOwnAlone(TallyCodec):
    """Encodes twice, and decodes all at once."""

    def decode_payload(self, payload):
        decoded = super().decode_payload(payload)
        return self.decode_payload(decoded) if decoded.metadata.get("encoding") == ENCODING else decoded


class NeedingPayloads(TallyCodec):
    async def encode(self, payloads):
        max(payload.ByteSize() for payload in payloads)
        return await super().encode(payloads)


class TakingAllForItsOwn(TallyCodec):
    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != ENCODING:
            raise PayloadIntegrityError("There is no checksum")
        return super().decode_payload(payload)


class InPlace(TallyCodec):
    def encode_payload(self, payload):
        payload.CopyFrom(super().encode_payload(payload))
        return payload


class Numbering(TallyCodec):
    numbers = itertools.count()

    def encode_payload(self, payload):
        encoded = super().encode_payload(payload)
        encoded.metadata["number"] = str(next(self.numbers)).encode()
        return encoded


class Unchecked(TallyCodec):
    def check(self, checksum, data):
        if len(data) < 8:
            raise PayloadIntegrityError("A tallied payload is corrupted")


class WithoutALimit(TallyCodec):
    def __init__(self, settings):
        super().__init__(settings.model_copy(update={"max_decoded_size": 2**40}))


class OnTheLoop(TallyCodec):
    async def encode(self, payloads):
        return [self.encode_payload(payload) for payload in payloads]


class WithOneLoop(TallyCodec):
    """Keeps what belongs to the loop that used it first."""

    first = None

    async def encode(self, payloads):
        self.first = self.first or threading.get_ident()
        if self.first != threading.get_ident():
            raise RuntimeError("the lock is bound to a different event loop")
        return await super().encode(payloads)


class GoingOn(PayloadCodec):
    def __init__(self, settings):
        self.inner = TallyCodec(settings)

    async def encode(self, payloads):
        return await self.inner.encode(payloads)

    async def decode(self, payloads):
        decoding = asyncio.ensure_future(self.inner.decode(payloads))
        while not decoding.done():
            try:
                await asyncio.wait([decoding])
            except asyncio.CancelledError:
                continue
        return decoding.result()


class ShowingItsPassword(TallyCodec):
    def check(self, checksum, data):
        try:
            super().check(checksum, data)
        except PayloadIntegrityError as error:
            raise PayloadIntegrityError(f"{error} ({self.settings.password.get_secret_value()})") from error


CODECS = [
    exhibit("a good codec", TallyCodec, entry_point="tally", attributes={"client_modules": ("sqlite3",)}),
    exhibit(
        "the data encoded alone",
        DataAlone,
        "what_was_encoded_is_decoded",
        "payload 0 of 1 should be .* encoding none",
        "payloads_stay_in_order",
        "what_was_encoded_twice_is_decoded_twice",
        "one_codec_serves_several_threads",
        "a_payload_of_any_size_is_encoded_by_itself",
    ),
    exhibit(
        "encoded payloads out of order",
        SmallOnesFirst,
        "payloads_stay_in_order",
        "which was expected at index",
    ),
    exhibit(
        "large payloads cut",
        CuttingLargeOnes,
        "a_payload_of_any_size_is_encoded_by_itself",
        "and is one of 17,000,0.. bytes",
    ),
    exhibit(
        "decoded more often than encoded",
        LeavingItsOwnAlone,
        "what_was_encoded_twice_is_decoded_twice",
        "payload 0 of 1 should be .* encoding binary/tallied",
    ),
    exhibit("no payloads taken for an error", NeedingPayloads, "no_payloads_are_no_work", "ValueError"),
    exhibit(
        "an encoding that is not declared",
        TallyCodec,
        "encoded_payloads_carry_an_encoding_that_the_plugin_declares",
        "it wrote .*tallied.*, and declares .*other",
        changes={"encodings": ("binary/other",)},
    ),
    exhibit(
        "payloads of others refused",
        TakingAllForItsOwn,
        "payloads_of_others_pass_through_decoding",
        "There is no checksum",
    ),
    exhibit(
        "payloads encoded in place",
        InPlace,
        "payloads_are_not_changed",
        "payload 0 of 8 should be .* encoding none.* and is .* encoding binary/tallied",
    ),
    exhibit(
        "equal payloads encoded differently",
        Numbering,
        "equal_payloads_are_encoded_equally",
        "equal payloads became different bytes",
    ),
    exhibit("no checksum", Unchecked, "corrupted_data_is_told", "another payload|DecodeError"),
    exhibit(
        "no limit to what is decoded",
        WithoutALimit,
        "what_would_expand_beyond_the_limit_is_refused",
        "DID NOT RAISE",
    ),
    exhibit(
        "work on the event loop",
        OnTheLoop,
        "large_payloads_do_not_stop_the_event_loop",
        "no other task had a turn while it was encoded",
    ),
    exhibit(
        "a codec of one thread",
        WithOneLoop,
        "one_codec_serves_several_threads",
        "bound to a different event loop",
    ),
    exhibit(
        "a cancelled call that goes on",
        GoingOn,
        "a_call_that_is_cancelled_ends_as_cancelled",
        "returned as if nothing had happened",
    ),
    exhibit(
        "a secret in a codecs errors",
        ShowingItsPassword,
        "the_codec_shows_no_secret",
        "a secret is shown by the error of decode",
    ),
]
