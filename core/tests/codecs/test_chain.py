"""Codecs that are no longer written, payloads that must be encrypted, chains that go on."""

import pytest
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadNotEncryptedError,
    PerPayloadCodec,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec
from temporalio.exceptions import ApplicationError


class Wrapping(PerPayloadCodec):
    """Puts an encoding around a payload."""

    def __init__(self, name):
        self.encoding = f"binary/{name}".encode()

    def encode_payload(self, payload):
        return Payload(metadata={"encoding": self.encoding}, data=payload.SerializeToString())

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != self.encoding:
            return payload
        return Payload.FromString(payload.data)


class Copying(PayloadCodec):
    """Somebody's own codec: it copies what it leaves alone, and nobody knows its encodings."""

    async def encode(self, payloads):
        return [Payload(metadata={"encoding": b"own"}, data=p.SerializeToString()) for p in payloads]

    async def decode(self, payloads):
        return [
            Payload.FromString(p.data if p.metadata["encoding"] == b"own" else p.SerializeToString())
            for p in payloads
        ]


def named(name, role="transform"):
    return NamedCodec(name, Wrapping(name), frozenset({f"binary/{name}"}), role)


def chain(*names, decode_only=(), **options):
    return CodecChain(
        [named(name, "encrypt" if name == "secret" else "transform") for name in names],
        decode_only=[named(name, "encrypt" if name == "secret" else "transform") for name in decode_only],
        **options,
    )


@pytest.fixture
def payload(make_payload):
    return make_payload()


def encoding(payload):
    return payload.metadata["encoding"].decode()


# -- decode_only


@pytest.mark.parametrize(
    "old", [("gone",), ("gone", "a"), ("a", "gone"), ("a", "gone", "b"), ("gone", "a", "b")]
)
async def test_a_codec_that_is_no_longer_written_is_read_in_whatever_layer_it_stands(payload, old):
    now = chain("a", "b", decode_only=["gone"])
    [encoded] = await chain(*old).encode([payload])
    assert await now.decode([encoded]) == [payload]
    assert encoding((await now.encode([payload]))[0]) == "binary/b"


async def test_several_that_are_no_longer_written_are_read_in_any_order(payload):
    now = chain("a", decode_only=["x", "y"])
    for old in [("x", "y"), ("y", "x"), ("x", "a", "y"), ("y", "a", "x")]:
        assert await now.decode(await chain(*old).encode([payload])) == [payload]


async def test_each_takes_one_layer_at_most(payload):
    """What is nested without end is not unwrapped without end."""
    [nested] = await chain("x").encode(await chain("x").encode([payload]))
    with pytest.raises(PayloadNotDecodedError, match="still encoded as 'binary/x'"):
        await chain("a", decode_only=["x"]).decode([nested])


async def test_payloads_of_one_call_may_be_of_different_times(payload):
    now = chain("a", decode_only=["x"])
    given = [payload, *await chain("x").encode([payload]), *await chain("a").encode([payload])]
    assert await now.decode(given) == [payload] * 3


async def test_a_codec_whose_encodings_nobody_knows_can_be_decode_only(payload):
    now = CodecChain([named("a")], decode_only=[NamedCodec("own", Copying())])
    own = await Copying().encode([payload])
    assert await now.decode([*own, *await chain("a").encode(own), payload]) == [payload] * 3


# -- two codecs of one encoding


class WithKey(PerPayloadCodec):
    """Encodes with a key under an encoding that others use too, and knows whose payloads are its own."""

    def __init__(self, key):
        self.key = key

    def encode_payload(self, payload):
        return Payload(
            metadata={"encoding": b"binary/secret", "key": self.key}, data=payload.SerializeToString()
        )

    def decode_payload(self, payload):
        if payload.metadata["encoding"] != b"binary/secret" or payload.metadata.get("key") != self.key:
            return payload
        if payload.data == b"changed":
            raise PayloadIntegrityError("it was changed")
        return Payload.FromString(payload.data)

    def why_left_alone(self, payload):
        return "it has another key"


class CopiedSample(PerPayloadCodec):
    """Takes what bears that encoding for its own, as Temporal's sample does."""

    def encode_payload(self, payload):
        return WithKey(b"theirs").encode_payload(payload)

    def decode_payload(self, payload):
        if payload.metadata["encoding"] == b"binary/secret" and payload.metadata["key"] != b"theirs":
            raise ValueError("unrecognized key id")
        return WithKey(b"theirs").decode_payload(payload)


