"""Codecs one after the other, and codecs that are two functions of one payload."""

import subprocess
import sys
import threading

import pytest
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PerPayloadCodec,
    StorageError,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    PayloadCodec,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

SMALL = 100
LARGE = 600_000


class Tagging(PerPayloadCodec):
    """Puts a tag around the data, and remembers in which threads."""

    def __init__(self, tag="tag"):
        self.tag = tag
        self.threads = {}

    def encode_payload(self, payload):
        self.threads[len(payload.data)] = threading.current_thread()
        return Payload(metadata={"encoding": f"binary/{self.tag}".encode()}, data=payload.SerializeToString())

    def decode_payload(self, payload):
        if payload.metadata.get("encoding") != f"binary/{self.tag}".encode():
            return payload
        self.threads[len(payload.data)] = threading.current_thread()
        if payload.data == b"broken":
            raise PayloadIntegrityError("it is broken")
        return Payload.FromString(payload.data)


def chain(*tags):
    return CodecChain([NamedCodec(tag, Tagging(tag), frozenset({f"binary/{tag}"})) for tag in tags])


# -- codecs of one payload


async def test_small_payloads_are_done_in_place(make_payload):
    codec = Tagging()
    await codec.encode([make_payload(SMALL)])
    assert codec.threads[SMALL] is threading.current_thread()


async def test_large_payloads_are_done_in_other_threads(make_payload):
    codec = Tagging()
    (encoded,) = await codec.encode([make_payload(LARGE)])
    await codec.decode([encoded])
    assert len(codec.threads) == 2
    assert threading.current_thread() not in codec.threads.values()


async def test_many_small_payloads_are_large_work_together(make_payload):
    codec = Tagging()
    await codec.encode([make_payload(SMALL) for _ in range(6000)])
    assert codec.threads[SMALL] is not threading.current_thread()


async def test_what_a_payload_costs_is_for_the_codec_to_say(make_payload):
    class Expanding(Tagging):
        def decode_cost(self, payload):
            return LARGE

    codec = Expanding()
    (encoded,) = await codec.encode([make_payload(SMALL)])
    await codec.decode([encoded])
    assert codec.threads[SMALL] is threading.current_thread()
    assert codec.threads[len(encoded.data)] is not threading.current_thread()


async def test_order_is_kept_whatever_the_sizes(make_payload):
    codec = Tagging()
    sizes = [LARGE + 1, 1, LARGE + 2, 2, 3, LARGE + 3]
    decoded = await codec.decode(await codec.encode([make_payload(size) for size in sizes]))
    assert [len(payload.data) for payload in decoded] == sizes


async def test_a_failure_in_another_thread_is_the_callers(make_payload):
    codec = Tagging()
    broken = Payload(metadata={"encoding": b"binary/tag"}, data=b"broken")
    with pytest.raises(PayloadIntegrityError, match="it is broken"):
        await codec.decode([broken, *await codec.encode([make_payload(LARGE)])])


async def test_no_payloads_are_no_work():
    assert await Tagging().encode([]) == []


# -- chains


async def test_the_first_codec_encodes_first_and_decodes_last(make_payload):
    codecs = chain("inner", "outer")
    (encoded,) = await codecs.encode([make_payload()])
    assert encoded.metadata["encoding"] == b"binary/outer"
    assert Payload.FromString(encoded.data).metadata["encoding"] == b"binary/inner"
    assert await codecs.decode([encoded]) == [make_payload()]


async def test_a_payload_that_no_codec_of_the_chain_encoded_passes(make_payload):
    foreign = make_payload(encoding=b"binary/something-else")
    assert await chain("a", "b").decode([foreign, Payload()]) == [foreign, Payload()]


async def test_payloads_written_before_a_codec_was_added_are_still_read(make_payload):
    (earlier,) = await chain("a").encode([make_payload()])
    assert await chain("a", "b").decode([earlier]) == [make_payload()]


