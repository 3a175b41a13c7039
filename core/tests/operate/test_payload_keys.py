"""The keys of a payload: those of all its layers, and of what it refers to."""

import asyncio

import pytest
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._operate.payload_keys import PayloadKeys
from temporal_payloads._storage.references import MARKER, Reference
from temporal_payloads.plugin import (
    KeyUnavailableError,
    PayloadNotFoundError,
    PerPayloadCodec,
    StorageUnavailableError,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, StorageDriver, StorageDriverClaim, WithSerializationContext

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b"1")


class Locks(PerPayloadCodec):
    """Puts payloads into a payload that names a key; it opens those whose key it has."""

    def __init__(self, *keys):
        self.keys_here = keys

    def encode_payload(self, payload):
        return locked(payload, self.keys_here[0])

    def decode_payload(self, payload):
        key = self.key_of(payload)
        if key == "refused":
            raise KeyUnavailableError("the key's provider refuses")
        return Payload.FromString(payload.data) if key in self.keys_here else payload

    def key_of(self, payload):
        return payload.metadata["key"].decode() if payload.metadata.get("encoding") == b"locked" else None


class Wraps(PerPayloadCodec):
    """Puts payloads into a payload."""

    def encode_payload(self, payload):
        return wrapped(payload)

    def decode_payload(self, payload):
        return Payload.FromString(payload.data) if payload.metadata.get("encoding") == b"wrapped" else payload


def locked(payload, key):
    return Payload(metadata={"encoding": b"locked", "key": key.encode()}, data=payload.SerializeToString())


def wrapped(payload):
    return Payload(metadata={"encoding": b"wrapped"}, data=payload.SerializeToString())


class Shelf(StorageDriver):
    """A store that counts, and can be made to wait or to fail."""

    def __init__(self):
        self.payloads = {}
        self.reads = []
        self.at_once = self.most_at_once = 0
        self.failure = None

    def name(self):
        return "shelf"

    def type(self):
        return "shelf"

    async def store(self, context, payloads):
        raise NotImplementedError

    def put(self, name, payload, size=0):
        """Keep a payload, and return what refers to it."""
        self.payloads[name] = payload
        return Reference("shelf", StorageDriverClaim(claim_data={"key": name}), size).to_payload()

    async def retrieve(self, context, claims):
        [claim] = claims
        self.reads.append(claim.claim_data["key"])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if self.failure:
            raise self.failure
        return [self.payloads[claim.claim_data["key"]]]


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def make(shelf):
    def make(codecs=None, decode_only=(), concurrency=8, **options):
        codecs = [Wraps(), Locks("a", "b")] if codecs is None else codecs
        chain = CodecChain(
            [named(f"codec-{number}", codec) for number, codec in enumerate(codecs)],
            decode_only=[named(f"old-{number}", codec) for number, codec in enumerate(decode_only)],
            require_encrypted=options.pop("require_encrypted", False),
            raw_encodings=options.pop("raw_encodings", ()),
            converter_reads=options.pop("converter_reads", None),
        )
        return PayloadKeys(chain, [shelf], concurrency=concurrency, **options)

    return make


def named(name, codec):
    if isinstance(codec, Locks):
        return NamedCodec(name, codec, frozenset({"locked"}), "encrypt")
    return NamedCodec(name, codec, frozenset({"wrapped"}))


@pytest.fixture
def keys_of(make):
    """Return the keys of a payload, and the name of the error."""

    async def keys_of(payload, payload_keys=None):
        found = await (payload_keys or make()).reader("orders", "w").keys_of(payload)
        return found.ids, type(found.error).__name__ if found.error else None

    return keys_of


async def test_what_workers_take_as_it_is_needs_none_and_what_they_refuse_may_need_any(keys_of, make):
    payload = Payload(metadata={"encoding": b"binary/acme-proxy"}, data=b"data")
    reads = frozenset({"json/plain"})
    raw = make(raw_encodings=["binary/acme-proxy"], converter_reads=reads)
    assert await keys_of(payload, raw) == ((), None)
    assert await keys_of(payload, make(converter_reads=reads)) == ((), "PayloadNotDecodedError")


async def test_what_is_in_clear_has_none(keys_of, make):
    assert await keys_of(PLAIN) == ((), None)
    assert await keys_of(wrapped(PLAIN)) == ((), None)
    assert await keys_of(PLAIN, make([])) == ((), None)
    # The tool counts what is there; it does not enforce what new payloads must be.
    assert await keys_of(PLAIN, make(require_encrypted=True)) == ((), None)


async def test_the_key_of_the_layer_that_is_encrypted(keys_of):
    assert await keys_of(locked(wrapped(PLAIN), "a")) == (("a",), None)
    assert await keys_of(locked(PLAIN, "b")) == (("b",), None)


