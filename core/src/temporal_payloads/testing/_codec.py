"""What every codec plugin must do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._plugins.contract import CodecContext, CodecPlugin
from temporal_payloads._plugins.keys import KeyProvider
from temporal_payloads._plugins.kinds import KindName
from temporal_payloads._storage.errors import PayloadTooLargeError, StorageError
from temporal_payloads.testing._plugin import PluginConformance, secrets_in
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._samples import SIZES, a_payload, assorted_payloads, require_same, same
from temporal_payloads.testing._watching import all_that_is_said, require_cancellation

LARGE = 8 * 1024 * 1024


class CodecConformance(PluginConformance):
    """Subclass it, name the entry point, and give two fixtures: `plugin` and `settings`.

    `plugin` is the `CodecPlugin`; `settings` an instance of its settings model.
    """

    kind: ClassVar[KindName] = "codec"
    deterministic: ClassVar[bool] = True
    """Whether equal payloads encode to equal bytes, to be stored once. Encryption with a nonce: False."""

    @broken_by("encoding the data alone, which loses the metadata, or bytes that became text on the way.")
    def test_what_was_encoded_is_decoded(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """Any payload comes back as it was, with its metadata."""

        async def story(codec: PayloadCodec) -> None:
            for given, expected in zip(assorted_payloads(), assorted_payloads(), strict=True):
                require_same(await codec.decode(await codec.encode([given])), [expected])

        run(plugin, settings, story)

    @broken_by("results taken in the order in which threads end, or sorted, or a payload left out.")
    def test_payloads_stay_in_order(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """One is encoded, and decoded, to one, in its place."""

        async def story(codec: PayloadCodec) -> None:
            payloads = assorted_payloads()[::-1]  # the largest first: they take longest
            encoded = await codec.encode(assorted_payloads()[::-1])
            require_same(await codec.decode(encoded), payloads)
            require_same(await codec.decode(encoded[::-1]), payloads[::-1])

        run(plugin, settings, story)

    @pytest.mark.parametrize("size", SIZES)
    @broken_by("a fast path for small or large payloads that was never tried.")
    def test_a_payload_of_any_size_is_encoded_by_itself(
        self, plugin: CodecPlugin[Any], settings: BaseModel, size: int
    ) -> None:
        """What is done in place or in a thread is done right at every size."""

        async def story(codec: PayloadCodec) -> None:
            require_same(await codec.decode(await codec.encode([a_payload(15, size)])), [a_payload(15, size)])

        run(plugin, settings, story)

    @broken_by("taking any payload with the codec's own encoding for one that needs no encoding.")
    def test_what_was_encoded_twice_is_decoded_twice(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """A payload that is encoded already is a payload like any other: to encode it is no special case."""

        async def story(codec: PayloadCodec) -> None:
            once = await codec.encode(assorted_payloads())
            twice = await codec.encode(once)
            for payload, its, again in zip(assorted_payloads(), once, twice, strict=True):
                # What was left alone the second time is decoded by one decoding.
                decoded = await codec.decode([again])
                require_same(decoded, [payload] if again == its else [its])

        run(plugin, settings, story)

    @broken_by("`max()` or an index of an empty list.")
    def test_no_payloads_are_no_work(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """The SDK asks for that too."""

        async def story(codec: PayloadCodec) -> None:
            assert list(await codec.encode([])) == []
            assert list(await codec.decode([])) == []

        run(plugin, settings, story)

    @broken_by(
        "metadata that is copied from the payload after `encoding` was set, or `encodings` that was "
        "not kept up."
    )
    def test_encoded_payloads_carry_an_encoding_that_the_plugin_declares(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """By it, core tells a payload that was left encoded from one that is in the clear."""
        assert plugin.encodings, "it declares none"
        declared = {encoding.encode() for encoding in plugin.encodings}

        async def story(codec: PayloadCodec) -> None:
            encoded = await codec.encode(assorted_payloads())
            changed = [new for new, old in zip(encoded, assorted_payloads(), strict=True) if new != old]
            assert changed, "the codec changed none of the payloads"
            others = {payload.metadata.get("encoding", b"none") for payload in changed} - declared
            assert not others, f"it wrote {sorted(others)}, and declares {sorted(declared)}"

        run(plugin, settings, story)

    @broken_by("a `decode` that does not look at `encoding`, or raises for one that it does not know.")
    def test_payloads_of_others_pass_through_decoding(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """Histories hold payloads from before the codec was configured, and from other codecs."""

        async def story(codec: PayloadCodec) -> None:
            foreign = [
                *assorted_payloads(),
                Payload(metadata={"encoding": b"binary/foreign"}, data=b"\x1f\x8b"),
            ]
            require_same(await codec.decode(foreign), foreign)

        run(plugin, settings, story)

    @broken_by("changing `payload.data` in place, in place of making a `Payload`.")
    def test_payloads_are_not_changed(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """Encoding and decoding give new payloads; those that were given are the caller's."""

        async def story(codec: PayloadCodec) -> None:
            given = assorted_payloads()
            encoded = await codec.encode(given)
            require_same(given, assorted_payloads())
            before = [Payload.FromString(payload.SerializeToString()) for payload in encoded]
            await codec.decode(encoded)
            require_same(encoded, before)

        run(plugin, settings, story)

    @broken_by(
        "a time stamp (gzip's header), a counter, a nonce, or `SerializeToString()` without "
        "`deterministic=True`."
    )
    def test_equal_payloads_are_encoded_equally(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """Then a store keeps them once. A codec of which this is not true sets `deterministic` to False."""

        async def story(codec: PayloadCodec) -> None:
            encoded = await codec.encode(assorted_payloads())
            again = await make(plugin, settings).encode(assorted_payloads())
            equal = same(encoded, again)
            assert equal == self.deterministic, (
                "equal payloads became equal bytes, so `deterministic` can be left at True"
                if equal
                else "equal payloads became different bytes"
            )

        run(plugin, settings, story)

    @broken_by(
        "no checksum, or the errors of zlib, struct or protobuf let through: raise "
        "`PayloadIntegrityError` from them."
    )
    def test_corrupted_data_is_told(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """With a `StorageError`, and never as another payload than was encoded."""

        async def story(codec: PayloadCodec) -> None:
            for payload in assorted_payloads():
                (encoded,) = await codec.encode([payload])
                if encoded == payload:
                    continue
                for corrupted in corruptions(encoded):
                    try:
                        decoded = await codec.decode([corrupted])
                    except StorageError:
                        continue
                    assert same(decoded, [payload]), "corrupted data was decoded to another payload"

        run(plugin, settings, story)

    @broken_by("decompressing all at once, and looking at the size afterwards or never.")
    def test_what_would_expand_beyond_the_limit_is_refused(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """A codec whose output may be smaller than its input has a setting `max_decoded_size`."""
        bomb = Payload(metadata={"encoding": b"binary/plain"}, data=b"\0" * LARGE)

        async def story(codec: PayloadCodec) -> None:
            (encoded,) = await codec.encode([bomb])
            if len(encoded.data) >= len(bomb.data):
                return
            assert "max_decoded_size" in type(settings).model_fields
            limited = make(plugin, settings.model_copy(update={"max_decoded_size": LARGE // 2}))
            with pytest.raises(PayloadTooLargeError):
                await limited.decode([encoded])

        run(plugin, settings, story)

    @broken_by("doing the work in `encode` itself: derive from `PerPayloadCodec`, or use `run_off_loop`.")
    def test_large_payloads_do_not_stop_the_event_loop(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """While a large payload is encoded or decoded, other tasks of the loop go on."""
        large = Payload(metadata={"encoding": b"binary/plain"}, data=bytes(range(256)) * (LARGE // 256))

        async def story(codec: PayloadCodec) -> None:
            turns = 0

            async def others() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            going_on = asyncio.create_task(others())
            await asyncio.sleep(0)
            before = turns
            encoded = await codec.encode([large])
            assert turns > before, "no other task had a turn while it was encoded"
            before = turns
            await codec.decode(encoded)
            assert turns > before, "no other task had a turn while it was decoded"
            going_on.cancel()

        run(plugin, settings, story)

    @broken_by("a compressor, buffer or cipher that is kept on the codec, or an asyncio lock.")
    def test_one_codec_serves_several_threads(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """Each with an event loop of its own, at the same time."""
        codec = make(plugin, settings)
        failures: list[BaseException] = []
        together = threading.Barrier(4, timeout=60)

        async def story() -> None:
            together.wait()
            for _ in range(5):
                require_same(await codec.decode(await codec.encode(assorted_payloads())), assorted_payloads())

        def in_thread() -> None:
            try:
                asyncio.run(story())
            except BaseException as error:  # noqa: BLE001  # told by the test's own thread
                together.abort()
                failures.append(error)

        threads = [threading.Thread(target=in_thread) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            if not isinstance(failure, threading.BrokenBarrierError):
                raise failure

    @broken_by("`except BaseException` or a bare `except` around the work: catch `Exception`.")
    def test_a_call_that_is_cancelled_ends_as_cancelled(
        self, plugin: CodecPlugin[Any], settings: BaseModel
    ) -> None:
        """At whatever moment, and neither with an error nor with what is encoded by halves."""

        async def story(codec: PayloadCodec) -> None:
            encoded = await codec.encode(assorted_payloads())
            await require_cancellation(lambda _: codec.encode(assorted_payloads()))
            await require_cancellation(lambda _: codec.decode(encoded))

        run(plugin, settings, story)

    @broken_by("a dataclass whose `repr` has the key, or an error that quotes the settings.")
    def test_the_codec_shows_no_secret(self, plugin: CodecPlugin[Any], settings: BaseModel) -> None:
        """Neither `repr` of it, nor errors and logs, at the level DEBUG too."""

        async def story(codec: PayloadCodec) -> None:
            said.note("repr(codec)", repr(codec))
            for payload in assorted_payloads()[:5]:
                (encoded,) = await codec.encode([payload])
                for corrupted in corruptions(encoded):
                    with said.errors("decode"):
                        await codec.decode([corrupted])

        with all_that_is_said() as said:
            run(plugin, settings, story)
        said.require_none_of(secrets_in(settings))


def make(plugin: CodecPlugin[Any], settings: BaseModel) -> PayloadCodec:
    """Make the codec as core does."""
    return plugin.make(settings, CodecContext(place="codec.NAME", key_provider=_no_key_provider))


def _no_key_provider(key: str) -> KeyProvider:
    raise ConfigurationError(Problem(f"the conformance kit has no key provider for {key!r}"))


def run(
    plugin: CodecPlugin[Any], settings: BaseModel, story: Callable[[PayloadCodec], Awaitable[None]]
) -> None:
    """Tell the story of one codec in an event loop of its own."""

    async def main() -> None:
        codec = make(plugin, settings)
        assert isinstance(codec, PayloadCodec)
        await story(codec)

    asyncio.run(main())


def corruptions(payload: Payload) -> Iterator[Payload]:
    """Yield copies of an encoded payload whose data was truncated, overwritten, lengthened or swapped."""
    data = payload.data
    middle, end = len(data) // 2, len(data)
    positions = sorted({0, 1, 2, 3, 9, 10, 11, 12, middle, end - 9, end - 5, end - 1} & set(range(end)))
    damaged = [data[:position] for position in positions]
    damaged += [data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :] for at in positions]
    damaged += [data + b"\0", data + data, data[::-1], b"garbage"]
    for each in damaged:
        corrupted = Payload()
        corrupted.CopyFrom(payload)
        corrupted.data = each
        yield corrupted
