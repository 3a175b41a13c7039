"""Against codec servers in this process, over HTTP."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from google.protobuf.json_format import MessageToDict
from temporal_payloads._operate.doctor.codec_server import CodecServerCheck
from temporal_payloads._operate.doctor.trial import try_all
from temporal_payloads._storage.references import Reference
from temporal_payloads.codec_server import create_app
from temporalio.api.common.v1 import Payloads
from temporalio.converter import StorageDriverClaim

UI = "http://localhost:8233"


@asynccontextmanager
async def served(app):
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
def ask(assemble, registry):
    """Check a codec server with settings of its own against settings here."""

    async def asked(there=None, *, here=None, write=False, app=None, trials=None, **options):
        ours = assemble(**(here or {"codecs": ["gzip"]}))
        if app is None:
            theirs = assemble(**(there or here or {"codecs": ["gzip"]})).settings
            app = create_app(theirs, registry=registry)
        trials = await try_all(ours, ours.drivers, "default") if write else None
        async with served(app) as url:
            check = CodecServerCheck(options.pop("url", url), "default", ours, trials, **options)
            return await check.run()

    return asked


async def test_a_server_with_the_same_settings_agrees(ask, levels, store):
    findings = await ask(write=True)
    assert levels(findings) == dict.fromkeys(
        ("/healthz", "/readyz", "CORS", "decode", "encode", "references"), "ok"
    )


async def test_what_the_server_stores_for_the_check_is_noted_to_be_removed(assemble, registry, store):
    ours = assemble(codecs=["gzip"])
    trials = await try_all(ours, ours.drivers, "default")
    async with served(create_app(ours.settings, registry=registry)) as url:
        await CodecServerCheck(url, "default", ours, trials).run()
    assert {claim.claim_data["key"] for claim in trials.written["memory"]} == set(store.items)


async def test_a_reference_of_the_server_to_somebody_elses_payload_is_not_noted_to_be_removed(
    assemble, store
):
    ours = assemble(codecs=["gzip"])
    trials = await try_all(ours, ours.drivers, "default")
    before = {key: list(claims) for key, claims in trials.written.items()}
    name = ours.drivers["memory"].name()
    theirs = Reference(name, StorageDriverClaim({"key": "somebody's"}), 7).to_payload()

    async def answer(request):
        return web.json_response(MessageToDict(Payloads(payloads=[theirs])))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with served(app) as url:
        await CodecServerCheck(url, "default", ours, trials).run()
    assert trials.written == before


async def test_without_write_no_reference_is_tried(ask, levels, store):
    found = levels(await ask())
    assert (found["decode"], found["encode"], found["references"]) == ("ok", "skipped", "skipped")
    assert not store.items


async def test_a_server_that_cannot_be_reached_is_told_and_nothing_else(ask, closed_port, only):
    [finding] = await ask(url=f"http://127.0.0.1:{closed_port}")
    assert (finding.level, finding.check) == ("problem", "codec server")
    assert "refused" in finding.message.lower()


async def test_a_server_without_our_codec_is_told_with_its_own_words(ask, levels, only):
    findings = await ask({"codecs": []})
    assert levels(findings)["decode"] == "problem"
    assert "payload_not_decoded" in only(findings, "decode").message
    assert "--peer" in only(findings, "decode").advice


async def test_a_server_with_a_codec_that_we_lack_is_told(ask, levels, only):
    findings = await ask({"codecs": ["zstd", "gzip"]}, write=True)
    assert levels(findings)["decode"] == "ok"
    assert levels(findings)["encode"] == "problem"
    assert "zstd" in only(findings, "encode").message


async def test_a_server_with_another_store_is_told(ask, levels, only):
    findings = await ask(
        {"codecs": ["gzip"], "storage": {"drivers": {"memory": {"shelf": "another"}}}}, write=True
    )
    assert levels(findings)["references"] == "problem"
    assert "does not find a payload that was stored here" in only(findings, "references").message


async def test_a_server_that_keeps_inline_what_is_stored_here_is_told(ask, levels, only, store_name):
    findings = await ask(
        {
            "codecs": ["gzip"],
            "storage": {"drivers": {"memory": {"shelf": store_name}}, "threshold": "1MiB"},
        },
        write=True,
    )
    assert levels(findings)["references"] == "warning"
    assert "threshold" in only(findings, "references").advice


async def test_a_ui_of_another_origin_is_told(ask, levels, only):
    findings = await ask(origin="https://temporal.example.com")
    assert levels(findings)["CORS"] == "problem"
    assert "allowed_origins" in only(findings, "CORS").advice


TOKEN = "a-token-of-the-codec-server"
PROTECTED = {
    "codecs": ["gzip"],
    "codec_server": {"auth": {"tokens": {"people": {"token": TOKEN}}}},
}


async def test_a_server_that_asks_for_a_token_is_told(ask, levels, only):
    findings = await ask(PROTECTED)
    assert levels(findings)["authorization"] == "problem"
    finding = only(findings, "authorization")
    assert "HTTP 401" in finding.message
    assert "TEMPORAL_CODEC_AUTH" in finding.advice


async def test_a_token_is_sent_and_shown_nowhere(ask, levels):
    findings = await ask(PROTECTED, authorization=f"Bearer {TOKEN}", write=True)
    assert levels(findings)["decode"] == "ok"
    assert TOKEN not in repr(findings)


async def test_references_are_tried_with_a_token_that_only_reads(ask, levels):
    findings = await ask(PROTECTED, authorization=f"Bearer {TOKEN}", write=True)
    assert levels(findings)["encode"] == "skipped"
    assert levels(findings)["references"] == "ok"


async def test_a_server_that_is_not_ready_is_told(ask, levels, store):
    async def forbidden(request):
        return web.json_response({"code": "not_ready", "message": "a storage cannot be reached"}, status=503)

    app = web.Application()
    app.add_routes([web.get("/readyz", forbidden)])
    findings = await ask(app=app)
    assert levels(findings)["/readyz"] == "problem"
    assert levels(findings)["/healthz"] == "skipped"  # of another implementation
    assert levels(findings)["CORS"] == "problem"
    assert levels(findings)["decode"] == "problem"


async def test_a_server_that_answers_nonsense_is_told(ask, levels, only):
    async def nonsense(request):
        return web.json_response({"payloads": []})

    app = web.Application()
    app.add_routes([web.post("/decode", nonsense), web.post("/encode", nonsense)])
    findings = await ask(app=app)
    assert levels(findings)["decode"] == "problem"
    assert "none of a codec server's" in only(findings, "decode").message


async def test_a_redirect_is_not_followed_with_a_token(ask, levels, only):
    seen = []

    async def elsewhere(request):
        seen.append(request.path)
        raise web.HTTPFound("/other")

    app = web.Application()
    app.add_routes([web.post("/decode", elsewhere), web.route("*", "/other", elsewhere)])
    findings = await ask(app=app, authorization="Bearer secret")
    assert "HTTP 302" in only(findings, "decode").message
    assert "/other" not in seen


async def test_the_namespace_stands_in_the_address_where_it_is_asked_for(ask, levels):
    paths = []

    async def note(request):
        paths.append((request.path, request.headers["X-Namespace"]))
        return web.json_response({"payloads": []})

    app = web.Application()
    app.add_routes([web.post("/codec/default/decode", note), web.post("/codec/default/encode", note)])
    async with served(app) as url:
        await ask(app=web.Application(), url=f"{url}/codec/{{namespace}}", write=True)
    assert set(paths) == {("/codec/default/decode", "default"), ("/codec/default/encode", "default")}
