"""The `s3` entry point: what core needs to know of this plugin, without loading the AWS libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverContext, DriverPlugin, hookimpl

from temporal_payloads_s3._claims import confine
from temporal_payloads_s3._settings import S3Settings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from temporalio.converter import StorageDriver


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[S3Settings]:
    """Describe the S3 driver; see `temporal_payloads.plugin`."""
    return DriverPlugin(
        api_version=1,
        settings=S3Settings,
        driver_type="aws.s3driver",
        driver_name="aws.s3driver",
        identity=_identity,
        open=_open,
        # The second one is what aioboto3 would import as late as it makes a client.
        imports=("temporal_payloads_s3._open", "aioboto3.s3.inject"),
        confine=confine,
        retries=True,
        destination=("endpoint_url",),
        ambient_credentials=(
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_SHARED_CREDENTIALS_FILE",
        ),
    )


def _identity(settings: S3Settings) -> dict[str, object]:
    # No access key: it is replaced again and again, and leads to the same bucket.
    return settings.model_dump(include={"bucket", "endpoint_url", "region", "profile"})


def _open(settings: S3Settings, context: DriverContext) -> AbstractAsyncContextManager[StorageDriver]:
    # Imported here because it imports aioboto3, which takes a third of a second.
    from temporal_payloads_s3._open import open_driver  # noqa: PLC0415

    return open_driver(settings, context)
