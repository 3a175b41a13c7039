"""The server as something that runs: health, the page, logs, TLS, mounting, and stopping."""

import asyncio
import dataclasses
import io
import json
import logging
import ssl
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.json_format import MessageToDict
from pydantic import ValidationError
from temporal_payloads import ConfigurationError
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._health import Health
from temporal_payloads.codec_server._logs import TextFormatter
from temporal_payloads.codec_server._serve import listening
from temporal_payloads.observability import JsonFormatter
from temporal_payloads.plugin import KeyUnavailableError, PerPayloadCodec, hookimpl

TOKEN = "a-token-of-some-length"


# -- health


async def test_healthz_needs_nothing(serve):
    api = await serve({"auth": {"tokens": {"cli": {"token": TOKEN}}}})
    response = await api.client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_readyz_asks_the_stores_and_tells_a_stranger_nothing_of_them(serve, store, monkeypatch, caplog):
    monkeypatch.setattr("temporal_payloads.codec_server._health.READY_SECONDS", -1)
    api = await serve({"auth": {"tokens": {"cli": {"token": TOKEN}}}})
    response = await api.client.get("/readyz")
    assert (response.status, await response.json()) == (200, {"status": "ready"})
    store.failure = ConnectionError("memory.internal.example refused")
    response = await api.client.get("/readyz")
    document = await response.json()
    assert (response.status, document["code"]) == (503, "not_ready")
    assert "memory.internal" not in document["message"]
    assert "memory.internal" in caplog.text


async def test_readyz_asks_the_codecs_for_what_they_need(serve, registry, monkeypatch, caplog):
    class NeedsKey(PerPayloadCodec):
        failure: Exception | None = None

        def encode_payload(self, payload):
            return payload

        def decode_payload(self, payload):
            return payload

        async def check(self):
            if self.failure:
                raise self.failure

    class Plugin:
        @hookimpl
        def temporal_payloads_codec(self):
            return dataclasses.replace(registry.codec("flip"), create=lambda settings: NeedsKey())

    monkeypatch.setattr("temporal_payloads.codec_server._health.READY_SECONDS", -1)
    registry.register_codec("sealed", Plugin())
    api = await serve(codecs=["sealed"])
    assert (await api.client.get("/readyz")).status == 200
    NeedsKey.failure = KeyUnavailableError("kms.internal.example refused")
    response = await api.client.get("/readyz")
    assert (response.status, (await response.json())["code"]) == (503, "not_ready")
    assert "kms.internal" not in await response.text()
    assert "kms.internal" in caplog.text


async def test_readyz_does_not_ask_the_stores_each_time():
    class Profiles:
        checks = 0

        async def check(self):
            self.checks += 1

    profiles: Any = Profiles()
    request: Any = None
    health = Health(profiles)
    await asyncio.gather(*(health.ready(request) for _ in range(10)))
    assert profiles.checks == 1


async def test_drivers_are_opened_at_start_and_closed_at_the_end(registry, store, make_settings):
    app = create_app(make_settings(), registry=registry)
    async with TestClient(TestServer(app)):
        assert store.is_open
    assert not store.is_open


# -- the page


async def test_the_page_shows_what_the_server_does_and_how_to_point_the_web_ui_at_it(serve):
    api = await serve()
    response = await api.client.get("/")
    text = await response.text()
    assert response.content_type == "text/html"
    assert f"<code>{str(api.client.make_url('/')).rstrip('/')}</code>" in text
    assert "--ui-codec-endpoint" in text
    assert "--codec-endpoint" in text
    for detail in ("flip", "memory", "1,024", "http://localhost:8233"):
        assert detail in text


async def test_the_page_shows_the_unauthenticated_only_how_to_log_in(serve, make_settings):
    own = make_settings(codecs=[])
    api = await serve(
        {"namespaces": {"secret-project": "p"}, "auth": {"tokens": {"cli": {"token": TOKEN}}}},
        profiles={"p": own},
    )
    text = await (await api.client.get("/")).text()
    assert "--codec-auth" in text
    for secret in (TOKEN, "secret-project", "memory", "flip", "localhost:8233"):
        assert secret not in text


PAGE_HOSTS = ["localhost:1234", "LOCALHOST", "127.0.0.1", "127.8.8.8:80", "[::1]:8081", "[::1]"]
OTHER_HOSTS = [
    "evil.example",
    "localhost.evil.example:8081",
    "127.0.0.1.evil.example",
    "evil.example:[::1]",
    "",
]


async def page_status(api, host):
    response = await api.client.get("/", headers={"Host": host})
    document = await response.json() if response.status != 200 else {"code": None}
    return response.status, document["code"]


