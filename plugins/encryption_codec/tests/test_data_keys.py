"""Data keys of a provider's key: made seldom, renewed in the background, opened once."""

import asyncio
import gc
import logging
import threading
from datetime import timedelta

import pytest
from temporal_payloads.plugin import KeyUnavailableError
from temporal_payloads_encryption_codec import EncryptionCodec
from temporal_payloads_encryption_codec._data_keys import (
    FAILURE_REMEMBERED,
    MOST_MESSAGES,
    RENEWAL_PAUSE,
    DataKeys,
)
from temporal_payloads_encryption_codec._key_ring import KeyRing, ProvidedKey

URI = "awskms:///alias/orders"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def data_keys(clock):
    return DataKeys(
        duration=timedelta(seconds=100),
        renew_before=timedelta(seconds=20),
        keep_for=timedelta(seconds=50),
        most=3,
        clock=clock,
    )


@pytest.fixture
def key(vault):
    return ProvidedKey(URI, vault)


@pytest.fixture
def codec(key, data_keys):
    return EncryptionCodec(KeyRing({URI: key}, URI), data_keys=data_keys)


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_workflows_payloads_cost_no_call_each(codec, vault, payload):
    for _ in range(50):
        assert await codec.decode(await codec.encode([payload] * 20)) == [payload] * 20
    assert vault.asked == [("make", URI)]


async def test_a_foreign_data_key_is_opened_once(codec, vault, payload, data_keys, clock):
    encoded = await codec.encode([payload] * 20)
    stranger = EncryptionCodec(codec._ring, data_keys=DataKeys(
        duration=timedelta(1), renew_before=timedelta(0), keep_for=timedelta(seconds=50), most=3, clock=clock
    ))  # fmt: skip
    for _ in range(10):
        assert await stranger.decode(encoded) == [payload] * 20
    assert vault.asked == [("make", URI), ("open", URI)]
    clock.now += 51
    await stranger.decode(encoded)
    assert vault.asked[2:] == [("open", URI)]


async def test_all_who_come_at_once_ask_once(codec, vault, payload):
    await asyncio.gather(*(codec.encode([payload]) for _ in range(100)))
    assert vault.made == 1


async def test_opened_keys_are_kept_within_a_bound(data_keys, key, vault):
    made = [(await vault.make_data_key(URI)).wrapped for _ in range(5)]
    for wrapped in made:
        await data_keys.for_reading(key, wrapped)
    assert len(data_keys._opened) == 3
    vault.asked.clear()
    await data_keys.for_reading(key, made[-1])
    assert vault.asked == []
    await data_keys.for_reading(key, made[0])
    assert vault.asked == [("open", URI)]


async def test_a_data_key_is_renewed_in_the_background(data_keys, key, vault, clock):
    first = await data_keys.for_writing(key, 1)
    clock.now += 79
    assert await data_keys.for_writing(key, 1) is first
    await settled()
    assert vault.made == 1
    clock.now += 2
    assert await data_keys.for_writing(key, 1) is first  # nobody waits
    await settled()
    assert vault.made == 2
    assert await data_keys.for_writing(key, 1) is not first


async def test_an_old_data_key_never_writes(data_keys, key, vault, clock):
    first = await data_keys.for_writing(key, 1)
    clock.now += 100
    assert await data_keys.for_writing(key, 1) is not first


async def test_a_data_key_that_has_written_much_is_renewed(data_keys, key, vault):
    first = await data_keys.for_writing(key, MOST_MESSAGES)
    await data_keys.for_writing(key, 1)
    await settled()
    assert await data_keys.for_writing(key, 1) is not first


