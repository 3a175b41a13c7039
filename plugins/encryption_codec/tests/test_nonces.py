"""Equal payloads may become equal bytes; different messages never get the same nonce."""

import asyncio
import os
import subprocess
import sys
import threading
import tracemalloc

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import PayloadReaderContext
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporal_payloads_encryption_codec._nonces import (
    MOST_REMEMBERED,
    NonceMemory,
    deterministic_nonce,
    nonce_key,
    nonce_memory,
    nonces,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

ONE, TWO = bytes([1]) * 32, bytes([2]) * 32
URI = "awskms:///alias/orders?region=eu-central-1"
LARGE = 50_000

# Few different ones, close to each other, and such as would be the same if they were only put together.
NEARLY_EQUAL = st.sampled_from(
    [b"", b"\0", b"\0\0", b"a", b"ab", b"b", b"a" * 16, b"a" * 17, b"a" * 32, b"namespace a"]
)
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([nonce_key(ONE), nonce_key(TWO)]),
        st.none() | NEARLY_EQUAL,
        NEARLY_EQUAL | st.binary(max_size=40),
    ),
    max_size=60,
)


def by_nonce(messages, nonce_of):
    """Return what each nonce was used for; no associated data is the same to AES-GCM as empty ones."""
    used: dict[bytes, set[object]] = {}
    for key, beside, plaintext in messages:
        used.setdefault(nonce_of(key, beside, [plaintext]), set()).add((key, beside or b"", plaintext))
    return used


@given(messages=MESSAGES, most=st.integers(1, 60))
@settings(max_examples=300)
def test_no_remembered_nonce_is_given_to_another_message(messages, most):
    used = by_nonce(messages, NonceMemory(most=most).nonce)
    assert [those for those in used.values() if len(those) > 1] == []


@given(messages=MESSAGES)
def test_a_message_has_one_nonce_as_long_as_it_is_remembered(messages):
    used = by_nonce(messages, NonceMemory(most=len(messages) + 1).nonce)
    assert len(used) == len({(key, beside or b"", plaintext) for key, beside, plaintext in messages})


@given(messages=MESSAGES)
def test_a_deterministic_nonce_is_that_of_one_message(messages):
    used = by_nonce(messages, deterministic_nonce)
    assert len(used) == len({(key, beside or b"", plaintext) for key, beside, plaintext in messages})
    assert [those for those in used.values() if len(those) > 1] == []


@given(pieces=st.lists(st.binary(max_size=40), min_size=1, max_size=4), beside=st.none() | NEARLY_EQUAL)
def test_a_nonce_does_not_depend_on_how_the_plaintext_comes_in_pieces(pieces, beside):
    memory = NonceMemory()
    for nonce_of in (memory.nonce, deterministic_nonce):
        assert nonce_of(ONE, beside, pieces) == nonce_of(ONE, beside, [b"".join(pieces)])


def test_a_deterministic_nonce_is_the_same_in_every_release():
    """Else what has been stored would be stored again after an upgrade."""
    assert nonce_key(ONE).hex() == "5d3a3c2147540e62d854800c55b9fca50bb14e7a6fccc73c7f015a1847f186f4"
    assert deterministic_nonce(nonce_key(ONE), None, [b"payload"]).hex() == "09ef3a60f5eb118adb783f83"
    assert deterministic_nonce(nonce_key(ONE), b"namespace", [b"payload"]).hex() == "915b4149fbd437781a7e82a3"


def test_the_nonces_of_two_processes_have_nothing_in_common():
    first, second = NonceMemory(), NonceMemory()
    assert first.nonce(nonce_key(ONE), None, [b"payload"]) != second.nonce(nonce_key(ONE), None, [b"payload"])
    assert first._fingerprint(ONE, None, [b"payload"]) != second._fingerprint(ONE, None, [b"payload"])


def test_the_memory_is_bounded_and_forgets_what_was_used_least_lately():
    memory = NonceMemory(most=3)
    nonces = {name: memory.nonce(ONE, None, [name]) for name in (b"a", b"b", b"c")}
    assert memory.nonce(ONE, None, [b"a"]) == nonces[b"a"]
    memory.nonce(ONE, None, [b"d"])
    assert len(memory) == 3
    assert memory.nonce(ONE, None, [b"a"]) == nonces[b"a"]
    assert memory.nonce(ONE, None, [b"b"]) != nonces[b"b"]


def test_a_full_memory_is_small():
    tracemalloc.start()
    try:
        memory = NonceMemory()
        for number in range(MOST_REMEMBERED + 1000):
            memory.nonce(ONE, None, [number.to_bytes(8, "big")])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(memory) == MOST_REMEMBERED
    assert held < 12_000_000


def test_what_no_store_is_given_takes_no_place_in_the_memory():
    nonce_memory.cache_clear()
    nonce_of, small = nonces(100_000), bytes(90_000)
    assert nonce_of(ONE, None, [small]) != nonce_of(ONE, None, [small])
    assert nonces(None)(ONE, None, [small]) != nonces(None)(ONE, None, [small])
    assert len(nonce_memory()) == 0


@pytest.mark.parametrize("size", [0, 99_900, 100_000])
def test_what_a_store_may_be_given_is_remembered(size):
    nonce_of = nonces(size)
    assert nonce_of(ONE, None, [bytes(size)]) == nonce_of(ONE, None, [bytes(size)])


