"""The plugin as core finds it, and what its settings make of the requests."""

import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from local_servers import S3Server
from temporal_payloads.plugin import DriverContext, StorageUnavailableError
from temporal_payloads_s3 import _plugin
from temporal_payloads_s3._open import _new_client, _new_session
from temporal_payloads_s3._settings import S3Settings

MIB = 1024 * 1024


def test_registering_the_plugin_loads_no_aws_library() -> None:
    program = (
        "import sys; import temporal_payloads_s3._plugin as p; p.temporal_payloads_driver();"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'aioboto3', 'aiobotocore', 'boto3', 'botocore', 'aiohttp'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_entry_point_leads_to_the_plugin() -> None:
    (entry_point,) = entry_points(group="temporal_payloads.drivers", name="s3")
    assert entry_point.load() is _plugin
    plugin = _plugin.temporal_payloads_driver()
    assert (plugin.api_version, plugin.driver_type, plugin.driver_name) == (1, "aws.s3driver", "aws.s3driver")
    assert plugin.expiry(S3Settings(bucket="payloads")) is None


HERE = {"bucket": "payloads", "region": "eu-west-1", "access_key_id": "a", "secret_access_key": "secret"}


@pytest.mark.parametrize(
    "tuned",
    [
        {"pool_size": 3, "connect_timeout": "1s", "read_timeout": "2s", "max_attempts": 1},
        {"access_key_id": "rotated", "secret_access_key": "other", "session_token": "token"},
        {"storage_class": "STANDARD_IA", "tags": {"team": "orders"}, "part_size": "16MiB"},
    ],
)
def test_tuning_and_new_credentials_leave_the_store_what_it_was(tuned: dict[str, Any]) -> None:
    assert identity(HERE | tuned) == identity(HERE)


@pytest.mark.parametrize(
    "other",
    [
        {"bucket": "other-payloads"},
        {"bucket": "payloads-{namespace}"},
        {"region": "cn-north-1"},
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"profile": "tenant", "access_key_id": None, "secret_access_key": None},
    ],
)
def test_another_bucket_endpoint_or_account_is_another_store(other: dict[str, Any]) -> None:
    assert identity(HERE | other) != identity(HERE)


def identity(settings: dict[str, Any]) -> object:
    plugin = _plugin.temporal_payloads_driver()
    assert plugin.identity
    return plugin.identity(S3Settings(**settings))


@pytest.fixture
def accept(stub: Any) -> list[dict[str, str]]:
    """Lets the stub accept every upload, and returns the headers of the requests."""
    received: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        received.append({name.lower(): value for name, value in request.headers.items()})
        if "uploads" in request.query:
            xml = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            return web.Response(text=xml, content_type="application/xml")
        return web.Response(headers={"ETag": '"e"'})

    stub.answer = answer
    return received


@pytest.mark.parametrize("size", [100, 17 * MIB])
async def test_encryption_class_and_tags_go_with_every_object(
    *, stub: Any, accept: Any, open_driver: Any, store_context: Any, payload: Any, size: int
) -> None:
    settings = {
        "server_side_encryption": "aws:kms",
        "kms_key_id": "key-1",
        "storage_class": "STANDARD_IA",
        "tags": {"team": "orders & more", "env": "prod"},
    }
    async with open_driver(stub.server, "payloads", **settings) as driver:
        await driver.store(store_context, [payload(1, size)])
    first = accept[0]
    assert first["x-amz-server-side-encryption"] == "aws:kms"
    assert first["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
    assert first["x-amz-storage-class"] == "STANDARD_IA"
    assert first["x-amz-tagging"] == "team=orders+%26+more&env=prod"


@pytest.mark.parametrize(
    ("settings", "sent"), [({}, False), ({"request_checksum_calculation": "when_supported"}, True)]
)
async def test_a_compatible_store_is_sent_checksums_only_if_asked(
    *, stub: Any, accept: Any, open_driver: Any, store_context: Any, payload: Any, settings: Any, sent: bool
) -> None:
    async with open_driver(stub.server, "payloads", **settings) as driver:
        await driver.store(store_context, [payload(1)])
    assert [name.startswith("x-amz-checksum-") for name in accept[0]].count(True) == sent


async def test_checksums_of_parts_are_told_again_at_the_end(
    s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    large = payload(1, 17 * MIB)
    async with open_driver(
        s3_server,
        s3_bucket,
        request_checksum_calculation="when_supported",
        response_checksum_validation="when_supported",
    ) as driver:
        claims = await driver.store(store_context, [large])
        assert await driver.retrieve(None, claims) == [large]


def context(concurrency: int) -> DriverContext:
    return DriverContext(name="aws.s3driver", place="storage.drivers.s3", concurrency=concurrency)


@pytest.mark.parametrize(
    ("settings", "concurrency", "expected"), [({}, 3, 10), ({}, 32, 32), ({"pool_size": 5}, 32, 5)]
)
async def test_the_pool_is_as_large_as_the_concurrency(
    settings: Any, concurrency: int, expected: int
) -> None:
    configured = S3Settings(bucket="payloads", **settings)
    async with _new_client(_new_session(configured), configured, context(concurrency)) as aioboto3_client:
        client: Any = aioboto3_client
        assert client.meta.config.max_pool_connections == expected


async def test_on_aws_the_bucket_is_in_the_host_name_and_objects_have_checksums() -> None:
    settings = S3Settings.model_validate(
        {"bucket": "payloads", "region": "eu-west-1", "access_key_id": "AK", "secret_access_key": "SK"}
    )
    async with _new_client(_new_session(settings), settings, context(3)) as aioboto3_client:
        client: Any = aioboto3_client
        assert client.meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
        assert client.meta.config.request_checksum_calculation == "when_supported"
        url = await client.generate_presigned_url("get_object", Params={"Bucket": "payloads", "Key": "k"})
    assert url.startswith("https://payloads.s3.")


@pytest.fixture
async def tls_server(stub: Any, tmp_path: Path) -> AsyncIterator[tuple[S3Server, Path]]:
    """The stub behind TLS, and the certificate of the authority that vouches for it."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_bundle))
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=tls)
    yield S3Server(endpoint_url=str(server.make_url("")).rstrip("/")), ca_bundle
    await server.close()


@pytest.mark.parametrize("size", [100, 17 * MIB])
@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
async def test_a_store_with_a_certificate_of_its_own_is_trusted_by_its_ca_bundle(
    *,
    tls_server: Any,
    accept: Any,
    open_driver: Any,
    store_context: Any,
    payload: Any,
    size: int,
    checksums: str,
) -> None:
    server, ca_bundle = tls_server
    settings = {"ca_bundle": ca_bundle, "request_checksum_calculation": checksums}
    async with open_driver(server, "payloads", **settings) as driver:
        await driver.store(store_context, [payload(1, size)])
    # Over TLS no body is hashed for its signature.
    hashed = {
        request["x-amz-content-sha256"] for request in accept if request.get("x-amz-decoded-content-length")
    }
    assert hashed == ({"STREAMING-UNSIGNED-PAYLOAD-TRAILER"} if checksums == "when_supported" else set())


async def test_a_store_with_a_certificate_of_its_own_is_not_trusted_otherwise(
    tls_server: Any, open_driver: Any
) -> None:
    server, _ = tls_server
    async with open_driver(server, "payloads") as driver:
        with pytest.raises(StorageUnavailableError, match=r"certificate verify failed.*s3\.ca_bundle"):
            await driver.check()