async def test_a_payload_that_was_encoded_in_another_order_is_told(make_payload):
    (encoded,) = await chain("b", "a").encode([make_payload()])
    with pytest.raises(PayloadNotDecodedError, match="still encoded as 'binary/b' after decoding"):
        await chain("a", "b").decode([encoded])


async def test_a_payload_of_another_format_with_the_same_name_is_told_with_its_metadata(make_payload):
    class Picky(Tagging):
        def decode_payload(self, payload):
            return payload if "original_encoding" in payload.metadata else super().decode_payload(payload)

    codecs = CodecChain([NamedCodec("tag", Picky(), frozenset({"binary/tag"}))])
    foreign = Payload(metadata={"encoding": b"binary/tag", "original_encoding": b"json/plain"})
    with pytest.raises(PayloadNotDecodedError, match=r"another project.*original_encoding"):
        await codecs.decode([foreign])


async def test_a_known_encoding_without_its_codec_is_told_with_the_codecs_name(make_payload):
    with pytest.raises(
        PayloadNotDecodedError, match=r"no configured codec decodes \(codecs: a\)\. Add 'gzip' to codecs"
    ) as caught:
        await chain("a").decode([make_payload(encoding=b"binary/gzip")])
    assert isinstance(caught.value, StorageError)
    assert not caught.value.non_retryable


async def test_without_codecs_a_payload_that_needs_one_is_told(make_payload):
    with pytest.raises(PayloadNotDecodedError, match=r"\(codecs: none\)\. Add 'zstd' to codecs"):
        await chain().decode([make_payload(encoding=b"binary/zstd")])


class Final(PayloadCodec):
    """Refuses everything, for good."""

    async def encode(self, payloads):
        raise ApplicationError("refused", type="Refused", non_retryable=True)

    decode = encode


async def test_whatever_a_codec_raises_on_the_way_in_is_retryable(make_payload):
    with pytest.raises(ApplicationError, match="refused") as caught:
        await CodecChain([NamedCodec("final", Final())]).decode([make_payload()])
    assert not caught.value.non_retryable
    assert caught.value.type == "Refused"


async def test_whatever_a_codec_raises_on_the_way_out_is_retryable_in_an_activity_too(make_payload):
    codecs = CodecChain([NamedCodec("final", Final())])
    with pytest.raises(ApplicationError) as in_an_activity:
        await ActivityEnvironment().run(codecs.encode, [make_payload()])
    with pytest.raises(ApplicationError) as elsewhere:
        await codecs.encode([make_payload()])
    assert not in_an_activity.value.non_retryable
    assert not elsewhere.value.non_retryable


async def test_a_codec_that_wants_the_context_gets_it(make_payload):
    class Contextual(PayloadCodec, WithSerializationContext):
        context = None

        def with_context(self, context):
            bound = Contextual()
            bound.context = context
            return bound

        async def encode(self, payloads):
            assert self.context is not None
            return list(payloads)

        async def decode(self, payloads):
            return list(payloads)

    codecs = CodecChain([NamedCodec("plain", Tagging()), NamedCodec("contextual", Contextual())])
    context = WorkflowSerializationContext(namespace="n", workflow_id="w")
    bound = codecs.with_context(context)
    assert await bound.encode([make_payload()])
    assert chain("a").with_context(context).__class__ is CodecChain


async def test_the_sdk_takes_the_chain_for_a_codec(make_payload):
    converter = DataConverter(payload_codec=chain("a", "b"))
    assert await converter.decode(await converter.encode(["hello", 1])) == ["hello", 1]


def test_a_forked_process_has_threads_of_its_own():
    program = (
        "import asyncio, os\n"
        "from temporal_payloads.plugin import run_off_loop\n"
        "async def work(): return await run_off_loop(lambda: 'done', 10**6)\n"
        "assert asyncio.run(work()) == 'done'\n"
        "if child := os.fork():\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "else:\n"
        "    os._exit(asyncio.run(work()) != 'done')\n"
    )
    # Python 3.12 and newer warn of every fork with threads: that is what is tried here.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    subprocess.run(command, check=True, timeout=60)
