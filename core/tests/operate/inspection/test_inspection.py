"""What is in hand while payloads are looked at."""

import asyncio

import pytest
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._operate.inspection.inspection import Inspected, Inspector
from temporal_payloads._storage.references import Reference
from temporal_payloads.plugin import PerPayloadCodec
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverClaim

MIB = 1 << 20


class Hand:
    """Counts the bytes that are in hand, and knows the most there were."""

    def __init__(self):
        self.now = self.most = 0

    def take(self, size):
        self.now += size
        self.most = max(self.most, self.now)

    def drop(self, size):
        self.now -= size


class Bomb(PerPayloadCodec):
    """Makes a MiB of a payload of a few bytes."""

    def __init__(self, hand):
        self.hand = hand

    def encode_payload(self, payload):
        raise NotImplementedError

    def decode_payload(self, payload):
        if payload.metadata["encoding"] != b"bomb":
            return payload
        self.hand.take(MIB)
        return Payload(metadata={"encoding": b"binary/plain"}, data=b"\0" * MIB)


class Locked(PerPayloadCodec):
    """Takes an encryption off, and waits for a key in between until all ask for theirs."""

    def __init__(self, parties):
        self.together = asyncio.Barrier(parties)

    def encode_payload(self, payload):
        raise NotImplementedError

    async def decode(self, payloads):
        async with asyncio.timeout(30):
            await self.together.wait()
        return [Payload(metadata={"encoding": b"binary/plain"}, data=each.data) for each in payloads]

    def decode_payload(self, payload):
        raise NotImplementedError


class Shelf(StorageDriver):
    """Has a MiB under every key."""

    def __init__(self, hand):
        self.hand = hand

    def name(self):
        return "shelf"

    async def store(self, context, payloads):
        raise NotImplementedError

    async def retrieve(self, context, claims):
        self.hand.take(MIB)
        await asyncio.sleep(0)
        return [Payload(metadata={"encoding": b"binary/plain"}, data=b"\0" * MIB)]


@pytest.fixture
def hand():
    return Hand()


def bombs(count):
    return [Payload(metadata={"encoding": b"bomb"}, data=b"boom") for _ in range(count)]


def references(count, size):
    return [Reference("shelf", StorageDriverClaim({"key": str(n)}), size).to_payload() for n in range(count)]


async def inspected(payloads, chain, drivers=(), *, drop=lambda one: None, **options):
    async def numbered():
        for number, payload in enumerate(payloads, 1):
            yield Inspected(number, None, "Test", None, "", payload.ByteSize()), payload

    async def take(one, payload):
        for _ in range(5):  # as a file is written meanwhile
            await asyncio.sleep(0)
        drop(one)

    inspector = Inspector(chain, drivers, "default", take=take, concurrency=8, **options)
    return [one async for one in inspector.inspect(numbered())]


async def test_payloads_that_may_expand_are_decoded_one_after_the_other_whatever_their_size(hand):
    chain = CodecChain([NamedCodec("bomb", Bomb(hand), frozenset({"bomb"}), role="compress")])
    found = await inspected(bombs(20), chain, drop=lambda _: hand.drop(MIB))
    assert [one.state for one in found] == ["inline"] * 20
    assert (hand.most, hand.now) == (MIB, 0)


async def test_what_is_only_encrypted_is_decoded_side_by_side():
    chain = CodecChain([NamedCodec("locked", Locked(4), frozenset({"locked"}), role="encrypt")])
    found = await inspected([Payload(metadata={"encoding": b"locked"}, data=b"1")] * 4, chain)
    assert [one.state for one in found] == ["inline"] * 4


async def test_stored_payloads_are_fetched_side_by_side_as_far_as_there_is_room(hand):
    found = await inspected(
        references(20, MIB + 100), CodecChain(), [Shelf(hand)], drop=lambda _: hand.drop(MIB), room=4 * MIB
    )
    assert [one.state for one in found] == ["intact"] * 20
    assert MIB < hand.most <= 4 * MIB


async def test_a_reference_that_does_not_say_its_size_is_followed_alone(hand):
    await inspected(
        references(20, 0), CodecChain(), [Shelf(hand)], drop=lambda _: hand.drop(MIB), room=4 * MIB
    )
    assert hand.most == MIB


async def test_once_a_reference_has_said_too_little_none_is_believed(hand):
    async def take(one, payload):
        await asyncio.sleep(0)
        hand.drop(MIB)

    inspector = Inspector(CodecChain(), [Shelf(hand)], "default", concurrency=8, room=4 * MIB, take=take)
    payloads = [(Inspected(n, None, "", None, "", 9), each) for n, each in enumerate(references(9, 7))]
    await inspector.look_at(*payloads[0])
    await asyncio.gather(*(inspector.look_at(one, payload) for one, payload in payloads[1:]))
    assert hand.most == MIB


async def test_payloads_of_a_history_are_not_read_far_ahead_if_they_are_large(hand):
    read = []

    async def large():
        for number in range(1, 50):
            read.append(number)
            payload = Payload(metadata={"encoding": b"binary/plain"}, data=b"\0" * MIB)
            yield Inspected(number, None, "Test", None, "", MIB), payload

    inspector = Inspector(CodecChain(), (), "default", concurrency=32, room=4 * MIB)
    told = 0
    async for _ in inspector.inspect(large()):
        told += 1
        assert len(read) - told <= 4
    assert told == 49