async def test_a_layer_under_others_is_found(keys_of, make):
    under = wrapped(locked(PLAIN, "a"))
    assert await keys_of(under, make([Locks("a"), Wraps()])) == (("a",), None)
    assert await keys_of(under, make([Wraps()], decode_only=[Locks("a")])) == (("a",), None)
    assert await keys_of(under, make([], decode_only=[Locks("a"), Wraps()])) == (("a",), None)


async def test_of_two_encrypted_layers_both_keys_count(keys_of, make):
    twice = locked(locked(PLAIN, "a"), "b")
    assert await keys_of(twice, make([Locks("a", "b")], decode_only=[Locks("a", "b")])) == (("b", "a"), None)
    # One codec takes one layer off, and sees what is below.
    assert await keys_of(twice, make([Locks("a", "b")])) == (("b", "a"), "PayloadNotDecodedError")


async def test_a_key_that_is_not_here_counts_and_what_is_below_is_not_known(keys_of):
    assert await keys_of(locked(PLAIN, "other")) == (("other",), "PayloadNotDecodedError")
    assert await keys_of(locked(PLAIN, "refused")) == (("refused",), "KeyUnavailableError")


async def test_what_no_codec_decodes_is_told(keys_of, make):
    assert await keys_of(wrapped(PLAIN), make([Locks("a")])) == ((), None)  # nobody says what it is
    known = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"x"}, data=b"...")
    assert await keys_of(known, make([Wraps()])) == ((), "PayloadNotDecodedError")


async def test_the_keys_of_a_stored_payload_are_those_of_what_refers_to_it(keys_of, make, shelf):
    assert await keys_of(shelf.put("one", locked(PLAIN, "a"))) == (("a",), None)
    assert await keys_of(shelf.put("clear", PLAIN)) == ((), None)
    assert await keys_of(shelf.put("two", locked(PLAIN, "other"))) == (("other",), "PayloadNotDecodedError")


async def test_a_reference_that_went_through_the_codecs_needs_its_own_key_too(keys_of, shelf):
    reference = locked(wrapped(shelf.put("one", locked(PLAIN, "a"))), "b")
    reference.metadata[MARKER] = b"true"
    assert await keys_of(reference) == (("b", "a"), None)


async def test_a_stored_payload_is_fetched_once(make, shelf):
    payload_keys = make()
    reference = shelf.put("one", locked(PLAIN, "a"))
    readers = [payload_keys.reader("orders", f"w-{number}") for number in range(20)]
    found = await asyncio.gather(*(reader.keys_of(reference) for reader in readers))
    found += await asyncio.gather(*(reader.keys_of(reference) for reader in readers))
    assert {one.ids for one in found} == {("a",)}
    assert shelf.reads == ["one"]
    # Elsewhere it may be bound to another namespace.
    await payload_keys.reader("billing", "w").keys_of(reference)
    assert shelf.reads == ["one", "one"]


async def test_what_failed_is_tried_again(make, shelf, keys_of):
    payload_keys = make()
    reference = shelf.put("one", locked(PLAIN, "a"))
    shelf.failure = StorageUnavailableError("down")
    assert await keys_of(reference, payload_keys) == ((), "StorageUnavailableError")
    shelf.failure = None
    assert await keys_of(reference, payload_keys) == (("a",), None)


async def test_what_cannot_be_fetched_is_told(keys_of, shelf):
    reference = shelf.put("one", PLAIN)
    shelf.failure = PayloadNotFoundError("gone")
    assert await keys_of(reference) == ((), "PayloadNotFoundError")
    elsewhere = Reference("attic", StorageDriverClaim(claim_data={}), 0).to_payload()
    assert await keys_of(elsewhere) == ((), "UnknownDriverError")


async def test_fetches_at_the_same_time_are_bounded_in_number(make, shelf):
    reader = make(concurrency=3).reader("orders", "w")
    references = [shelf.put(str(number), PLAIN) for number in range(12)]
    await asyncio.gather(*map(reader.keys_of, references))
    assert shelf.most_at_once == 3


async def test_fetches_at_the_same_time_are_bounded_in_bytes(make, shelf):
    reader = make(room=100).reader("orders", "w")
    references = [shelf.put(str(number), PLAIN, size=40) for number in range(10)]
    # Larger than all the room: it is alone then.
    references.append(shelf.put("large", PLAIN, size=1000))
    found = await asyncio.gather(*map(reader.keys_of, references))
    assert [one.error for one in found] == [None] * 11
    assert shelf.most_at_once == 2


async def test_a_key_id_is_cut_where_it_says_too_much(keys_of):
    [key] = (await keys_of(locked(PLAIN, "x" * 10_000)))[0]
    assert len(key) == 2048


async def test_codecs_decode_in_the_context_of_the_workflow(make):
    seen = []

    class Sees(PayloadCodec, WithSerializationContext):
        def with_context(self, context):
            seen.append((context.namespace, context.workflow_id))
            return self

        async def encode(self, payloads):
            raise NotImplementedError

        async def decode(self, payloads):
            return list(payloads)

    await make([Sees()]).reader("orders", "w-1").keys_of(PLAIN)
    assert seen == [("orders", "w-1")]
