"""What the S3 tests share: drivers and clients of real servers, and a stub that answers as told."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import aioboto3
import pytest
from aiobotocore.config import AioConfig
from aiohttp import web
from aiohttp.test_utils import TestServer
from local_servers import S3Server
from temporal_payloads.plugin import DriverContext
from temporal_payloads_s3._plugin import temporal_payloads_driver
from temporal_payloads_s3._settings import S3Settings
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

PLACE = "storage.drivers.s3"
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own AWS account out of the tests."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def store_context() -> StorageDriverStoreContext:
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="r1", type="Order")
    )


@pytest.fixture
def open_driver() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Opens the plugin's driver as core does; what a stub answers is final, unless the settings say not."""

    def open_(
        server: S3Server, bucket: str, largest_read: int | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Any]:
        return temporal_payloads_driver().open(
            S3Settings(
                **{
                    "bucket": bucket,
                    "endpoint_url": server.endpoint_url,
                    "region": server.region,
                    "access_key_id": server.access_key_id,
                    "secret_access_key": server.secret_access_key,
                    # SeaweedFS, which is a process, answers with an error now and then while it is busy.
                    "max_attempts": 1 if server.process_group is None else 3,
                    **settings,
                }
            ),
            DriverContext(name="aws.s3driver", place=PLACE, concurrency=8, largest_read=largest_read),
        )

    return open_


@dataclass
class Wire:
    """An aioboto3 client, and the requests that it sent."""

    client: Any
    sent: list[str] = field(default_factory=list)

    def note(self, request: Any, **_event: Any) -> None:
        self.sent.append(request.method)

    def take(self) -> list[str]:
        """Return the methods of the requests since the last call."""
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
async def wire(s3_server: S3Server) -> AsyncIterator[Wire]:
    """A client of the real server that counts its requests."""
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        region_name=s3_server.region,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
        config=AioConfig(retries={"mode": "standard", "total_max_attempts": 1}),
    ) as client:
        wire = Wire(client)
        client.meta.events.register("before-send.s3", wire.note)
        yield wire


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StubS3:
    """A server that answers as a test tells it: for what no real server here can be brought to say."""

    def __init__(self) -> None:
        self.server = S3Server(endpoint_url="")
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
    def error(
        status: int, code: str, message: str = "", headers: dict[str, str] | None = None
    ) -> web.Response:
        """Return an error as S3 writes it."""
        return web.Response(
            status=status,
            text=f"<Error><Code>{code}</Code><Message>{message}</Message></Error>",
            content_type="application/xml",
            headers=headers,
        )


@pytest.fixture
async def stub() -> AsyncIterator[StubS3]:
    stub = StubS3()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    async with TestServer(app) as running:
        stub.server = S3Server(endpoint_url=str(running.make_url("")).rstrip("/"))
        yield stub


@pytest.fixture
def payload() -> Callable[..., Payload]:
    """Makes payloads that differ by number, of about the size asked for."""

    def make(number: int, size: int = 100) -> Payload:
        return Payload(metadata={"encoding": b"binary/plain"}, data=random.Random(number).randbytes(size))

    return make
