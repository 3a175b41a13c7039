"""The batch's page in Temporal's Web UI, in a real browser: readable, and what is large comes on a click."""

import base64
import contextlib
import hashlib
import json
import re
import time

import jwt
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

pytestmark = [pytest.mark.browser, pytest.mark.server]

STORED = re.compile(r"([\d.]+) KB payload stored externally")
SECONDS = 30_000


def show(page, stage):
    """Open the batch's page and wait until it shows what was decoded."""
    page.goto(stage.page)
    page.get_by_text("average_delivery_days").first.wait_for(timeout=SECONDS)
    page.get_by_text(STORED).first.wait_for(timeout=SECONDS)


def shown_summaries(page):
    """The JSON objects in the page's input and result."""
    texts = page.locator("pre, .cm-content").all_inner_texts()
    for text in texts:
        if text.lstrip().startswith("{"):
            # What is not yet there to its end is looked at again.
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(text)


def wait_until(page, is_so, describe):
    """Wait until it is so; if it does not come to that, tell what is there instead."""
    deadline = time.monotonic() + SECONDS / 1000
    while not is_so():
        assert time.monotonic() < deadline, describe()
        # Unlike a plain sleep this lets the page's events through.
        page.wait_for_timeout(50)


def check_input_and_result(page, stage):
    def has_input_and_result():
        summaries = list(shown_summaries(page))
        result = stage.batch.summary
        return {"batch_id": "browser", "order_count": 200} in summaries and any(
            summary.get("total_shipping_cost_cents") == result.total_shipping_cost_cents
            and summary.get("total_weight_grams") == result.total_weight_grams
            for summary in summaries
        )

    wait_until(page, has_input_and_result, lambda: list(shown_summaries(page)))


def click_and_download(page):
    """Open the event that has a stored payload, click on its size, and return the file that is saved."""
    found = page.get_by_text(STORED).first
    match = STORED.search(found.inner_text())
    assert match is not None
    size = match[1]
    found.click()
    with page.expect_download(timeout=SECONDS) as download:
        page.get_by_role("button", name=f"{size} KB").click()
    return float(size), download.value


def test_input_and_result_are_readable_and_a_click_downloads_the_order_list(
    stage, browser, codec_server, screenshot_directory
):
    with codec_server(port=stage.codec_port) as server:
        page = browser().new_page(viewport={"width": 1400, "height": 1800})
        show(page, stage)
        check_input_and_result(page, stage)
        page.screenshot(path=screenshot_directory / "web-ui.png", full_page=True)
        # Nothing is fetched before somebody asks for it.
        assert not server.requests("download")
        assert "stored payload" not in server.log

        size, download = click_and_download(page)
        page.screenshot(path=screenshot_directory / "web-ui-downloaded.png", full_page=True)
        text = download.path().read_text()
        orders = json.loads(text)
        assert len(orders) == 200
        assert orders[0]["order_id"] == "browser-00001"
        assert "\n  " in text  # for people
        assert 100 < size < 1000
        wait_until(page, lambda: server.requests("download"), lambda: server.log)
        [line] = server.requests("download")
        assert "status=200" in line
        [audit] = [line for line in server.log.splitlines() if "stored payload" in line]
        assert "outcome=served" in audit
        assert "who=anonymous" in audit


def test_the_same_with_a_token_of_an_identity_provider_over_tls(
    stage, browser, codec_server, screenshot_directory, tmp_path
):
    key = rsa.generate_private_key(65537, 2048)
    keys = tmp_path / "keys.json"
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys.write_text(json.dumps({"keys": [{**public, "kid": "k1", "use": "sig"}]}))
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    claims = {
        "iss": "https://login.example.com/",
        "aud": "payloads",
        "sub": "ada",
        "email": "ada@example.com",
        "exp": time.time() + 600,
        "permissions": ["default:read"],
    }
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k1"})

    with codec_server(
        TLS__CERT_FILE=tmp_path / "cert.pem",
        TLS__KEY_FILE=tmp_path / "key.pem",
        AUTH__JWT__JWKS_FILE=keys,
        AUTH__JWT__ISSUER="https://login.example.com/",
        AUTH__JWT__AUDIENCE="payloads",
    ) as server:
        assert server.url.startswith("https://")
        # Chromium trusts this one key, as it would trust a certificate of a known authority.
        chromium = browser(f"--ignore-certificate-errors-spki-list={_key_hash(certificate)}")
        page = chromium.new_page(viewport={"width": 1400, "height": 1800})
        settings = {
            "endpoint": json.dumps(server.url),
            "overrideRemoteCodecConfiguration": "true",
            "passAccessToken": "true",
            "includeCredentials": "false",
        }
        for name, value in settings.items():
            page.add_init_script(f"localStorage.setItem({json.dumps(name)}, {json.dumps(value)})")
        _log_in(page, stage, {"AccessToken": token, "IDToken": "the-id-token", "Name": "Ada"})

        sent_requests = []
        page.on(
            "request", lambda request: sent_requests.append(request) if server.url in request.url else None
        )
        show(page, stage)
        check_input_and_result(page, stage)
        sent = sent_requests[-1].all_headers()
        assert sent["authorization"] == f"Bearer {token}"
        assert sent["authorization-extras"] == "the-id-token"
        assert not server.requests("download")
        page.screenshot(path=screenshot_directory / "web-ui-jwt.png", full_page=True)

        _, download = click_and_download(page)
        assert len(json.loads(download.path().read_text())) == 200
        wait_until(page, lambda: server.requests("download"), lambda: server.log)
        [line] = server.requests("download")
        assert "who=ada@example.com" in line
        assert token not in server.log


def test_the_page_stays_encoded_for_somebody_without_a_token(stage, browser, codec_server):
    with codec_server(port=stage.codec_port, AUTH__TOKENS__CLI__TOKEN="a-token-of-some-length") as server:
        page = browser().new_page()
        page.goto(stage.page)
        page.get_by_text(STORED).first.wait_for(timeout=SECONDS)
        # The page may show what the history has before it was refused more.
        wait_until(page, lambda: server.requests("decode"), lambda: server.log)
        assert all("status=401" in line for line in server.requests("decode"))
        assert not page.get_by_text("average_delivery_days").count()


def _log_in(page, stage, user):
    """Leave what the Web UI's server leaves after a login at an identity provider.

    The development server has no login to set up, so its settings are made to say that there is one.
    """

    def with_login(route):
        answer = route.fetch()
        settings = answer.json()
        settings["Auth"] = {**(settings.get("Auth") or {}), "Enabled": True}
        route.fulfill(response=answer, json=settings)

    page.route("**/api/v1/settings*", with_login)
    cookie = base64.b64encode(json.dumps(user).encode()).decode()
    page.context.add_cookies([{"name": "user0", "value": cookie, "url": stage.temporal.ui_url}])


def _key_hash(certificate):
    leaf = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
    spki = leaf.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()
