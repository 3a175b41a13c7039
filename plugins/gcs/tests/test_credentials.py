"""Tokens: where they come from, when they are renewed, and what is said if there are none to be had."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gcloud.aio.auth.token as gcloud_token
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from temporal_payloads.plugin import (
    StorageMisconfiguredError,
    StoragePermissionError,
)
from temporal_payloads_gcs import _credentials

SECRET = "hunter2-hunter2"


class TokenServer:
    """Google's token endpoint, and its metadata server."""

    def __init__(self) -> None:
        self.url = ""
        self.given: list[str] = []
        self.fails_with: web.Response | None = None
        self.held = asyncio.Event()
        self.held.set()

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        await self.held.wait()
        await asyncio.sleep(0.01)
        if self.fails_with is not None:
            failure = self.fails_with
            return web.Response(status=failure.status, body=failure.body, content_type=failure.content_type)
        self.given.append(f"{SECRET}-{len(self.given) + 1}")
        token = self.given[-1]
        return web.json_response({"access_token": token, "accessToken": token, "expires_in": 3600})


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    tokens = TokenServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tokens.handle)
    async with TestServer(app) as running:
        tokens.url = str(running.make_url("/token"))
        yield tokens


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def service_file(tmp_path: Path, tokens: TokenServer, private_key: str) -> Path:
    """The key of a service account whose tokens come from `tokens`."""
    file = tmp_path / "key.json"
    account = {
        "type": "service_account",
        "client_email": "worker@mine.iam.gserviceaccount.com",
        "private_key": private_key,
        "token_uri": tokens.url,
    }
    file.write_text(json.dumps(account))
    return file


class Guarded:
    """The answers of a bucket that lets in who has the right token."""

    def __init__(self, stub: Any, tokens: TokenServer) -> None:
        self.shown: list[str] = []
        self._stub = stub
        self._tokens = tokens
        self.revoked: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.shown.append(token)
        if token not in self._tokens.given or token in self.revoked:
            answer: web.StreamResponse = self._stub.error(401, "Invalid Credentials", "authError")
            return answer
        return web.json_response({"generation": "1"}, headers={"x-goog-generation": "1"})


@pytest.fixture
def guarded(stub: Any, tokens: TokenServer) -> Guarded:
    guarded = Guarded(stub, tokens)
    stub.answer = guarded.answer
    return guarded


@pytest.fixture
def open_(stub: Any, open_driver: Any) -> Any:
    """Opens the driver with credentials."""
    return lambda **settings: open_driver(stub.endpoint_url, "payloads", anonymous=False, **settings)


async def test_one_token_serves_all_requests(
    *, guarded: Guarded, tokens: TokenServer, open_: Any, service_file: Path, store_context: Any, payload: Any
) -> None:
    async with open_(service_file=service_file) as driver:
        await driver.store(store_context, [payload(number) for number in range(20)])
    assert guarded.shown == tokens.given * 20
    assert len(tokens.given) == 1


@pytest.fixture(params=["GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"])
def ambient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, service_file: Path) -> None:
    """The credentials are where Google's own tools look for them."""
    value = service_file
    if request.param == "CLOUDSDK_CONFIG":
        value = service_file.parent
        service_file.rename(value / "application_default_credentials.json")
    monkeypatch.setenv(request.param, str(value))


@pytest.mark.usefixtures("ambient")
async def test_without_a_service_file_the_application_default_credentials_are_used(
    *, guarded: Guarded, tokens: TokenServer, open_: Any, store_context: Any, payload: Any
) -> None:
    async with open_() as driver:
        await driver.store(store_context, [payload(1)])
    assert guarded.shown == tokens.given


USER = {"client_id": "id", "client_secret": "secret", "refresh_token": "token"}


@pytest.fixture(params=["authorized_user", "impersonated_service_account", "external_account"])
def other_file(request: pytest.FixtureRequest, tmp_path: Path, tokens: TokenServer) -> Path:
    """What gcloud writes for a user, for impersonation, and for workload identity federation."""
    (tmp_path / "subject").write_text("subject token")
    kinds: dict[str, dict[str, Any]] = {
        "authorized_user": USER,
        "impersonated_service_account": {
            "source_credentials": USER,
            "service_account_impersonation_url": tokens.url,
        },
        "external_account": {
            "audience": "pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": tokens.url,
            "credential_source": {"file": str(tmp_path / "subject")},
        },
    }
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"type": request.param, "token_uri": tokens.url, **kinds[request.param]}))
    return file


async def test_other_credentials_than_a_service_accounts_key_do_as_well(
    *, guarded: Guarded, tokens: TokenServer, open_: Any, other_file: Path, store_context: Any, payload: Any
) -> None:
    async with open_(service_file=other_file) as driver:
        await driver.store(store_context, [payload(1)])
    assert guarded.shown == tokens.given[-1:]


