"""Bad requests: a status, a stable code and a sentence as JSON, with CORS headers, and never a 500."""

import json

import pytest
from temporal_payloads.codec_server import _operations


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"nonsense", b"[" * 10_000, b'{"payloads": [' + b"9" * 5000 + b"]}"]
)
async def test_malformed_json(serve, body):
    api = await serve()
    for operation in ("decode", "encode", "download"):
        status, code, message = await api.error(operation, body=body)
        assert (status, code) == (400, "invalid_json")
        assert "not JSON" in message


@pytest.mark.parametrize(
    "document",
    [
        [],
        None,
        1,
        "payloads",
        {"payload": []},
        {"payloads": None},
        {"payloads": {}},
        {"payloads": [1]},
        {"payloads": [None]},
        {"payloads": [{"metadata": []}]},
        {"payloads": [{"metadata": {"encoding": 1}}]},
        {"payloads": [{"metadata": {"encoding": None}}]},
        {"payloads": [{"data": 1}]},
        {"payloads": [{"data": []}]},
        {"payloads": [{"externalPayloads": 1}]},
        {"payloads": [{"externalPayloads": [{"sizeBytes": "x"}]}]},
        {"payloads": [{"externalPayloads": [{"sizeBytes": 1e300}]}]},
        {"payloads": [{"externalPayloads": [{"sizeBytes": 2**63}]}]},
    ],
)
async def test_json_of_another_form(serve, document):
    api = await serve()
    status, code, _ = await api.error("decode", body=json.dumps(document))
    assert (status, code) == (400, "invalid_payloads")


@pytest.mark.parametrize("data", ["%%%", "A", "AAAAA", "AA=A", "AA===", "Ä", "AA AA", "AA\n"])
async def test_invalid_base64_names_the_payload(serve, data):
    api = await serve()
    status, code, message = await api.error("decode", body=json.dumps({"payloads": [{}, {"data": data}]}))
    assert (status, code) == (400, "invalid_payloads")
    assert "payloads[1].data" in message
    body = json.dumps({"payloads": [{"metadata": {"encoding": data}}]})
    assert "payloads[0].metadata" in (await api.error("decode", body=body))[2]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-protobuf", ""])
async def test_a_wrong_content_type(serve, content_type):
    api = await serve()
    status, code, message = await api.error(
        "decode", headers={"Content-Type": content_type}, skip_auto_headers=["Content-Type"]
    )
    assert (status, code) == (415, "unsupported_content_type")
    assert "application/json" in message


async def test_a_content_type_with_a_character_set_is_fine(serve):
    api = await serve()
    response = await api.post("decode", headers={"Content-Type": "application/json; charset=utf-8"})
    assert response.status == 200


async def test_an_unknown_path_and_a_wrong_method_answer_in_the_same_form(serve, make):
    api = await serve()
    assert (await api.error("nowhere"))[:2] == (404, "not_found")
    response = await api.client.get("/decode", headers={"Origin": make.UI})
    assert response.status == 405
    assert response.headers["Allow"] == "POST"
    assert response.headers["Access-Control-Allow-Origin"] == make.UI
    assert (await response.json())["code"] == "method_not_allowed"


async def test_a_body_that_is_not_compressed_as_its_header_says(serve):
    api = await serve()
    status, code, _ = await api.error("decode", body=b"no gzip at all", headers={"Content-Encoding": "gzip"})
    assert (status, code) == (400, "invalid_body")


async def test_a_fault_of_the_servers_own_says_nothing_but_that(serve, make, monkeypatch, caplog):
    async def fail(*_):
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(_operations.Work, "encode", fail)
    api = await serve()
    status, code, message = await api.error("encode", [make.plain(1)])
    assert (status, code) == (500, "internal_error")
    assert "hunter2" not in message
    assert "hunter2" in caplog.text


async def test_bodies_beyond_the_megabyte_of_the_sample_are_taken(serve, make):
    api = await serve()
    payload = make.plain("x" * 3_000_000)
    assert await api.payloads("decode", [payload]) == [payload]
