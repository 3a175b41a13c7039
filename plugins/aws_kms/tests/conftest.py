from collections.abc import Iterator
from contextlib import asynccontextmanager

import boto3  # type: ignore[import-untyped]  # it has no types of its own
import pytest
from temporal_payloads.plugin import KeyProviderContext
from temporal_payloads_aws_kms._plugin import temporal_payloads_key_provider
from temporal_payloads_aws_kms._settings import KmsSettings

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own AWS account out of the tests."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def kms(moto_server) -> Iterator[object]:
    """A plain boto3 client of moto's KMS."""
    client = boto3.client(
        "kms",
        region_name=REGION,
        endpoint_url=moto_server.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield client
    client.close()


@pytest.fixture
def new_key(kms):
    """Make a key in KMS; returns its ARN."""
    return lambda: kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def settings(moto_server):
    """Settings of the plugin for moto's KMS."""

    def settings(**changes):
        given = {
            "region": REGION,
            "endpoint_url": moto_server.endpoint_url,
            "access_key_id": "test",
            "secret_access_key": "test",
        }
        return {name: value for name, value in {**given, **changes}.items() if value is not None}

    return settings


@pytest.fixture
def open_provider(settings):
    """Open a provider as core does, without what core puts around it."""

    @asynccontextmanager
    async def open_provider(**changes):
        plugin = temporal_payloads_key_provider()
        context = KeyProviderContext(place="key_providers.awskms")
        async with plugin.open(KmsSettings(**settings(**changes)), context) as provider:
            yield provider

    return open_provider