async def test_on_google_cloud_tokens_come_from_the_metadata_server(
    *,
    monkeypatch: pytest.MonkeyPatch,
    guarded: Guarded,
    tokens: TokenServer,
    open_: Any,
    store_context: Any,
    payload: Any,
) -> None:
    monkeypatch.setattr(gcloud_token, "GCE_ENDPOINT_TOKEN", tokens.url)
    async with open_() as driver:
        await driver.store(store_context, [payload(1)])
    assert guarded.shown == tokens.given


async def test_a_token_is_renewed_before_it_ends(
    *,
    monkeypatch: pytest.MonkeyPatch,
    guarded: Guarded,
    tokens: TokenServer,
    open_: Any,
    service_file: Path,
    store_context: Any,
    payload: Any,
) -> None:
    monkeypatch.setattr(_credentials, "_USED_UP", 0)
    async with open_(service_file=service_file) as driver:
        async with asyncio.timeout(10):
            while len(set(guarded.shown)) < 2:
                await driver.store(store_context, [payload(len(guarded.shown))])
    assert guarded.shown[-1] in tokens.given[1:]


async def test_a_token_that_is_still_good_serves_while_the_token_server_hangs(
    *,
    monkeypatch: pytest.MonkeyPatch,
    guarded: Guarded,
    tokens: TokenServer,
    open_: Any,
    service_file: Path,
    store_context: Any,
    payload: Any,
) -> None:
    monkeypatch.setattr(_credentials, "_USED_UP", 0)
    monkeypatch.setattr(_credentials, "_REFRESH_TIMEOUT", 3600)
    async with open_(service_file=service_file) as driver:
        await driver.store(store_context, [payload(1)])
        tokens.held.clear()
        async with asyncio.timeout(10):
            await driver.store(store_context, [payload(2)])
            await driver.store(store_context, [payload(3)])
        assert guarded.shown == tokens.given * 3
        tokens.held.set()


async def test_a_token_that_is_refused_late_does_not_take_its_successor_along(tokens: TokenServer) -> None:
    credentials = _credentials.TokenCredentials(Numbered())  # type: ignore[arg-type]  # for tokens alone
    old = await credentials.headers()
    credentials.refused(old)
    new = await credentials.headers()
    credentials.refused(old)
    assert await credentials.headers() == new != old
    credentials.refused(new)
    assert await credentials.headers() != new


async def test_whoever_waits_for_a_token_gets_it_though_it_is_refused_in_the_same_moment() -> None:
    credentials = _credentials.TokenCredentials(Numbered())  # type: ignore[arg-type]  # for tokens alone
    waiting = [asyncio.create_task(credentials.headers()) for _ in range(3)]
    await asyncio.sleep(0)
    assert credentials._renewal
    credentials._renewal.add_done_callback(lambda task: credentials.refused(task.result()))
    assert await asyncio.gather(*waiting) == [{"Authorization": "Bearer 1"}] * 3
    assert await credentials.headers() == {"Authorization": "Bearer 2"}


class Numbered:
    """What makes tokens: 1, 2, 3."""

    expires_in = 3600

    def __init__(self) -> None:
        self.value = 0

    async def refresh(self, **_options: object) -> Any:
        await asyncio.sleep(0)
        self.value += 1
        return self


async def test_a_token_that_is_still_good_serves_while_its_renewal_fails(
    *,
    monkeypatch: pytest.MonkeyPatch,
    guarded: Guarded,
    tokens: TokenServer,
    open_: Any,
    service_file: Path,
    store_context: Any,
    payload: Any,
) -> None:
    monkeypatch.setattr(_credentials, "_USED_UP", 0)
    async with open_(service_file=service_file) as driver:
        await driver.store(store_context, [payload(1)])
        tokens.fails_with = web.Response(status=503)
        await driver.store(store_context, [payload(2)])
        await driver.store(store_context, [payload(3)])
    assert guarded.shown == tokens.given * 3


async def test_a_token_that_was_revoked_is_told_once_and_replaced(
    *, guarded: Guarded, tokens: TokenServer, open_: Any, service_file: Path, store_context: Any, payload: Any
) -> None:
    async with open_(service_file=service_file) as driver:
        await driver.store(store_context, [payload(1)])
        guarded.revoked.update(tokens.given)
        with pytest.raises(StoragePermissionError, match="credentials are not accepted") as caught:
            await driver.store(store_context, [payload(1)])
        assert SECRET not in str(caught.value)
        await driver.store(store_context, [payload(1)])
    assert len(tokens.given) == 2


