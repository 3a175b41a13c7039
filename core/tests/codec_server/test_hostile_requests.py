"""Bytes that no client sends in good faith: they are refused, logged in one line, no fault of ours."""

import asyncio
import json
import logging
from contextlib import suppress

import pytest
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._logs import TextFormatter, configure_logging
from temporal_payloads.codec_server._serve import listening
from temporal_payloads.observability import JsonFormatter

TOKEN = "a-token-of-some-length"
BEARER = f"Bearer {TOKEN}".encode()
ODD = [b"\xff\xfe", b"\x80", b"a\xc3", b"a\x00b", b"a\x01b", b"\x1b[2J", b"a\x7fb", b"a\tb", b"\xe2\x80\xae"]
STRANGE = [b"[", b"]", b"[::", b"a:b:c", b"a:99999999", b"%", b"a b", b"<x>", b"caf\xc3\xa9", b"x" * 30_000]


@pytest.fixture(params=["anybody", "token"])
async def send(request, make_settings, registry):
    """Send bytes to a server, and return the status of its answer and the code in it."""
    auth = {"tokens": {"cli": {"token": TOKEN}}} if request.param == "token" else {}
    settings = make_settings(codec_server={"port": 0, "auth": auth})
    async with listening(create_app(settings, registry=registry), settings.codec_server) as address:

        async def send(
            *headers,
            method=b"POST",
            path=b"/decode",
            host=b"127.0.0.1",
            authorization=BEARER,
        ):
            body = b'{"payloads": []}'
            lines = [
                method + b" " + path + b" HTTP/1.1",
                b"Host: " + host,
                b"Connection: close",
                b"Content-Type: application/json",
                b"Content-Length: %d" % len(body),
                *([b"Authorization: " + authorization] if authorization else []),
                *headers,
            ]
            reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
            try:
                writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
                answer = await asyncio.wait_for(reader.read(), 10)
            finally:
                writer.close()
            head, _, content = answer.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            is_error = status != 200 and b"application/json" in head
            return status, json.loads(content)["code"] if is_error else None

        yield send


@pytest.fixture
def log(caplog):
    """Return the lines of the log as both formatters write them, all of them harmless."""
    caplog.set_level(logging.INFO)

    def lines():
        records = [each for each in caplog.records if each.name.startswith("temporal_payloads")]
        texts = [
            formatter.format(each) for each in records for formatter in (TextFormatter(), JsonFormatter())
        ]
        for text in texts:
            assert text.isprintable()
            text.encode()
            assert len(text) < 10_000
            assert TOKEN not in text
        return texts

    return lines


async def test_odd_bytes_in_a_decisive_header_are_a_bad_request(send, log):
    for odd in ODD:
        assert (await send(b"X-Namespace: " + odd))[0] == 400
        assert (await send(b"Origin: " + odd))[0] == 400
        assert (await send(host=odd))[0] == 400
        assert (await send(authorization=b"Bearer " + odd))[0] == 400
        assert (await send(method=b"GET", path=b"/", host=odd))[0] == 400
        assert (await send(method=b"GET", path=b"/healthz", host=odd))[0] == 400
    assert not any("Traceback" in line for line in log())


async def test_strange_text_in_a_header_is_what_it_would_be_otherwise(send, log):
    for strange in STRANGE:
        long = len(strange) > 1000
        assert await send(b"X-Namespace: " + strange) == ((400, "bad_request") if long else (200, None))
        assert await send(b"Origin: " + strange) == (403, "origin_not_allowed")
        assert await send(host=strange) == (200, None)
        assert await send(method=b"GET", path=b"/", host=strange) == (403, "host_not_allowed")
    assert any("host_not_allowed" in line for line in log())


async def test_odd_bytes_in_a_path_are_a_bad_request(send, log):
    for odd in [*ODD, *STRANGE]:
        assert (await send(b"X-Namespace: orders", path=b"/" + odd + b"/decode"))[0] == 400
        assert (await send(path=b"/" + odd))[0] in (400, 404)
        assert (await send(path=b"/decode?preserveStorageRefs=" + odd))[0] in (200, 400)
    for path in (b"/%ff", b"/%0a%1b", b"/a%00b", b"//[", b"/%"):
        answer = await send(b"X-Namespace: orders", path=path + b"/decode")
        assert answer in ((400, "namespace_mismatch"), (404, "not_found"))
        assert await send(path=path) == (404, "not_found")
    for path in (b"http://[::/decode", b"http://a:b/decode", b"?a", b"#", b"*"):
        assert (await send(path=path))[0] == 400
    assert not any("Traceback" in line for line in log())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"X-Namespace", (b"orders", b"billing")),
        (b"X-Namespace", (b"orders", b"orders")),
        (b"x-namespace", (b"orders", b"")),
        (b"Origin", (b"http://localhost:8233", b"http://evil.example")),
    ],
)
async def test_a_decisive_header_that_comes_twice_is_a_bad_request(send, name, values):
    assert await send(*(name + b": " + value for value in values)) == (400, "bad_request")


async def test_two_hosts_and_two_authorizations_are_bad_requests(send):
    assert (await send(b"Host: evil.example"))[0] == 400
    for first in (BEARER, b"Bearer another-token-of-some-length"):
        assert await send(b"Authorization: Bearer x", authorization=first) == (400, "bad_request")


async def test_a_flood_of_headers_is_a_bad_request(send):
    # Who still sends when the answer comes may see no more than that the connection is closed.
    with suppress(ConnectionResetError):
        assert (await send(*(b"A%d: b" % number for number in range(5000))))[0] in (400, 431)


async def test_what_is_no_http_is_one_line_in_the_log_and_tells_no_token(send, capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(as_json=False)
        assert (await send(authorization=BEARER + b"\x00"))[0] == 400
        assert (await send(path=b"/\xff"))[0] == 400
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    log = capsys.readouterr().err
    assert len(log.splitlines()) == 2
    assert "127.0.0.1" in log
    assert "Traceback" not in log
    assert TOKEN not in log
