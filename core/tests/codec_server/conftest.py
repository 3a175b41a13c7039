"""A codec server in this process, over a store in this process; HTTP is real."""

import asyncio
import base64
import gzip
import io
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import BaseModel, ConfigDict
from support.keys import encryption, put_keys_into_environment
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.references import Reference
from temporal_payloads.codec_server import create_app
from temporal_payloads.plugin import (
    ClaimRejectedError,
    CodecPlugin,
    ConfinedClaim,
    ContentAddressedDriver,
    DriverPlugin,
    PayloadIntegrityError,
    PerPayloadCodec,
    PluginRegistry,
    hookimpl,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverClaim,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WithSerializationContext,
    WorkflowSerializationContext,
)

UI = "http://localhost:8233"


class Store:
    """What the driver `memory` keeps, and what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads: Counter[str] = Counter()
        self.held = asyncio.Event()
        self.held.set()
        self.reading = asyncio.Event()
        self.failure: Exception | None = None
        self.is_open = False
        self.context: Any = None
        """What the driver that was opened last was told."""

    async def put(self, value: Payload, namespace: str | None = "default") -> Payload:
        """Store a payload, encoded already, and return its reference."""
        target = StorageDriverWorkflowInfo(namespace=namespace) if namespace else None
        [claim] = await MemoryDriver(self).store(StorageDriverStoreContext(target), [value])
        return Reference("memory", claim, value.ByteSize()).to_payload()


class MemoryDriver(ContentAddressedDriver):
    def __init__(self, store: Store) -> None:
        super().__init__(driver_name="memory")
        self._store = store

    def key_for(self, target: Any, sha256: str) -> str:
        return f"v0/ns/{target.namespace}/d/sha256/{sha256}" if target else f"v0/d/sha256/{sha256}"

    async def write(self, items: Any) -> None:
        if self._store.failure:
            raise self._store.failure
        self._store.objects.update(items)

    async def read(self, keys: Any) -> list[bytes | None]:
        self._store.reading.set()
        await self._store.held.wait()
        if self._store.failure:
            raise self._store.failure
        self._store.reads.update(keys)
        return [self._store.objects.get(key) for key in keys]

    async def check(self) -> None:
        if self._store.failure:
            raise self._store.failure


class MemorySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    password: str = ""


class MemoryPlugin:
    def __init__(self, store: Store) -> None:
        self._store = store

    @hookimpl
    def temporal_payloads_driver(self) -> DriverPlugin[MemorySettings]:
        return DriverPlugin(
            api_version=1,
            settings=MemorySettings,
            driver_type="memory",
            driver_name="memory",
            open=self._open,
            confine=self._confine,
            retries=True,
        )

    @asynccontextmanager
    async def _open(self, settings: Any, context: Any) -> AsyncIterator[MemoryDriver]:
        self._store.is_open, self._store.context = True, context
        yield MemoryDriver(self._store)
        self._store.is_open = False

    def _confine(self, settings: Any, claim: StorageDriverClaim) -> ConfinedClaim:
        key = claim.claim_data.get("key", "")
        if not key.startswith("v0/"):
            raise ClaimRejectedError(f"The key {key!r} lies outside v0/")
        parts = key.split("/")
        namespace = parts[2] if parts[1] == "ns" else None
        return ConfinedClaim(claim=claim, sha256=parts[-1], namespace=namespace)


class FlipCodec(PerPayloadCodec):
    """Encodes as gzip would, of the standard library; `binary/flip` is nobody else's."""

    def encode_payload(self, payload: Payload) -> Payload:
        return flipped(payload)

    def decode_payload(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != b"binary/flip":
            return payload
        try:
            return Payload.FromString(gzip.decompress(payload.data))
        except Exception as error:
            raise PayloadIntegrityError("the data is no gzip") from error


class FlipPlugin:
    @hookimpl
    def temporal_payloads_codec(self) -> CodecPlugin[MemorySettings]:
        return CodecPlugin(
            api_version=1,
            settings=MemorySettings,
            encodings=("binary/flip",),
            create=lambda settings: FlipCodec(),
        )


def flipped(payload: Payload) -> Payload:
    return Payload(
        metadata={"encoding": b"binary/flip"}, data=gzip.compress(payload.SerializeToString(), mtime=0)
    )


def plain(value: Any) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


class Api:
    """A client of the server that speaks as the Web UI does."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def post(
        self,
        operation: str,
        payloads: list[Payload] | Any = (),
        *,
        namespace: str | None = "default",
        headers: dict[str, str] | None = None,
        body: Any = None,
        **options: Any,
    ) -> ClientResponse:
        document = {"payloads": [MessageToDict(payload) for payload in payloads]}
        sent = {"Content-Type": "application/json", "Origin": UI, **(headers or {})}
        if namespace is not None:
            sent["X-Namespace"] = namespace
        data = io.BytesIO(json.dumps(document).encode()) if body is None else body
        return await self.client.post(f"/{operation}", data=data, headers=sent, **options)

    async def payloads(self, operation: str, payloads: list[Payload], **options: Any) -> list[Payload]:
        response = await self.post(operation, payloads, **options)
        document = await response.json()
        assert response.status == 200, document
        return [ParseDict(payload, Payload()) for payload in document["payloads"]]

    async def error(self, operation: str, *arguments: Any, **options: Any) -> tuple[int, str, str]:
        """Return status, code and message of an error, which has the form and headers of one."""
        response = await self.post(operation, *arguments, **options)
        document = await response.json()
        assert set(document) == {"code", "message"}
        assert response.headers["Access-Control-Allow-Origin"] == UI
        assert "Traceback" not in document["message"]
        return response.status, document["code"], document["message"]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def registry(store: Store) -> PluginRegistry:
    return _registry(store)


@pytest.fixture
async def pass_time() -> AsyncIterator[Callable[[float], None]]:
    """Let seconds pass at once for all that the event loop keeps the time of."""
    loop = asyncio.get_running_loop()
    passed = 0.0

    def passing(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: time.monotonic() + passed)
        yield passing


@pytest.fixture(scope="module")
def registry_module() -> PluginRegistry:
    return _registry(Store())


def _registry(store: Store) -> PluginRegistry:
    registry = PluginRegistry()
    registry.register_driver("memory", MemoryPlugin(store))
    registry.register_codec("flip", FlipPlugin())
    return registry


Serve = Callable[..., Awaitable[Api]]


@pytest.fixture
async def serve_app() -> AsyncIterator[Callable[[web.Application], Awaitable[Api]]]:
    """Start an application."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> Api:
            return Api(await stack.enter_async_context(TestClient(TestServer(app))))

        yield start


@pytest.fixture
def serve(registry: PluginRegistry, serve_app: Callable[[web.Application], Awaitable[Api]]) -> Serve:
    """Start a server with these `[codec_server]` settings, a codec and a store of everything over 1 KiB."""

    async def start(
        server: dict[str, Any] | None = None,
        *,
        profiles: dict[str, PayloadSettings] | None = None,
        **changes: Any,
    ) -> Api:
        settings = make_settings(codec_server=server or {}, **changes)
        return await serve_app(create_app(settings, profiles=profiles, registry=registry))

    return start


def make_settings(**changes: Any) -> PayloadSettings:
    values: dict[str, Any] = {
        "codecs": ["flip"],
        "storage": {"driver": "memory", "threshold": 1024, "cache": {"max_size": 0}},
        **changes,
    }
    return PayloadSettings(**values)


@pytest.fixture(name="make_settings", scope="session")
def make_settings_fixture() -> Callable[..., PayloadSettings]:
    return make_settings


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def encrypting(*keys: str, codecs: Sequence[str] = ("flip", "encryption"), **settings: Any) -> dict[str, Any]:
    """Return settings, of a server or a worker, that encrypt with the first of the keys."""
    return {"codecs": codecs, "codec": {"encryption": encryption(*keys, **settings)}}


def key_of(payload: Payload) -> str:
    assert payload.metadata["encoding"] == b"binary/encrypted"
    return payload.metadata["encryption-key-id"].decode()


def reason_of(payload: Payload) -> tuple[str, str]:
    """Take the code and the sentence out of a payload that came back as it was."""
    code, _, sentence = payload.metadata.pop("temporal-payloads-error").decode().partition(": ")
    return code, sentence


@pytest.fixture
def keys_in_environment(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:
    """Set the variables of `support.keys`."""
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def worker(registry: PluginRegistry) -> Callable[..., Awaitable[Payload]]:
    """Encode as a worker of a namespace does."""

    async def encode(payload: Payload, settings: dict[str, Any], namespace: str = "default") -> Payload:
        codec = build_data_converter(make_settings(**settings), registry=registry).payload_codec
        assert isinstance(codec, WithSerializationContext)
        context = WorkflowSerializationContext(namespace=namespace, workflow_id="w")
        [encoded] = await codec.with_context(context).encode([payload])
        return encoded

    return encode


class Make:
    """What tests need to make payloads; test modules cannot import from this file."""

    plain = staticmethod(plain)
    flipped = staticmethod(flipped)
    b64 = staticmethod(b64)
    bearer = staticmethod(bearer)
    encrypting = staticmethod(encrypting)
    key_of = staticmethod(key_of)
    reason_of = staticmethod(reason_of)
    UI = UI


class Provider:
    """An identity provider: keys, and tokens signed with them."""

    issuer = "https://login.example.com/"

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"k1": rsa.generate_private_key(65537, 2048)}
        self.others: list[Any] = []
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.requests = 0
        self.url = ""
        self.broken = False

    @property
    def jwks(self) -> dict[str, Any]:
        keys = []
        for name, key in self.keys.items():
            algorithm = (
                jwt.algorithms.RSAAlgorithm
                if isinstance(key, rsa.RSAPrivateKey)
                else jwt.algorithms.ECAlgorithm
            )
            entry = algorithm.to_jwk(key.public_key(), as_dict=True)
            keys.append({**entry, "kid": name, "use": "sig"})
        return {"keys": [*self.others, *keys]}

    def token(self, *, key: str = "k1", algorithm: str = "RS256", kid: str | None = "", **claims: Any) -> str:
        body = {"iss": self.issuer, "aud": "payloads", "sub": "ada", "exp": time.time() + 300, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        headers = {"kid": kid or key} if kid is not None else {}
        return jwt.encode(body, self.keys[key], algorithm=algorithm, headers=headers)

    async def serve_keys(self, request: web.Request) -> web.Response:
        del request
        self.requests += 1
        self.asked.set()
        await self.answering.wait()
        if self.broken:
            raise web.HTTPInternalServerError
        return web.json_response(self.jwks)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.add_routes([web.get("/keys", provider.serve_keys)])
    async with TestServer(app) as server:
        provider.url = str(server.make_url("/keys"))
        yield provider
        provider.answering.set()


@pytest.fixture
def with_jwt(provider: Provider) -> Callable[..., dict[str, Any]]:
    """Make `[codec_server]` settings that trust the provider."""

    def settings(**changes: Any) -> dict[str, Any]:
        own = {"jwks_url": provider.url, "issuer": provider.issuer, "audience": "payloads"}
        return {"auth": {"jwt": {**own, **changes}}}

    return settings


@pytest.fixture
def make() -> Make:
    return Make()