async def test_the_page_is_shown_under_names_of_this_machine_only(serve, caplog):
    caplog.set_level(logging.INFO)
    api = await serve()
    for host in PAGE_HOSTS:
        assert await page_status(api, host) == (200, None)
    caplog.clear()
    for host in [*OTHER_HOSTS, "192.0.2.7"]:
        assert await page_status(api, host) == (403, "host_not_allowed")
    assert all("codec_server.allowed_hosts" in fields["reason"] for fields in records(caplog, "access"))


async def test_the_page_is_shown_under_names_that_the_settings_list(serve):
    api = await serve({"host": "codec.internal", "allowed_hosts": ["codec.example.com"]})
    for host in ["codec.example.com", "Codec.Example.com:443", "codec.internal:8081", *PAGE_HOSTS]:
        assert await page_status(api, host) == (200, None)
    for host in [*OTHER_HOSTS, "x.codec.example.com", "192.0.2.7"]:
        assert await page_status(api, host) == (403, "host_not_allowed")


@pytest.mark.parametrize("listening", ["0.0.0.0", "::"])
async def test_whoever_listens_on_all_addresses_is_known_by_each(serve, listening):
    api = await serve({"host": listening})
    for host in ["192.0.2.7:8081", "[2001:db8::7]:8081", *PAGE_HOSTS]:
        assert await page_status(api, host) == (200, None)
    for host in OTHER_HOSTS:
        assert await page_status(api, host) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "name", ["https://codec.example.com", "codec.example.com:443", "*", "Codec.example", ""]
)
def test_a_host_that_is_no_bare_name_is_a_configuration_error(make_settings, name):
    with pytest.raises(ValidationError, match="allowed_hosts"):
        make_settings(codec_server={"allowed_hosts": [name]})


async def test_the_page_takes_no_markup_from_the_request_and_runs_no_script(serve):
    api = await serve()
    for host in ("x<script>alert(1)</script>", "127.0.0.1<script>alert(1)</script>"):
        response = await api.client.get("/", headers={"Host": host})
        assert "<script" not in await response.text() or response.content_type == "application/json"
    response = await api.client.get("/")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


# -- logs


def records(caplog, name):
    wanted = f"temporal_payloads.codec_server.{name}"
    return [record.fields for record in caplog.records if record.name == wanted]


async def test_each_request_is_logged_with_who_what_and_how_much(serve, make, store, caplog):
    caplog.set_level(logging.INFO)
    api = await serve({"auth": {"tokens": {"ci": {"token": TOKEN}}}})
    reference = await store.put(make.flipped(make.plain("x" * 5000)))
    lost = await store.put(make.flipped(make.plain(2)))
    del store.objects[next(key for key in store.objects if key in lost.data.decode())]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = await api.post("decode", [make.plain(1), reference, lost], headers=headers)
    size = len(await response.read())
    [line] = records(caplog, "access")
    expected = {
        "who": "token:ci",
        "namespace": "default",
        "operation": "decode",
        "status": 200,
        "payloads": 3,
        "references": 2,
        "failed": 1,
        "bytes_out": size,
    }
    assert {name: line[name] for name in expected} == expected
    assert line["bytes_in"] > 0
    assert line["duration_ms"] >= 0
    assert TOKEN not in caplog.text


async def test_refused_requests_are_logged_with_the_reason(serve, caplog):
    caplog.set_level(logging.INFO)
    api = await serve({"auth": {"tokens": {"ci": {"token": TOKEN}}}})
    await api.error("download", headers={"Authorization": "Bearer wrong"})
    [line] = records(caplog, "access")
    assert line["status"] == 401
    assert line["code"] == "unauthenticated"


async def test_each_stored_payload_that_is_read_has_an_audit_line(serve, make, store, caplog):
    caplog.set_level(logging.INFO)
    api = await serve()
    reference = await store.put(make.flipped(make.plain("x" * 5000)))
    await api.payloads("download", [reference])
    foreign = await store.put(make.flipped(make.plain(1)), namespace="billing")
    await api.error("download", [foreign])
    served, refused = records(caplog, "audit")
    assert served["who"] == "anonymous"
    assert served["namespace"] == "default"
    assert served["operation"] == "download"
    assert served["driver"] == "memory"
    assert served["sha256"] in reference.data.decode()
    assert served["bytes"] == reference.external_payloads[0].size_bytes
    assert served["outcome"] == "served"
    assert refused["outcome"] == "reference_rejected"


def test_a_log_line_is_one_line_whatever_a_request_holds():
    record: Any = logging.LogRecord("x", logging.INFO, "", 0, "request\nfake", None, None)
    record.fields = {"namespace": 'a"b\nINFO forged who=root', "who": "ada"}
    text = TextFormatter().format(record)
    assert "\n" not in text
    assert text.endswith(' namespace="a\\"b\\nINFO forged who=root" who=ada')
    line = json.loads(JsonFormatter().format(record))
    assert line["namespace"] == record.fields["namespace"]
    assert line["message"] == "request\nfake"


