"""What the GCS tests share: drivers of a real server, and a stub that answers as told."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from temporal_payloads.plugin import DriverContext
from temporal_payloads_gcs._http import Http
from temporal_payloads_gcs._plugin import temporal_payloads_driver
from temporal_payloads_gcs._settings import GCSSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

PLACE = "storage.drivers.gcs"
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def no_google_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own Google account and proxies out of the tests."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")


@pytest.fixture
def store_context() -> StorageDriverStoreContext:
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="r1", type="Order")
    )


@pytest.fixture
def open_driver() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Opens the plugin's driver as core does; without credentials, unless the settings say otherwise."""

    def open_(
        endpoint_url: str, bucket: str, largest_read: int | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Any]:
        return temporal_payloads_driver().open(
            GCSSettings(
                **{"bucket": bucket, "endpoint_url": endpoint_url, "anonymous": True} | settings,
            ),
            DriverContext(name="gcp.gcsdriver", place=PLACE, concurrency=8, largest_read=largest_read),
        )

    return open_


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that drivers send: method and, of the path, what was asked of an object."""
    requests: list[str] = []
    send = Http.send

    async def noted(self: Http, method: str, path: str, *args: Any, **options: Any) -> Any:
        query = urlsplit(path).query.partition("&")[0]
        requests.append(f"{method} {query}")
        return await send(self, method, path, *args, **options)

    monkeypatch.setattr(Http, "send", noted)
    return requests


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StubGCS:
    """A server that answers as a test tells it: for what no real server here can be brought to say.

    fake-gcs-server does not look at `ifGenerationMatch` in uploads: it writes over what is there, and never
    answers 412. It wants no credentials, has no quotas, and says "Not Found" in plain text, of objects and
    buckets alike, where Google's JSON says which of them is missing.
    """

    def __init__(self) -> None:
        self.endpoint_url = ""
        self.requests: list[str] = []
        self.answer: Answer | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.method)
        assert self.answer is not None, "the test set no answer"
        return await self.answer(request)

    def always(self, response: Callable[[], web.StreamResponse]) -> None:
        """Give every request this answer."""

        async def answer(request: web.Request) -> web.StreamResponse:
            await request.read()
            return response()

        self.answer = answer

    @staticmethod
    def error(status: int, message: str = "", reason: str = "") -> web.Response:
        """Return an error as Google writes it."""
        errors = [{"domain": "global", "reason": reason, "message": message}]
        return web.json_response(
            {"error": {"code": status, "message": message, "errors": errors}}, status=status
        )


class CreateOnlyBucket:
    """The answers of a bucket that keeps its word: what is there is not written over."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.received = 0
        """Bytes of bodies."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            name = unquote(request.rel_url.raw_path.rpartition("/")[2])
            found = name in self.objects
            return web.json_response({"generation": "1"}) if found else StubGCS.error(404, "No such object")
        assert request.query["ifGenerationMatch"] == "0"
        name = request.query["name"]
        if name in self.objects:
            return StubGCS.error(412, "At least one of the pre-conditions you specified did not hold.")
        data = await request.read()
        self.received += len(data)
        # Whoever was first while the body was on its way has written it.
        if name in self.objects:
            return StubGCS.error(412, "At least one of the pre-conditions you specified did not hold.")
        self.objects[name] = data
        return web.json_response({"generation": "1"})


@pytest.fixture
async def stub() -> AsyncIterator[StubGCS]:
    stub = StubGCS()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    async with TestServer(app) as running:
        stub.endpoint_url = str(running.make_url("")).rstrip("/")
        yield stub


@pytest.fixture
def create_only(stub: StubGCS) -> CreateOnlyBucket:
    """What the stub keeps, when it is a bucket that is only ever added to."""
    bucket = CreateOnlyBucket()
    stub.answer = bucket.answer
    return bucket


@pytest.fixture
def payload() -> Callable[..., Payload]:
    """Makes payloads that differ by number, of about the size asked for."""

    def make(number: int, size: int = 100) -> Payload:
        return Payload(metadata={"encoding": b"binary/plain"}, data=random.Random(number).randbytes(size))

    return make
