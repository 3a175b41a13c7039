"""Where the work is done: no event loop waits for encryption."""

import threading

import pytest
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporal_payloads_encryption_codec import _sealing as sealing

ONE = bytes([1]) * 32


@pytest.fixture
def workers(monkeypatch):
    """The threads in which payloads are encrypted and decrypted."""
    threads = []
    seal, unseal = sealing.Sealing._seal, sealing._unseal

    def watched(work):
        def run(*arguments):
            threads.append(threading.current_thread())
            return work(*arguments)

        return run

    monkeypatch.setattr(sealing.Sealing, "_seal", watched(seal))
    monkeypatch.setattr(sealing, "_unseal", watched(unseal))
    return threads


@pytest.mark.parametrize(
    ("count", "size", "in_place"),
    [(1, 100, True), (10, 100, True), (1, 300_000, True), (1, 3_000_000, False), (1_000, 100, False)],
)
async def test_what_takes_long_is_done_in_a_thread(make_payload, workers, count, size, in_place):
    codec = EncryptionCodec(KeyRing.of({"a": ONE}, "a"))
    payloads = [make_payload(size) for _ in range(count)]
    assert await codec.decode(await codec.encode(payloads)) == payloads
    assert {thread is threading.main_thread() for thread in workers} == {in_place}
    assert len(workers) == 2 * count


async def test_an_encryption_that_was_interrupted_is_in_nobodys_way(make_payload, monkeypatch):
    """The buffer is used again, which cannot be while somebody still looks into it."""
    codec = EncryptionCodec(KeyRing.of({"a": ONE}, "a"))

    def interrupted(self, nonce, pieces, room):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sealing.Sealing, "_encrypt", interrupted)
        with pytest.raises(KeyboardInterrupt) as kept:
            await codec.encode([make_payload(1000)])
    smaller = [make_payload(100)]
    assert await codec.decode(await codec.encode(smaller)) == smaller
    assert kept.tb is not None
