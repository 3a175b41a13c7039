"""Limits: each is a setting, and named in the error of a request that exceeds it."""

import asyncio
import gzip
import logging
import os
import weakref

import pytest
from aiohttp import ClientPayloadError
from temporal_payloads import open_data_converter
from temporal_payloads._settings.codec_server import LimitSettings
from temporal_payloads.codec_server._limits import Limits
from temporal_payloads.plugin import PayloadTooLargeError
from temporal_payloads_gzip_codec import GzipCodec
from temporalio.api.common.v1 import Payload


def limits(**values):
    return {"limits": values}


async def test_the_size_of_a_request(serve, make):
    api = await serve(limits(request_size=1000))
    status, code, message = await api.error("decode", [make.plain("x" * 1000)])
    assert (status, code) == (413, "limit_exceeded")
    assert "codec_server.limits.request_size" in message
    assert await api.payloads("decode", [make.plain("x")])


async def test_the_size_of_a_request_that_does_not_announce_it(serve):
    async def body():
        for _ in range(100):
            yield b" " * 100

    api = await serve(limits(request_size=1000))
    status, _, message = await api.error("decode", body=body())
    assert status == 413
    assert "request_size" in message


async def test_the_size_of_a_compressed_request_counts_when_it_is_expanded(serve):
    api = await serve(limits(request_size=10_000))
    status, _, message = await api.error(
        "decode", body=gzip.compress(b" " * 1_000_000), headers={"Content-Encoding": "gzip"}
    )
    assert status == 413
    assert "request_size" in message


async def test_the_number_of_payloads(serve, make):
    api = await serve(limits(payloads=3))
    assert len(await api.payloads("decode", [make.plain(1)] * 3)) == 3
    status, _, message = await api.error("decode", [make.plain(1)] * 4)
    assert status == 413
    assert "codec_server.limits.payloads" in message


@pytest.mark.parametrize("operation", ["decode", "download"])
async def test_the_size_of_a_response(serve, make, store, operation):
    api = await serve(limits(response_size=10_000))
    references = [await store.put(make.flipped(make.plain(str(n) * 4000))) for n in range(3)]
    assert len(await api.payloads(operation, references[:2])) == 2
    status, code, message = await api.error(operation, references)
    assert (status, code) == (413, "limit_exceeded")
    assert "codec_server.limits.response_size" in message


async def test_the_size_of_a_response_stops_expansion_before_all_of_it_was_done(serve, make):
    api = await serve(limits(response_size=10_000))
    bombs = [make.flipped(make.plain("x" * 6000))] * 900
    status, _, message = await api.error("decode", bombs)
    assert status == 413
    assert "response_size" in message


async def test_one_reference_forty_times_is_fetched_once(serve, make, store):
    api = await serve()
    large = make.plain("x" * 5000)
    reference = await store.put(make.flipped(large))
    assert await api.payloads("decode", [reference] * 40) == [large] * 40
    assert list(store.reads.values()) == [1]


async def test_one_reference_forty_times_is_bounded(serve, make, store):
    # The sample makes 37 MB of it. The defaults do not.
    api = await serve()
    reference = await store.put(make.flipped(make.plain(os.urandom(460_000).hex())))
    status, code, message = await api.error("decode", [reference] * 40)
    assert (status, code) == (413, "limit_exceeded")
    assert "codec_server.limits.response_size" in message
    assert list(store.reads.values()) == [1]


@pytest.mark.parametrize("operation", ["decode", "download"])
async def test_the_decompressed_size(serve, make, store, operation):
    api = await serve(limits(decompressed_size=10_000))
    bomb = make.flipped(make.plain("x" * 20_000))
    sent = bomb if operation == "decode" else await store.put(bomb)
    status, code, message = await api.error(operation, [sent])
    assert (status, code) == (413, "limit_exceeded")
    assert "codec_server.limits.decompressed_size" in message
    assert "payloads[0]" in message


async def test_the_decompressed_size_holds_while_a_payload_is_being_expanded(serve, make):
    api = await serve(limits(decompressed_size=1_000_000), codecs=["gzip"])
    [bomb] = await GzipCodec().encode([make.plain("x" * 100_000_000)])
    assert bomb.ByteSize() < 1_000_000
    status, _, message = await api.error("decode", [bomb])
    assert status == 413
    assert "codec_server.limits.decompressed_size" in message


async def test_the_time_of_a_request(serve, make, store):
    api = await serve(limits(request_time="200ms"))
    reference = await store.put(make.flipped(make.plain(1)))
    store.held.clear()
    status, code, message = await api.error("download", [reference])
    assert (status, code) == (503, "busy")
    assert "codec_server.limits.request_time" in message


async def test_concurrent_storage_reads_wait_their_turn_and_then_give_up(serve, make, store):
    api = await serve(limits(concurrent_reads=1, request_time="500ms"))
    first = await store.put(make.flipped(make.plain(1)))
    second = await store.put(make.flipped(make.plain(2)))
    store.held.clear()
    reading = asyncio.create_task(api.error("download", [first]))
    await store.reading.wait()
    waiting = asyncio.create_task(api.error("download", [second]))
    assert "request_time" in (await reading)[2]
    store.held.set()
    # The first has made room by giving up, so the second may have got through; never both at once.
    await asyncio.wait([waiting])

    store.held.clear()
    store.reading.clear()
    results = await asyncio.gather(
        api.error("download", [first, second]), api.error("download", [await store.put(make.plain(3))])
    )
    assert any("codec_server.limits.concurrent_reads" in message for _, _, message in results)
    assert {status for status, _, _ in results} == {503}