# -- where it listens


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "codec.example.com"])
async def test_beyond_loopback_without_authentication_is_refused_with_the_setting_that_allows_it(
    registry, make_settings, host
):
    settings = make_settings(codec_server={"host": host})
    with pytest.raises(ConfigurationError, match=r"codec_server\.allow_unauthenticated = true"):
        async with listening(create_app(settings, registry=registry), settings.codec_server):
            pass


@pytest.mark.parametrize(
    "open_to_all", [{"allow_unauthenticated": True}, {"auth": {"tokens": {"cli": {"token": TOKEN}}}}]
)
async def test_beyond_loopback_is_fine_when_somebody_authenticates(registry, make_settings, open_to_all):
    settings = make_settings(codec_server={"host": "0.0.0.0", "port": 0, **open_to_all})
    async with listening(create_app(settings, registry=registry), settings.codec_server) as address:
        assert address.startswith("http://0.0.0.0:")
        assert not address.endswith(":0")


@pytest.fixture
def certificate(tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = {"cert_file": tmp_path / "cert.pem", "key_file": tmp_path / "key.pem"}
    issued.cert_chain_pems[0].write_to_path(files["cert_file"])
    issued.private_key_pem.write_to_path(files["key_file"])
    return authority, files


async def test_tls_with_an_own_certificate(registry, make_settings, make, certificate):
    authority, files = certificate
    settings = make_settings(codec_server={"port": 0, "tls": files})
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with listening(create_app(settings, registry=registry), settings.codec_server) as address:
        assert address.startswith("https://127.0.0.1:")
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{address}/decode", json={"payloads": [MessageToDict(make.plain(1))]}, ssl=trust
            ) as response,
        ):
            assert response.status == 200


async def test_a_certificate_that_cannot_be_used_is_a_configuration_error(
    registry, make_settings, tmp_path, certificate
):
    _, files = certificate
    for wrong in ({"key_file": tmp_path / "nowhere"}, {"key_file": files["cert_file"]}):
        settings = make_settings(codec_server={"port": 0, "tls": {**files, **wrong}})
        with pytest.raises(ConfigurationError, match=r"codec_server\.tls"):
            async with listening(create_app(settings, registry=registry), settings.codec_server):
                pass


async def _connect_until_refused(port):
    while True:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()


async def test_stopping_finishes_requests_in_flight(registry, make_settings, make, store):
    settings = make_settings(codec_server={"port": 0})
    reference = await store.put(make.flipped(make.plain(1)))
    store.held.clear()
    server = listening(create_app(settings, registry=registry), settings.codec_server)
    address = await server.__aenter__()
    async with aiohttp.ClientSession() as session:

        async def download():
            body = {"payloads": [MessageToDict(reference)]}
            async with session.post(
                f"{address}/download", json=body, headers={"X-Namespace": "default"}
            ) as response:
                return response.status, await response.json()

        request = asyncio.create_task(download())
        await store.reading.wait()
        stopping = asyncio.create_task(server.__aexit__(None, None, None))
        # No new connection is taken while it stops.
        with pytest.raises(OSError, match="Connect call failed"):
            await _connect_until_refused(int(address.rpartition(":")[2]))
        store.held.set()
        assert await request == (200, {"payloads": [MessageToDict(make.plain(1))]})
        await stopping
    assert not store.is_open


# -- mounting


async def test_it_can_be_mounted_in_a_service_of_ones_own(registry, make_settings, make):
    service = web.Application()
    service.add_subapp("/internal/codec", create_app(make_settings(), registry=registry))
    async with TestClient(TestServer(service)) as client:
        payload = make.plain("x" * 3_000_000)
        headers = {"Origin": make.UI, "X-Namespace": "default"}
        response = await client.post(
            "/internal/codec/decode",
            data=io.BytesIO(json.dumps({"payloads": [MessageToDict(payload)]}).encode()),
            headers={**headers, "Content-Type": "application/json"},
        )
        assert await response.json() == {"payloads": [MessageToDict(payload)]}
        assert response.headers["Access-Control-Allow-Origin"] == make.UI
        response = await client.post("/internal/codec/nowhere", headers=headers)
        assert (await response.json())["code"] == "not_found"
        assert response.headers["Access-Control-Allow-Origin"] == make.UI
        preflight = {"Origin": make.UI, "Access-Control-Request-Method": "POST"}
        assert (await client.options("/internal/codec/decode", headers=preflight)).status == 204
        assert (await client.get("/internal/codec/healthz")).status == 200
        assert (
            f"{client.make_url('/internal/codec')}</code>"
            in await (await client.get("/internal/codec/")).text()
        )


def test_a_secret_never_shows_in_a_settings_error(make_settings):
    with pytest.raises(ValidationError) as caught:
        make_settings(codec_server={"auth": {"tokens": {"cli": {"token": "hunter2", "namespace": "x"}}}})
    assert "hunter2" not in str(caught.value)
