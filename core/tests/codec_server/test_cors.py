"""What browsers are told: on every response, errors included."""

import logging

import pytest
from pydantic import ValidationError

PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,authorization-extras,content-type,x-namespace",
}


async def test_a_preflight_allows_what_the_web_ui_sends(serve, make):
    # Without authentication, for a browser sends none with a preflight.
    api = await serve({"auth": {"tokens": {"cli": {"token": "a-token-of-some-length"}}}})
    for path in ("/decode", "/default/download", "/encode"):
        response = await api.client.options(path, headers={"Origin": make.UI, **PREFLIGHT})
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == make.UI
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        allowed = set(response.headers["Access-Control-Allow-Headers"].split(","))
        assert allowed == {"content-type", "x-namespace", "authorization", "authorization-extras"}
        assert response.headers["Access-Control-Max-Age"] == "600"
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_credentials_are_allowed_where_the_settings_say_so(serve, make):
    api = await serve({"allow_credentials": True})
    for response in (
        await api.client.options("/decode", headers={"Origin": make.UI, **PREFLIGHT}),
        await api.post("decode", [make.plain(1)]),
    ):
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        # With credentials a browser takes the exact origin only.
        assert response.headers["Access-Control-Allow-Origin"] == make.UI


@pytest.mark.parametrize("origin", ["http://localhost:8233", "http://127.0.0.1:8233"])
async def test_the_development_servers_ui_is_allowed_by_default(serve, make, origin):
    api = await serve()
    response = await api.post("decode", [make.plain(1)], headers={"Origin": origin})
    assert response.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:8234", "https://localhost:8233", "http://localhost", "null", "http://localhost:8233/"],
)
async def test_a_page_of_another_origin_is_refused(serve, make, origin, caplog):
    caplog.set_level(logging.INFO)
    api = await serve()
    for response in (
        await api.client.options("/decode", headers={"Origin": origin, **PREFLIGHT}),
        await api.post("decode", [make.plain(1)], headers={"Origin": origin}),
    ):
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
        document = await response.json()
        assert document["code"] == "origin_not_allowed"
        assert "codec_server" not in document["message"]
    for record in (record for record in caplog.records if record.name.endswith("codec_server.access")):
        assert "codec_server.allowed_origins" in record.fields["reason"]


async def test_a_program_without_an_origin_is_served(serve, make):
    api = await serve()
    response = await api.client.post("/decode", json={"payloads": []})
    assert response.status == 200
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "origin", ["*", "localhost:8233", "http://localhost:8233/", "http://UI.example", "https://u@ui.example"]
)
def test_an_origin_that_no_browser_sends_is_a_configuration_error(make_settings, origin):
    with pytest.raises(ValidationError, match="allowed_origins"):
        make_settings(codec_server={"allowed_origins": [origin]})