def all_that_is_recorded(error: BaseException) -> str:
    """Return the error with its causes, as a history has them, and with its traceback, as a log has it."""
    return repr(error) + "".join(traceback.format_exception(error))


INVALID_GRANT = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (web.json_response(INVALID_GRANT, status=400), "answered 400: invalid_grant: Invalid JWT Signature."),
        (web.json_response({"error_uri": SECRET}, status=400), "the token server answered 400;"),
        (web.Response(status=500, text=SECRET), "the token server answered 500;"),
        (
            web.json_response({"secret": SECRET}),
            "the credentials, or the token server's answer, lack 'id_token'",
        ),
        (web.Response(text=SECRET), "the token server's answer is no token"),
    ],
    ids=["refused", "refused oddly", "down", "no token", "no json"],
)
async def test_a_token_that_is_not_to_be_had_is_a_retryable_problem_of_the_credentials(
    *,
    guarded: Guarded,
    tokens: TokenServer,
    open_: Any,
    service_file: Path,
    store_context: Any,
    payload: Any,
    failure: web.Response,
    told: str,
) -> None:
    tokens.fails_with = failure
    async with open_(service_file=service_file) as driver:
        with pytest.raises(
            StoragePermissionError, match=r"look at storage\.drivers\.gcs\.service_file"
        ) as caught:
            await driver.store(store_context, [payload(number) for number in range(20)])
        assert told in str(caught.value)
        assert SECRET not in all_that_is_recorded(caught.value)
        assert "PRIVATE KEY" not in all_that_is_recorded(caught.value)
        assert not caught.value.non_retryable
        assert not caught.value.store_asked
        tokens.fails_with = None
        await driver.store(store_context, [payload(1)])


async def test_a_token_server_that_is_not_known_here_is_told(
    monkeypatch: pytest.MonkeyPatch, guarded: Guarded, open_: Any
) -> None:
    monkeypatch.setattr(gcloud_token, "GCE_ENDPOINT_TOKEN", "http://metadata.invalid/token")
    async with open_() as driver:
        with pytest.raises(
            StoragePermissionError, match=r"metadata\.invalid is not known here.*metadata server"
        ):
            await driver.check()


@pytest.fixture
def wrong_key(service_file: Path) -> Path:
    account = json.loads(service_file.read_text()) | {"private_key": SECRET}
    service_file.write_text(json.dumps(account))
    return service_file


async def test_a_key_that_is_none_is_told_without_it(guarded: Guarded, open_: Any, wrong_key: Path) -> None:
    async with open_(service_file=wrong_key) as driver:
        with pytest.raises(StoragePermissionError, match="the credentials are not usable") as caught:
            await driver.check()
    assert SECRET not in all_that_is_recorded(caught.value)


@pytest.mark.parametrize("by_variable", [False, True])
@pytest.mark.parametrize(
    "text", [SECRET, "[]", "{}", f'{{"type": "{SECRET}"}}', '{"type": "external_account"}']
)
async def test_a_file_that_holds_no_credentials_is_told_and_not_passed_over(
    *, monkeypatch: pytest.MonkeyPatch, open_: Any, tmp_path: Path, text: str, by_variable: bool
) -> None:
    file = tmp_path / "key.json"
    file.write_text(text)
    where = r"storage\.drivers\.gcs\.service_file"
    settings = {"service_file": file}
    if by_variable:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        where, settings = "the variable GOOGLE_APPLICATION_CREDENTIALS", {}
    with pytest.raises(
        StorageMisconfiguredError, match=f"key.json' is not usable .*correct {where}"
    ) as caught:
        async with open_(**settings):
            pass
    assert SECRET not in all_that_is_recorded(caught.value)
    assert not caught.value.store_asked


async def test_a_file_that_the_variable_names_and_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, open_: Any
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    with pytest.raises(StorageMisconfiguredError, match="No such file"):
        async with open_():
            pass


@pytest.fixture
def distant(service_file: Path) -> Path:
    """A service account whose tokens come from somewhere else than this machine."""
    account = json.loads(service_file.read_text()) | {"token_uri": "https://tokens.example.com"}
    service_file.write_text(json.dumps(account))
    return service_file


async def test_a_proxy_that_refuses_to_lead_to_the_token_server_is_told_without_its_password(
    *, monkeypatch: pytest.MonkeyPatch, guarded: Guarded, open_: Any, distant: Path, refusing_proxy: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # the store is reached
    async with open_(service_file=distant) as driver:
        with pytest.raises(StoragePermissionError, match=r"the proxy .* answered 407") as caught:
            await driver.check()
    assert refusing_proxy not in all_that_is_recorded(caught.value)