def test_threads_that_encrypt_the_same_at_the_same_time_agree():
    memory = NonceMemory()
    together = threading.Barrier(4)
    nonces: list[set[bytes]] = [set() for _ in range(200)]

    def work():
        for number, found in enumerate(nonces):
            together.wait()
            found.add(memory.nonce(ONE, None, [number.to_bytes(2, "big")]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {len(found) for found in nonces} == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_a_memory_of_its_own():
    """Whoever held the lock when it was forked is not there to let it go."""
    script = """
import os, sys
from temporal_payloads_encryption_codec._nonces import nonce_memory
parents = nonce_memory()
with parents._lock:
    child = os.fork()
    if child == 0:
        assert nonce_memory() is not parents
        nonce_memory().nonce(bytes(32), None, [bytes(20_000)])
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=120, check=False)
    assert done.returncode == 0


# -- the codec


@pytest.fixture
def local(make):
    """Make a codec with a key that is at hand."""
    return lambda active="a", **more: make(
        active=active, keys={"a": {"env": "KEY_1"}, "b": {"env": "KEY_2"}}, **more
    )


def data_of(payloads):
    return [payload.data for payload in payloads]


async def test_what_is_encrypted_again_in_the_same_process_is_the_same_bytes(local, make_payload):
    payload = make_payload(LARGE)
    first = await local().encode([payload])
    # A converter is often built more than once, for a client and a worker.
    assert data_of(await local().encode([payload])) == data_of(first)
    assert await local().decode(first) == [payload]


async def test_a_payload_that_stays_in_the_history_has_a_new_nonce_each_time(local, payload, make_payload):
    for codec, stays in ((local(), payload), (local(stored_from=None), make_payload(LARGE))):
        assert data_of(await codec.encode([stays])) != data_of(await codec.encode([stays]))


async def test_another_key_is_another_nonce(local, make_payload):
    payload = make_payload(LARGE)
    [one], [other] = await local("a").encode([payload]), await local("b").encode([payload])
    assert one.data[:12] != other.data[:12]


async def test_the_same_id_for_another_key_is_another_nonce(make_payload):
    payload = make_payload(LARGE)
    [[one], [other]] = [
        await EncryptionCodec(KeyRing.of({"same-id": key}, "same-id")).encode([payload]) for key in (ONE, TWO)
    ]
    assert one.data[:12] != other.data[:12]


@pytest.mark.parametrize("deterministic", [False, True])
async def test_another_namespace_to_be_bound_to_is_another_nonce(local, make_payload, deterministic):
    """The same nonce for other associated data would give away the key that authenticates."""
    payload = make_payload(LARGE)
    codec = local(bind="namespace", deterministic=deterministic)
    nonces = []
    for namespace in ("one", "other", "one"):
        context = WorkflowSerializationContext(namespace=namespace, workflow_id="wf")
        [encoded] = await codec.with_context(context).encode([payload])
        nonces.append(encoded.data[:12])
    assert nonces[0] == nonces[2] != nonces[1]
    [unbound] = await local(deterministic=deterministic).encode([payload])
    assert unbound.data[:12] not in nonces


async def test_a_new_data_key_is_a_new_nonce(make, make_payload):
    payload = make_payload(LARGE)
    one, again = make(active=URI), make(active=URI)
    [first], [same], [other] = [await codec.encode([payload]) for codec in (one, one, again)]
    assert first == same
    assert first.metadata["encryption-dek"] != other.metadata["encryption-dek"]
    assert first.data[:12] != other.data[:12]


@pytest.mark.parametrize("size", [0, 100, LARGE, 3_000_000])
async def test_a_deterministic_codec_makes_equal_payloads_equal_bytes_in_every_process(size, make_payload):
    payload = make_payload(size)
    codec = EncryptionCodec(KeyRing.of({"a": ONE}, "a"), deterministic=True)
    [first] = await codec.encode([payload])
    nonce_memory.cache_clear()  # what another process has not
    again = EncryptionCodec(KeyRing.of({"a": ONE}, "a"), deterministic=True)
    assert await again.encode([payload]) == [first]
    # Readers need nothing new.
    assert Payload.FromString(AESGCM(ONE).decrypt(first.data[:12], first.data[12:], None)) == payload
    assert await EncryptionCodec(KeyRing.of({"a": ONE}, "a")).decode([first]) == [payload]


async def test_with_a_providers_key_deterministic_bytes_are_those_of_one_data_key(make, payload):
    one, again = make(active=URI, deterministic=True), make(active=URI, deterministic=True)
    [first], [same], [other] = [await codec.encode([payload]) for codec in (one, one, again)]
    assert first == same
    assert first.data != other.data


async def test_what_a_reader_sees_is_no_context_for_nonces(local, make_payload):
    payload = make_payload(LARGE)
    codec = local(deterministic=True)
    shown = codec.with_context(PayloadReaderContext(namespace="one"))
    assert await shown.encode([payload]) == await codec.encode([payload])


async def test_a_large_payload_is_recognised_off_the_event_loop(local, make_payload):
    codec, payload = local(), make_payload(20_000_000)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    for _ in range(2):
        going_on = asyncio.create_task(others())
        await asyncio.sleep(0)
        before = turns
        await codec.encode([payload])
        assert turns > before + 1
        going_on.cancel()