async def test_requests_wait_for_memory_and_the_oldest_always_goes_on(serve, make, store):
    api = await serve(limits(memory=10_000, request_time="5s"), codecs=[])
    payloads = [make.plain(str(n) * 8000) for n in range(6)]
    references = [await store.put(payload) for payload in payloads]
    results = await asyncio.gather(*(api.payloads("download", [one]) for one in references))
    assert results == [[payload] for payload in payloads]


async def test_a_request_that_gets_no_memory_in_time_is_told_so(serve, make, store):
    api = await serve(limits(memory=10_000, request_time="2s"), codecs=[])
    first = await store.put(make.plain("a" * 9000))
    second = await store.put(make.plain("b" * 9000))
    store.held.clear()
    results = await asyncio.gather(api.error("download", [first]), api.error("download", [second]))
    messages = " ".join(message for _, _, message in results)
    assert "codec_server.limits.memory" in messages
    assert {result[:2] for result in results} == {(503, "busy")}


async def test_memory_is_bounded_by_the_limit_and_what_one_request_needs_however_many_ask():
    shared = Limits(LimitSettings(memory=1000))
    peak = 0

    async def piece(allowance):
        nonlocal peak
        async with allowance.work(300) as reservation:
            peak = max(peak, shared.held)
            await asyncio.sleep(0)
            reservation.keep(100)

    async def request():
        async with shared.request() as allowance:
            # Several of one request wait as well: beyond the limit they go one by one.
            await asyncio.gather(*(piece(allowance) for _ in range(5)))

    await asyncio.gather(*(request() for _ in range(50)))
    assert shared.held == 0
    assert 900 < peak <= 1000 + 4 * 100 + 300


async def test_who_gives_up_waiting_for_memory_holds_none():
    shared = Limits(LimitSettings(memory=100))
    async with shared.request() as first:
        await first.take(100)

        async def request():
            async with shared.request() as allowance:
                await allowance.take(50)
                await asyncio.sleep(60)

        waiting = [asyncio.create_task(request()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        # The memory is granted, and given up before it is taken.
        first.give_back(100)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert shared.held == 0


async def test_an_error_keeps_nothing_of_the_work_in_memory():
    class Large:
        pass

    async def decode():
        large = Large()
        seen.append(weakref.ref(large))
        raise ValueError

    seen: list[weakref.ref[Large]] = []
    async with Limits(LimitSettings()).request() as allowance:
        try:
            async with allowance.work(1):
                await decode()
        except ValueError:
            assert seen[0]() is None


async def test_memory_for_a_stored_payload_is_for_the_largest_whatever_its_reference_says(make, store, serve):
    # It has room for one at a time, and answers all.
    api = await serve(limits(memory=1))
    references = [await store.put(make.flipped(make.plain(n))) for n in range(20)]
    for reference in references:
        reference.external_payloads[0].size_bytes = 0
    assert await api.payloads("download", references) == [make.plain(n) for n in range(20)]


async def test_a_driver_is_to_read_nothing_larger_than_what_memory_is_reserved_for(
    serve, make, store, registry, make_settings
):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    await api.payloads("download", [reference])
    assert store.context.largest_read == 50 * 1024**2
    async with open_data_converter(make_settings(), registry=registry):
        assert store.context.largest_read is None  # a worker reads what is there


async def test_a_payload_that_its_driver_does_not_read_for_its_size_is_told(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    store.failure = PayloadTooLargeError("It has 9 bytes: raise storage.drivers.memory.max_payload_size")
    assert (await api.error("download", [reference]))[:2] == (413, "limit_exceeded")


async def test_a_reference_of_a_size_that_none_has_is_not_looked_into(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    reference.data = reference.data.replace(b"v0/", b"v0/" + b"x" * 100_000)
    status, code, _ = await api.error("download", [reference])
    assert (status, code) == (403, "reference_rejected")


@pytest.mark.parametrize("size", [-1, -(2**62), 2**62])
async def test_a_reference_that_lies_about_its_size_is_served_as_it_is(serve, make, store, size):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    reference.external_payloads[0].size_bytes = size
    assert await api.payloads("download", [reference]) == [make.plain(1)]
    without = Payload(metadata=reference.metadata, data=reference.data)
    assert await api.payloads("download", [without]) == [make.plain(1)]


async def test_an_answer_that_nobody_takes_is_broken_off(serve, make, store, caplog, pass_time):
    caplog.set_level(logging.INFO)
    api = await serve(limits(request_time="1m"))
    reference = await store.put(make.flipped(make.plain("x" * 20_000_000)))
    response = await api.post("download", [reference])
    assert response.status == 200
    pass_time(61)
    while not [r for r in caplog.records if r.name.endswith(".access")]:  # noqa: ASYNC110  # a log has no event
        await asyncio.sleep(0.01)
    with pytest.raises(ClientPayloadError):
        await response.read()
