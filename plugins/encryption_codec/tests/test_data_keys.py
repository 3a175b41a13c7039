"""Data keys of a provider's key: made seldom, renewed in the background, opened once."""

import asyncio
import base64
import gc
import logging
import threading
import time
import weakref
from contextvars import ContextVar
from datetime import timedelta

import pytest
from temporal_payloads.plugin import KeyUnavailableError, PayloadIntegrityError, PayloadReaderContext
from temporal_payloads_encryption_codec import EncryptionCodec
from temporal_payloads_encryption_codec._data_keys import (
    FAILURE_REMEMBERED,
    MOST_FAILURES,
    MOST_MESSAGES,
    MOST_UNOPENED,
    RENEWAL_PAUSE,
    DataKeys,
)
from temporal_payloads_encryption_codec._key_ring import KeyRing, ProvidedKey
from temporalio.converter import WorkflowSerializationContext

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


async def test_a_process_that_encrypts_seldom_has_no_data_key_when_the_provider_is_down(
    data_keys, key, vault, clock
):
    """Renewal begins with an encryption, and there was none in time."""
    await data_keys.for_writing(key, 1)
    clock.now += 100
    vault.failure = KeyUnavailableError("down")
    with pytest.raises(KeyUnavailableError, match="down"):
        await data_keys.for_writing(key, 1)


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


async def test_failures_are_remembered_within_a_bound_the_latest_and_what_is_short(key, data_keys, vault):
    vault.failure = PayloadIntegrityError("forged")
    for number in range(MOST_FAILURES + 100):
        with pytest.raises(PayloadIntegrityError):
            await data_keys.for_reading(key, b"%d" % number * 1000)
    assert len(data_keys._failures) == MOST_FAILURES
    assert len(repr(list(data_keys._failures))) < MOST_FAILURES * 250
    vault.asked.clear()
    with pytest.raises(PayloadIntegrityError):
        await data_keys.for_reading(key, b"%d" % number * 1000)
    assert vault.asked == []


async def test_failures_that_are_over_are_not_kept(key, data_keys, vault, clock):
    vault.failure = KeyUnavailableError("refused")
    for number in range(10):
        with pytest.raises(KeyUnavailableError):
            await data_keys.for_reading(key, b"%d" % number)
        clock.now += FAILURE_REMEMBERED / 2
    assert len(data_keys._failures) == 2


async def test_a_failure_that_is_remembered_holds_on_to_nothing(key, data_keys, vault):
    class Secret:
        pass

    held = []

    async def refuse(key):
        secret = Secret()
        held.append(weakref.ref(secret))
        try:
            open_socket()
        except OSError as error:
            raise KeyUnavailableError("refused") from error

    def open_socket():
        raise OSError("the socket is closed")

    vault.make_data_key = refuse
    for _ in range(2):
        with pytest.raises(KeyUnavailableError, match="refused"):
            await data_keys.for_writing(key, 1)
    await settled()
    gc.collect()
    assert [secret() for secret in held] == [None]


class Moment(float):
    """A time that lets other threads run whenever it is looked at."""

    def __add__(self, seconds):
        return Moment(float(self) + seconds)

    def __le__(self, other):
        time.sleep(0)
        return float(self) <= float(other)


