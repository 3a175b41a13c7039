"""What the Azure tests share: drivers and containers of Azurite, and a stub that answers as told."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import ContainerClient as AsyncContainerClient
from local_servers import AzuriteServer, start_azurite
from temporal_payloads.plugin import DriverContext
from temporal_payloads_azure_blob._open import Transport
from temporal_payloads_azure_blob._plugin import temporal_payloads_driver
from temporal_payloads_azure_blob._settings import AzureBlobSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

PLACE = "storage.drivers.azure_blob"
MIB = 1024 * 1024
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_azure_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own Azure account, and proxies, out of the tests."""
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def store_context() -> StorageDriverStoreContext:
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="r1", type="Order")
    )


@pytest.fixture
def payload() -> Callable[..., Payload]:
    """Makes payloads that differ by number, of about the size asked for."""

    def make(number: int, size: int = 100) -> Payload:
        return Payload(metadata={"encoding": b"binary/plain"}, data=random.Random(number).randbytes(size))

    return make


OpenDriver = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def open_driver() -> OpenDriver:
    """Opens the driver as core does; without retries, unless the settings say otherwise."""

    def open_(
        concurrency: int = 8, largest_read: int | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Any]:
        return temporal_payloads_driver().open(
            AzureBlobSettings(**{"max_attempts": 1, **settings}),
            DriverContext(name="azure_blob", place=PLACE, concurrency=concurrency, largest_read=largest_read),
        )

    return open_


@dataclass
class Container:
    """A container of Azurite, and the way around the driver."""

    server: AzuriteServer
    name: str
    client: ContainerClient

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that lead to it, with the account's key."""
        return {
            "container": self.name,
            "account_url": self.server.account_url,
            "account_key": self.server.account_key,
        }

    def settings_with_sas(
        self, permissions: str, expires_in: timedelta = timedelta(hours=1)
    ) -> dict[str, Any]:
        """The settings that lead to it, with a SAS of these permissions (`rc`)."""
        sas = generate_container_sas(
            self.server.account_name,
            self.name,
            account_key=self.server.account_key,
            permission=ContainerSasPermissions.from_string(permissions),
            expiry=datetime.now(UTC) + expires_in,
        )
        return {"container": self.name, "account_url": self.server.account_url, "sas_token": sas}

    def names(self) -> list[str]:
        """What is in it, blobs of which only blocks are there included."""
        return [blob.name for blob in self.client.list_blobs(include=["uncommittedblobs"])]

    def blob(self, key: str) -> bytes:
        """Return a blob's bytes."""
        return self.client.download_blob(key).readall()


@pytest.fixture
def container(azurite_server: AzuriteServer, azure_container: str) -> Iterator[Container]:
    with ContainerClient(
        azurite_server.account_url, azure_container, credential=credential_of(azurite_server)
    ) as client:
        yield Container(azurite_server, azure_container, client)


def credential_of(server: AzuriteServer) -> dict[str, str]:
    return {"account_name": server.account_name, "account_key": server.account_key}


@dataclass
class Wire:
    """A client of a container, and the requests that it sent."""

    client: AsyncContainerClient
    sent: list[str] = field(default_factory=list)
    when_sent: Callable[[str], None] = lambda _request: None

    def note(self, request: Any) -> None:
        comp = request.http_request.query.get("comp")
        self.sent.append(f"{request.http_request.method} {comp}" if comp else request.http_request.method)
        self.when_sent(self.sent[-1])

    def take(self) -> list[str]:
        """Return the requests since the last call: the method, and what it is about (`PUT block`)."""
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
async def wire(container: Container) -> AsyncIterator[Wire]:
    """A client of the container that notes its requests."""
    wire = Wire(client=None)  # type: ignore[arg-type]  # it is given what notes for it
    async with AsyncContainerClient(
        container.server.account_url,
        container.name,
        credential=credential_of(container.server),
        transport=Transport(),
        raw_request_hook=wire.note,
        retry_total=0,
    ) as client:
        wire.client = client
        yield wire


@pytest.fixture(scope="session")
def tls_azurite(
    azurite_server: AzuriteServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AzuriteServer]:
    """Azurite with TLS, in which identities log in, and a container `payloads`."""
    del azurite_server  # skips the test if there is no program
    with start_azurite(tmp_path_factory.mktemp("azurite-tls"), tls=True) as server:
        server.create_container("payloads")
        yield server


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StubAzure:
    """A server that answers as a test tells it: for what Azurite can't be brought to say."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.answer: Answer | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"container": "payloads", "account_url": f"{self.url}/account", "account_key": "a2V5"}

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
    def error(status: int, code: str, message: str = "It failed.\nRequestId:1\nTime:now") -> web.Response:
        """Return an error as Azure writes it."""
        return web.Response(
            status=status,
            text=f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>",
            content_type="application/xml",
            headers={"x-ms-error-code": code, "x-ms-version": "2021-12-02"},
        )


@pytest.fixture
async def stub() -> AsyncIterator[StubAzure]:
    stub = StubAzure()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    async with TestServer(app) as running:
        stub.url = str(running.make_url("")).rstrip("/")
        yield stub