async def test_while_the_provider_is_down_the_present_key_writes_to_its_end(
    data_keys, key, vault, clock, caplog
):
    first = await data_keys.for_writing(key, 1)
    vault.failure = KeyUnavailableError("down")
    clock.now += 85
    with caplog.at_level(logging.WARNING, "temporal_payloads"):
        for _ in range(10):
            assert await data_keys.for_writing(key, 1) is first
            await settled()
    assert len(caplog.messages) == 1
    assert "could not be renewed. The present one writes for another 15 s" in caplog.messages[0]
    clock.now += RENEWAL_PAUSE
    await data_keys.for_writing(key, 1)
    await settled()
    assert vault.asked.count(("make", URI)) == 3
    clock.now += 10
    with pytest.raises(KeyUnavailableError, match="down"):
        await data_keys.for_writing(key, 1)
    vault.failure = None
    clock.now += FAILURE_REMEMBERED
    assert await data_keys.for_writing(key, 1) is not first


async def test_a_failure_is_remembered_briefly(codec, vault, payload, clock):
    vault.failure = KeyUnavailableError("refused")
    errors = await asyncio.gather(*(codec.encode([payload]) for _ in range(50)), return_exceptions=True)
    with pytest.raises(KeyUnavailableError, match="refused"):
        await codec.encode([payload])
    assert {str(error) for error in errors} == {"KeyUnavailableError: refused"}
    assert len({id(error) for error in errors}) == 50
    assert vault.asked == [("make", URI)]
    clock.now += FAILURE_REMEMBERED
    vault.failure = None
    assert await codec.encode([payload])


async def test_a_data_key_of_another_length_is_told(codec, vault, payload):
    async def short(key):
        made = await type(vault).make_data_key(vault, key)
        return type(made)(plaintext=made.plaintext[:16], wrapped=made.wrapped)

    vault.make_data_key = short
    with pytest.raises(KeyUnavailableError, match="128 bits; AES-256 takes 256"):
        await codec.encode([payload])


@pytest.mark.parametrize("text", [b"no base64!", b"A" * 20_000])
async def test_what_is_no_wrapped_key_asks_nobody(codec, vault, payload, text):
    [encoded] = await codec.encode([payload])
    vault.asked.clear()
    encoded.metadata["encryption-dek"] = text
    with pytest.raises(Exception, match="no wrapped data key in base64"):
        await codec.decode([encoded])
    assert vault.asked == []


async def test_a_payload_cannot_make_us_ask_for_a_key_that_is_not_in_the_ring(codec, vault, payload):
    [encoded] = await codec.encode([payload])
    vault.asked.clear()
    encoded.metadata["encryption-key-id"] = b"awskms:///alias/somebody-elses"
    assert await codec.decode([encoded]) == [encoded]
    assert vault.asked == []


async def test_whoever_gives_up_waiting_leaves_the_answer_to_the_others(codec, vault, payload):
    asked, answer = asyncio.Event(), asyncio.Event()
    make = vault.make_data_key

    async def slow(key):
        asked.set()
        await answer.wait()
        return await make(key)

    vault.make_data_key = slow
    impatient, patient = (asyncio.create_task(codec.encode([payload])) for _ in range(2))
    await asked.wait()
    impatient.cancel()
    answer.set()
    assert await codec.decode(await patient) == [payload]
    with pytest.raises(asyncio.CancelledError):
        await impatient


def test_several_loops_share_the_data_keys(codec, vault, payload):
    encoded = []
    threads = [
        threading.Thread(target=lambda: encoded.extend(asyncio.run(codec.encode([payload] * 10))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(codec.decode(encoded)) == [payload] * 80
    assert vault.made <= 8
    gc.collect()


async def test_check_has_a_data_key_ready_for_each_key_that_writes(make, vault):
    codec = make(active=URI, keys={"awskms:///old": {}}, namespaces={"a": ["awskms:///a", "awskms:///b"]})
    await codec.check()
    assert vault.asked == [("make", URI), ("make", "awskms:///a")]
    vault.failure = KeyUnavailableError("refused")
    with pytest.raises(KeyUnavailableError):
        await make(active=URI).check()