def ours():
    return NamedCodec("ours", WithKey(b"ours"), frozenset({"binary/secret"}), "encrypt")


def theirs(*encodings):
    return NamedCodec("theirs", CopiedSample(), frozenset(encodings), "encrypt")


@pytest.mark.parametrize("encodings", [(), ("binary/secret",)], ids=["not told", "told"])
@pytest.mark.parametrize("writes", ["ours", "theirs"])
async def test_the_one_that_knows_its_own_payloads_is_asked_first_whichever_writes(
    payload, encodings, writes
):
    both = {"ours": ours(), "theirs": theirs(*encodings)}
    codecs = CodecChain([both.pop(writes)], decode_only=[*both.values()])
    given = [*await ours().codec.encode([payload]), *await theirs().codec.encode([payload]), payload]
    assert await codecs.decode(given) == [payload] * 3


@pytest.mark.parametrize("order", [("a", "theirs"), ("theirs", "b"), ("a", "theirs", "b"), ("b", "theirs")])
async def test_what_that_one_leaves_is_read_in_whatever_layer_it_stands(payload, order):
    now = CodecChain([named("a"), ours(), named("b")], decode_only=[theirs()])
    before = CodecChain([theirs() if name == "theirs" else named(name) for name in order])
    assert await now.decode(await before.encode([payload])) == [payload]


async def test_what_its_own_key_does_not_open_is_an_error_and_no_others_affair():
    changed = Payload(metadata={"encoding": b"binary/secret", "key": b"ours"}, data=b"changed")
    for codecs in (
        CodecChain([ours()], decode_only=[theirs()]),
        CodecChain([theirs("binary/secret")], decode_only=[ours()]),
    ):
        with pytest.raises(PayloadIntegrityError):
            await codecs.decode([changed])


async def test_an_unknown_encoding_is_told_with_all_that_is_configured(make_payload):
    with pytest.raises(
        PayloadNotDecodedError, match=r"codecs: a, x\)\. Add 'zstd' to codecs, or to decode_only"
    ):
        await chain("a", decode_only=["x"]).decode([make_payload(encoding=b"binary/zstd")])


async def test_a_codec_may_say_why_it_left_a_payload_alone(make_payload):
    class Choosy(Wrapping):
        def decode_payload(self, payload):
            return payload

        def why_left_alone(self, payload):
            return f"its key {payload.metadata['key'].decode()!r} is not in the ring"

    codecs = CodecChain([NamedCodec("choosy", Choosy("choosy"), frozenset({"binary/choosy"}))])
    with pytest.raises(
        PayloadNotDecodedError, match="left it alone: its key 'k1' is not in the ring"
    ) as caught:
        await codecs.decode([Payload(metadata={"encoding": b"binary/choosy", "key": b"k1"})])
    assert not caught.value.non_retryable


# -- require_encrypted


async def test_what_is_encrypted_passes_in_whatever_layer(payload):
    codecs = chain("a", "secret", "b", require_encrypted=True)
    assert await codecs.decode(await codecs.encode([payload])) == [payload]


async def test_what_comes_in_clear_is_refused_and_asked_for_again(payload):
    codecs = chain("a", "secret", require_encrypted=True)
    for clear in (payload, *await chain("a").encode([payload])):
        with pytest.raises(PayloadNotEncryptedError, match="came in clear") as caught:
            await codecs.decode([*await codecs.encode([payload]), clear])
        assert not caught.value.non_retryable


async def test_what_an_earlier_codec_encrypted_is_encrypted(payload):
    now = CodecChain([named("new", "encrypt")], decode_only=[named("old", "encrypt")], require_encrypted=True)
    assert await now.decode(await chain("old").encode([payload])) == [payload]


async def test_what_would_leave_in_clear_is_an_error(payload):
    class Lazy(Wrapping):
        def encode_payload(self, payload):
            return payload

    codecs = CodecChain(
        [NamedCodec("lazy", Lazy("lazy"), frozenset({"binary/lazy"}), "encrypt")], require_encrypted=True
    )
    with pytest.raises(PayloadNotEncryptedError, match="would leave in clear"):
        await codecs.encode([payload])


