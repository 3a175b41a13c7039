"""Several codecs as one, in the order that the settings give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import (
    CompositePayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.exceptions import ApplicationError

from temporal_payloads._codecs.layers import Layers
from temporal_payloads._codecs.named import NamedCodec, encoding_of
from temporal_payloads._codecs.watching import Watch
from temporal_payloads._observe.belonging import UNKNOWN, Belonging, belonging_here_to
from temporal_payloads._plugins.registry import KNOWN_ENCODINGS
from temporal_payloads._storage.errors import PayloadNotDecodedError, PayloadNotEncryptedError
from temporal_payloads._storage.retries import inbound, outbound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import PayloadConverter

    from temporal_payloads._observe.observers import Observers

CONVERTERS_ENCODINGS = {"binary/null", "binary/plain", "binary/protobuf"}
"""Those of the SDKs' payload converters that are named as codecs name theirs."""


class CodecChain(PayloadCodec, WithSerializationContext):
    """Encodes with the first codec first, decodes with the last one first.

    Args:
        codecs: In the order in which they encode.
        decode_only: Codecs that are read and no longer written. Each takes one layer off a payload at most,
            wherever among the others it stands.
        require_encrypted: Refuse payloads that no codec has encrypted, on both ways.
        raw_encodings: What workflows take as it is, whatever else is known of such an encoding.
        converter_reads: The encodings that the payload converter behind the chain reads, if that is known.
        observers: Who is told what each codec does.
        context: What the payloads belong to, as far as the SDK says.
    """

    def __init__(
        self,
        codecs: Sequence[NamedCodec] = (),
        *,
        decode_only: Sequence[NamedCodec] = (),
        require_encrypted: bool = False,
        raw_encodings: Collection[str] = (),
        converter_reads: frozenset[str] | None = None,
        observers: Observers | None = None,
        context: SerializationContext | None = None,
    ) -> None:
        self._codecs = tuple(codecs)
        self._decode_only = tuple(decode_only)
        self._require_encrypted = require_encrypted
        self._raw_encodings = frozenset(raw_encodings)
        self._converter_reads = converter_reads
        self._observers = observers
        self._context = context
        self._belongs_to = UNKNOWN if context is None else Belonging.of(context)
        self._watch = Watch(observers)

    def __repr__(self) -> str:
        return f"<codecs {self.names}>"

    @property
    def names(self) -> str:
        """The names of the codecs, as a person reads them."""
        names = ", ".join(codec.name for codec in self._codecs) or "none"
        only = ", ".join(codec.name for codec in self._decode_only)
        return f"{names}{f'; decode only {only}' if only else ''}"

    @property
    def codecs(self) -> Sequence[NamedCodec]:
        """Those that encode, in that order."""
        return self._codecs

    @property
    def decode_only(self) -> Sequence[NamedCodec]:
        """Those that are read and no longer written."""
        return self._decode_only

    @property
    def raw_encodings(self) -> frozenset[str]:
        """What workflows take as it is."""
        return self._raw_encodings

    @property
    def converter_reads(self) -> frozenset[str] | None:
        """The encodings that the payload converter behind the chain reads, if that is known."""
        return self._converter_reads

    @property
    def has_codecs(self) -> bool:
        """Whether a codec is configured. Without one the chain only tells what it would take to decode."""
        return bool(self._codecs or self._decode_only)

    @property
    def encrypts(self) -> bool:
        """Whether one of the codecs encrypts."""
        return any(codec.role == "encrypt" for codec in self._codecs)

    def with_context(self, context: SerializationContext) -> CodecChain:
        """Return a chain of the same codecs, those that want it with the context."""
        codecs = [codec.bound_to(context) for codec in self._codecs]
        decode_only = [codec.bound_to(context) for codec in self._decode_only]
        return self._with(codecs, decode_only, self._converter_reads, context)

    def reading(self, wrap: Callable[[NamedCodec], NamedCodec] = lambda codec: codec) -> CodecChain:
        """Return the chain for somebody who reads histories: what is in clear is read, whatever workers do.

        Args:
            wrap: Returns each codec as it is to be used.
        """
        return CodecChain(
            [wrap(codec) for codec in self._codecs],
            decode_only=[wrap(codec) for codec in self._decode_only],
            raw_encodings=self._raw_encodings,
            converter_reads=self._converter_reads,
        )

    def before(self, converter: PayloadConverter) -> CodecChain:
        """Return the chain as it stands before a payload converter: what neither of them reads is refused.

        The SDK's workers drop a signal that they cannot convert, and reject an update; what is refused waits.
        """
        if not isinstance(converter, CompositePayloadConverter):
            return self
        reads = frozenset(encoding.decode() for encoding in converter.converters)
        return self._with(self._codecs, self._decode_only, reads, self._context)

    def _with(
        self,
        codecs: Sequence[NamedCodec],
        decode_only: Sequence[NamedCodec],
        converter_reads: frozenset[str] | None,
        context: SerializationContext | None,
    ) -> CodecChain:
        return CodecChain(
            codecs,
            decode_only=decode_only,
            require_encrypted=self._require_encrypted,
            raw_encodings=self._raw_encodings,
            converter_reads=converter_reads,
            observers=self._observers,
            context=context,
        )

    def _belonging(self) -> AbstractContextManager[None]:
        """Let what the codecs do, and what is logged of it, be done for whom the chain is bound to."""
        return belonging_here_to(self._belongs_to)

    async def check(self) -> None:
        """Find out whether each codec that is written can do its work now, if it can tell.

        Raises:
            StorageError: Why one cannot.
        """
        for each in self._codecs:
            check = getattr(each.codec, "check", None)
            if check is not None:
                await check()

    # -- out

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode with each codec in turn.

        Raises:
            ApplicationError: A codec refused a payload. Retryable, unless an activity's payload is too large.
        """
        with self._belonging():
            return await self._encode_from([0] * len(payloads), payloads)

    async def complete(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads that some of the codecs may have encoded before: the rest of the chain does so.

        Where a codec encrypts, a payload that says that it is encrypted is opened, to know. It takes what
        decoding the largest of the payloads takes.

        Raises:
            PayloadNotEncryptedError: A payload says that it is encrypted, and is not, as far as can be told.
            ApplicationError: As `encode` and `decode` do.
        """
        with self._belonging():
            return await self._encode_from([await self._done_by(payload) for payload in payloads], payloads)

    async def _done_by(self, payload: Payload) -> int:
        """Return how many codecs, from the first one on, a payload has behind it."""
        done = await self._outermost(payload)
        encrypting = [number for number, codec in enumerate(self._codecs, 1) if codec.role == "encrypt"]
        if encrypting and done >= encrypting[-1]:
            await self._require_opened(payload, encrypting[-1])
        return done

    async def _outermost(self, payload: Payload) -> int:
        """Return which codec seems to have encoded a payload last: its number from 1 on, or 0 if none has."""
        for number, codec in reversed(list(enumerate(self._codecs, 1))):
            if codec.names(payload):
                return number
            if not codec.encodings:
                [decoded] = await codec.codec.decode([payload])
                if codec.has_changed(payload, decoded):
                    return number
        return 0

    async def _require_opened(self, payload: Payload, encrypting: int) -> None:
        layers = Layers([payload])
        for number in range(len(self._codecs), encrypting - 1, -1):
            await layers.take_off_any(self._decode_only, before=self._codecs[:number])
            await layers.take_off(self._codecs[number - 1])
            # What lies below is nobody's affair here.
            if layers.encrypted:
                return
        await layers.take_off_any(self._decode_only)
        if not layers.encrypted:
            codec = self._codecs[encrypting - 1]
            why = getattr(codec.codec, "why_left_alone", lambda _: None)(layers.payloads[0])
            raise PayloadNotEncryptedError(
                f"By its encoding {encoding_of(payload)[:80]!r} a payload is encrypted, but the codec "
                f"{codec.name!r} did not open it{f': {why}' if why else ''}. It does not leave as it is, and "
                "encrypted once more nobody could read it"
            )

    async def _encode_from(self, done_by: Sequence[int], payloads: Sequence[Payload]) -> list[Payload]:
        results = list(payloads)
        try:
            for number, codec in enumerate(self._codecs):
                indexes = [index for index, done in enumerate(done_by) if done <= number]
                if not indexes:
                    continue
                encoded = await self._watch.encode(codec, [results[index] for index in indexes])
                for index, payload in zip(indexes, encoded, strict=True):
                    results[index] = payload
                    if self._require_encrypted and codec.role == "encrypt":
                        _require_encoded_by(codec, payload)
        except ApplicationError as error:
            raise outbound(error) from error.__cause__
        return results

    # -- in

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode with each codec in turn, the last one first.

        Raises:
            PayloadNotDecodedError: A payload is still encoded afterwards.
            PayloadNotEncryptedError: A payload came in clear, and that is not allowed.
            ApplicationError: A codec could not decode what it had encoded. Retryable, whatever it raised.
        """
        with self._belonging():
            return await self._decode(payloads)

    async def _decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        layers = Layers(list(payloads), self._watch)
        try:
            again = True
            while again:
                again = False
                for number, codec in reversed(list(enumerate(self._codecs, 1))):
                    again |= await layers.take_off_any(self._decode_only, before=self._codecs[:number])
                    await layers.take_off(codec)
                # Below what these take off there may be layers of codecs that were asked before.
                again |= await layers.take_off_any(self._decode_only)
        except ApplicationError as error:
            raise inbound(error) from error.__cause__
        for index, payload in enumerate(layers.payloads):
            self._expect_decoded(payload)
            if self._require_encrypted and index not in layers.encrypted:
                raise PayloadNotEncryptedError(
                    f"A payload came in clear (encoding {encoding_of(payload)[:80]!r}), which "
                    "require_encrypted forbids: whoever can write to the namespace may have put it there. "
                    "Let its sender encode with these codecs; as long as payloads from before are read, "
                    "leave require_encrypted out"
                )
        return layers.payloads

    def _expect_decoded(self, payload: Payload) -> None:
        encoding = encoding_of(payload)
        if not encoding or encoding in self._raw_encodings:
            return
        for each in (*self._codecs, *self._decode_only):
            if encoding in each.encodings:
                why = getattr(each.codec, "why_left_alone", lambda _: None)(payload)
                others = ", ".join(sorted(set(payload.metadata) - {"encoding"})) or "nothing more"
                why = why or (
                    "it was encoded twice, or another project uses the same name for another format (the "
                    f"payload's metadata has {others})"
                )
                raise PayloadNotDecodedError(
                    f"A payload is still encoded as {encoding!r} after decoding. The codec {each.name!r} "
                    f"left it alone: {why}"
                )
        configured = ", ".join(each.name for each in (*self._codecs, *self._decode_only)) or "none"
        if encoding in KNOWN_ENCODINGS:
            codec = KNOWN_ENCODINGS[encoding]
            raise PayloadNotDecodedError(
                f"A payload is encoded as {encoding!r}, which no configured codec decodes (codecs: "
                f"{configured}). Add {codec!r} to codecs, or to decode_only if nothing new shall be written "
                "with it"
            )
        reads = self._converter_reads
        if reads is not None and _is_a_codecs(encoding) and encoding not in reads:
            raise PayloadNotDecodedError(
                f"A payload is encoded as {encoding[:80]!r}, which neither a configured codec (codecs: "
                f"{configured}) nor the payload converter decodes. Add the codec that wrote it to codecs, or "
                "to decode_only if nothing new shall be written with it; a codec of your own by its import "
                "path, module:name. If workflows take such payloads as they are, add it to raw_encodings"
            )


def _require_encoded_by(codec: NamedCodec, payload: Payload) -> None:
    if encoding_of(payload) not in codec.encodings:
        raise PayloadNotEncryptedError(
            f"A payload would leave in clear (encoding {encoding_of(payload)[:80]!r}): the codec "
            f"{codec.name!r} did not encrypt it, and require_encrypted forbids that"
        )


def _is_a_codecs(encoding: str) -> bool:
    """Whether a codec may have written it. Workflows may hand on what converters of other languages wrote."""
    return encoding.startswith("binary/") and encoding not in CONVERTERS_ENCODINGS