def test_threads_that_fail_at_the_same_time_are_told_why(key, vault):
    vault.failure = KeyUnavailableError("refused")
    data_keys = DataKeys(
        duration=timedelta(1), renew_before=timedelta(0), keep_for=timedelta(1), most=3,
        clock=lambda: Moment(time.monotonic()),
    )  # fmt: skip
    errors = []

    async def fail(number):
        for each in range(8):
            try:
                await data_keys.for_reading(key, f"{number} {each}".encode())
            except Exception as error:  # noqa: BLE001  # it is looked at below
                errors.append(error)

    threads = [threading.Thread(target=asyncio.run, args=[fail(number)]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [repr(error) for error in errors] == [repr(vault.failure)] * 24


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


@pytest.fixture
def of_many_processes(key, vault, payload):
    """Encrypt payloads with a data key each."""

    async def encoded(number):
        makers = [EncryptionCodec(KeyRing({URI: key}, URI)) for _ in range(number)]
        made = [(await maker.encode([payload]))[0] for maker in makers]
        vault.asked.clear()
        return made

    return encoded


async def decode_each(reader, encoded):
    """Decode as the codec server does: payloads one by one, some at the same time. Return what failed."""
    ended = await asyncio.gather(*(reader.decode([each]) for each in encoded), return_exceptions=True)
    return [error for error in ended if isinstance(error, Exception)]


@pytest.mark.parametrize(
    "failure",
    [PayloadIntegrityError("no data key"), KeyUnavailableError("another key wrapped it")],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_request_full_of_forged_data_keys_does_not_use_up_the_providers_quota(
    codec, vault, payload, of_many_processes, failure
):
    encoded = await of_many_processes(200)
    vault.failure = failure
    reader = codec.with_context(PayloadReaderContext("orders"))
    errors = []
    for start in range(0, 200, 10):
        errors += await decode_each(reader, encoded[start : start + 10])
    assert len(errors) == 200
    assert len(vault.asked) < MOST_UNOPENED + 10
    assert "was not asked for, since the provider opened none of the" in str(errors[-1])
    # What is known already is read in that request, and the next one asks anew.
    vault.failure = None
    assert await reader.decode(await codec.encode([payload])) == [payload]
    assert not await decode_each(codec.with_context(PayloadReaderContext("orders")), encoded[-50:])


async def test_a_page_from_many_processes_is_read_though_some_data_keys_are_not_opened(
    codec, vault, of_many_processes
):
    encoded = await of_many_processes(300)
    unwrap = vault.unwrap_data_key

    async def often(key, wrapped):
        if wrapped[-1] % 10:
            raise KeyUnavailableError("slow down")
        return await unwrap(key, wrapped)

    vault.unwrap_data_key = often
    reader = codec.with_context(PayloadReaderContext("orders"))
    errors = []
    for each in encoded:
        errors += await decode_each(reader, [each])
    assert {error.message for error in errors} == {"slow down"}
    assert 260 < len(errors) < 280


async def test_one_data_key_that_is_not_opened_does_not_keep_a_page_from_others(
    codec, vault, of_many_processes
):
    lost, *others = await of_many_processes(30)
    unwrap = vault.unwrap_data_key
    lost_key = base64.b64decode(lost.metadata["encryption-dek"])

    async def all_but_one(key, wrapped):
        if wrapped == lost_key:
            raise KeyUnavailableError("lost")
        return await unwrap(key, wrapped)

    vault.unwrap_data_key = all_but_one
    reader = codec.with_context(PayloadReaderContext("orders"))
    assert len(await decode_each(reader, [lost] * 50)) == 50
    assert not await decode_each(reader, others)


async def test_a_worker_asks_on_however_often_the_provider_failed(codec, vault, of_many_processes):
    """It reads for nobody else, and a workflow waits for what it needs."""
    encoded = await of_many_processes(MOST_UNOPENED * 2)
    worker = codec.with_context(WorkflowSerializationContext(namespace="orders", workflow_id="w"))
    vault.failure = KeyUnavailableError("down")
    for each in encoded[:-1]:
        assert len(await decode_each(worker, [each])) == 1
    vault.failure = None
    assert not await decode_each(worker, encoded[-1:])


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


async def test_what_is_asked_for_all_has_nothing_of_the_context_of_the_first(codec, vault, payload, clock):
    span = ContextVar("span", default="none")
    seen = []
    make = vault.make_data_key

    async def traced(key):
        seen.append(span.get())
        return await make(key)

    vault.make_data_key = traced
    span.set("the first")
    await codec.encode([payload])
    clock.now += 90
    await codec.encode([payload])  # renewed in the background
    await settled()
    assert seen == ["none", "none"]


def test_several_loops_share_the_data_keys(codec, vault, payload):
    encoded = []
    for _ in range(3):
        encoded += asyncio.run(codec.encode([payload] * 10))
    # In a thread of its own each, and all at once.
    threads = [
        threading.Thread(target=lambda: encoded.extend(asyncio.run(codec.encode([payload] * 10))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(codec.decode(encoded)) == [payload] * 110
    assert vault.asked == [("make", URI)]
    gc.collect()


async def test_check_has_a_data_key_ready_for_each_key_that_writes(make, vault, payload):
    codec = make(active=URI, keys={"awskms:///old": {}}, namespaces={"a": ["awskms:///a", "awskms:///b"]})
    await codec.check()
    assert [key for what, key in vault.asked if what == "make"] == [URI, "awskms:///a"]
    vault.asked.clear()
    await codec.decode(await codec.encode([payload]))
    assert vault.asked == []
    vault.failure = KeyUnavailableError("refused")
    with pytest.raises(KeyUnavailableError):
        await make(active=URI).check()


async def test_check_tells_that_data_keys_are_made_and_not_opened(make, vault, payload):
    async def refuse(key, wrapped):
        raise KeyUnavailableError("kms:Decrypt is refused")

    codec = make(active=URI)
    await codec.check()
    vault.unwrap_data_key = refuse
    with pytest.raises(KeyUnavailableError, match="kms:Decrypt is refused"):
        await codec.check()
    # The data key is at hand: what goes well without asking goes on.
    assert await codec.decode(await codec.encode([payload])) == [payload]