async def test_a_payload_that_no_key_opens_is_told_as_such_and_not_as_clear(payload):
    class Keyless(Wrapping):
        def decode_payload(self, payload):
            return payload

    codecs = CodecChain(
        [NamedCodec("keyless", Keyless("keyless"), frozenset({"binary/keyless"}), "encrypt")],
        require_encrypted=True,
    )
    with pytest.raises(PayloadNotDecodedError):
        await codecs.decode(await codecs.encode([payload]))


async def test_encrypting_is_told_by_the_codecs_that_are_written():
    assert chain("a", "secret").encrypts
    assert not chain("a", decode_only=["secret"]).encrypts


# -- complete


@pytest.mark.parametrize(
    ("have", "then"),
    [([], "ab secret"), (["a"], "b secret"), (["a", "b"], "secret"), (["a", "b", "secret"], "")],
)
async def test_what_some_codecs_have_encoded_is_encoded_by_the_rest(payload, have, then):
    codecs = chain("a", "b", "secret")
    [given] = await chain(*have).encode([payload])
    [completed] = await codecs.complete([given])
    assert encoding(completed) == "binary/secret"
    assert (completed == given) == (not then)
    assert await codecs.decode([completed]) == [payload]


async def test_what_only_says_that_it_is_encrypted_is_neither_passed_on_nor_encrypted_once_more(payload):
    codecs = chain("secret", "a")
    [clear] = await chain("a").encode([payload])
    with pytest.raises(
        PayloadNotEncryptedError, match="'binary/a' a payload is encrypted, but the codec 'secret'"
    ):
        await codecs.complete([payload, clear])


async def test_nor_is_what_no_key_opens_and_the_codec_says_why():
    with pytest.raises(PayloadNotEncryptedError, match="did not open it: it has another key"):
        await CodecChain([ours()]).complete(await theirs().codec.encode([Payload()]))


async def test_what_is_encrypted_is_encoded_by_those_after(payload):
    codecs = chain("secret", "a")
    assert await codecs.complete(await chain("secret").encode([payload])) == await codecs.encode([payload])


async def test_what_is_below_encryption_is_not_looked_at(payload):
    codecs = chain("a", "secret", decode_only=["x"])
    for encoding in (b"binary/a", b"binary/x"):
        done = await chain("secret").encode([Payload(metadata={"encoding": encoding}, data=b"no payload")])
        assert await codecs.complete(done) == done


@pytest.mark.parametrize("role", ["transform", "encrypt"])
async def test_a_codec_whose_encodings_nobody_knows_is_asked_whether_a_payload_is_its_own(payload, role):
    codecs = CodecChain([named("a"), NamedCodec("own", Copying(), role=role), named("b")])
    done = await codecs.encode([payload])
    assert await codecs.complete([*done, payload]) == done * 2
    for half_way in (
        await chain("a").encode([payload]),
        await Copying().encode(await chain("a").encode([payload])),
    ):
        assert await codecs.complete(half_way) == done


async def test_what_another_codec_of_the_same_encoding_has_encrypted_is_encrypted(payload):
    theirs_then = await theirs().codec.encode([payload])
    assert await CodecChain([ours()], decode_only=[theirs()]).complete(theirs_then) == theirs_then


async def test_what_is_only_decoded_counts_as_a_payload_like_any_other(payload):
    codecs = chain("a", "secret", decode_only=["x"])
    [completed] = await codecs.complete(await chain("x").encode([payload]))
    assert encoding(completed) == "binary/secret"
    assert await codecs.decode([completed]) == [payload]


# -- check


async def test_each_codec_that_is_written_is_asked_whether_it_can_work():
    asked = []

    class Telling(Wrapping):
        async def check(self):
            asked.append(self.encoding)

    class Broken(Wrapping):
        async def check(self):
            raise ApplicationError("no key")

    await CodecChain(
        [NamedCodec("a", Telling("a")), named("b")], decode_only=[NamedCodec("c", Telling("c"))]
    ).check()
    assert asked == [b"binary/a"]
    with pytest.raises(ApplicationError, match="no key"):
        await CodecChain([NamedCodec("broken", Broken("broken"))]).check()
