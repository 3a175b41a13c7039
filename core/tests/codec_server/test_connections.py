"""Slow and vanished clients: each has limited time, and nothing is held for who is gone."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import ClientSession
from google.protobuf.json_format import MessageToDict
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._connections import FILES_BESIDE, connections_for
from temporal_payloads.codec_server._serve import listening

HEAD = b"POST /download HTTP/1.1\r\nHost: x\r\nX-Namespace: default\r\nContent-Type: application/json\r\n"


@pytest.fixture
def listen(make_settings, registry):
    """A server on a port of its own, with these limits."""

    @asynccontextmanager
    async def start(**limits):
        settings = make_settings(codec_server={"port": 0, "limits": limits})
        async with listening(create_app(settings, registry=registry), settings.codec_server) as address:
            yield address, int(address.rpartition(":")[2])

    return start


@asynccontextmanager
async def connected(port, sent=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def healthy(address):
    async with ClientSession() as session, session.get(f"{address}/healthz") as response:
        return response.status == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_headers_that_do_not_come_in_time_end_the_connection(listen, sent):
    async with listen(client_time="200ms") as (_, port), connected(port, sent) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_connection_that_was_used_may_be_idle_but_not_slow(listen):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with listen(client_time="200ms") as (_, port), connected(port, request) as (reader, writer):
        await reader.readuntil(b'{"status": "ok"}')
        await asyncio.sleep(0.4)
        writer.write(request)
        await reader.readuntil(b'{"status": "ok"}')
        writer.write(request[:10])
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_body_that_does_not_come_in_time_is_told_so(listen):
    async with (
        listen(client_time="200ms") as (_, port),
        connected(port, HEAD + b"Content-Length: 16000000\r\n\r\n{") as (reader, _),
    ):
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"codec_server.limits.client_time" in answer


async def test_a_response_that_is_not_taken_is_broken_off(listen, make, store):
    reference = await store.put(make.flipped(make.plain("x" * 20_000_000)))
    body = json.dumps({"payloads": [MessageToDict(reference)]}).encode()
    async with (
        listen(client_time="300ms") as (_, port),
        connected(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body) as (reader, _),
    ):
        await reader.readuntil(b"payloads")
        await asyncio.sleep(2)
        received = 0
        with suppress(ConnectionError):
            while data := await reader.read(1_000_000):
                received += len(data)
        assert received < 20_000_000


async def test_one_more_connection_takes_the_place_of_an_idle_one(listen, monkeypatch):
    monkeypatch.setattr("temporal_payloads.codec_server._connections.PROMPT_SECONDS", 0)
    async with listen(connections=2) as (address, port), connected(port) as (oldest, _), connected(port):
        assert await healthy(address)
        assert await asyncio.wait_for(oldest.read(), 10) == b""


async def test_a_connection_that_is_being_answered_keeps_its_place(listen, make, store):
    reference = await store.put(make.flipped(make.plain(1)))
    body = json.dumps({"payloads": [MessageToDict(reference)]}).encode()
    store.held.clear()
    async with (
        listen(connections=1) as (_, port),
        connected(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body) as (reader, _),
    ):
        await store.reading.wait()
        async with connected(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body) as (refused, _):
            assert (await asyncio.wait_for(refused.readline(), 10)).startswith(b"HTTP/1.1 503")
        store.held.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_work_for_a_client_that_is_gone_stops_and_holds_nothing(listen, make, store):
    reference = await store.put(make.flipped(make.plain(1)))
    body = json.dumps({"payloads": [MessageToDict(reference)]}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    store.held.clear()
    # One read, and memory for one payload: whoever is gone must leave both.
    async with listen(concurrent_reads=1, memory=1) as (_, port):
        for _ in range(3):
            store.reading.clear()
            async with connected(port, request):
                await store.reading.wait()
        store.held.set()
        async with connected(port, request) as (reader, _):
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("files", "expected"), [(1024, 128), (FILES_BESIDE + 100, 100), (FILES_BESIDE, FILES_BESIDE // 4)]
)
def test_there_are_fewer_connections_than_open_files(monkeypatch, files, expected, make_settings):
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert connections_for(make_settings().codec_server.limits) == expected
