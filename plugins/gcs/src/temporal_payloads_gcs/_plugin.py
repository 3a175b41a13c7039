"""The `gcs` entry point: what core needs to know of this plugin, without loading Google's libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverContext, DriverPlugin, hookimpl

from temporal_payloads_gcs._claims import confine
from temporal_payloads_gcs._settings import GCSSettings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from temporalio.converter import StorageDriver


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[GCSSettings]:
    """Describe the GCS driver; see `temporal_payloads.plugin`."""
    return DriverPlugin(
        api_version=1,
        settings=GCSSettings,
        driver_type="gcp.gcsdriver",
        driver_name="gcp.gcsdriver",
        identity=_identity,
        open=_open,
        imports=("temporal_payloads_gcs._open",),
        confine=confine,
        # A file of credentials says itself where they are sent, and which other file or variable goes along.
        destination=("endpoint_url", "service_file"),
        ambient_credentials=("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"),
        sends_found_credentials=_sends_found_credentials,
    )


def _identity(settings: GCSSettings) -> dict[str, object]:
    # A bucket's name is its own all over Google's cloud, whoever asks for it.
    return settings.model_dump(include={"bucket", "endpoint_url"})


def _sends_found_credentials(settings: GCSSettings) -> bool:
    return settings.service_file is not None or not (settings.anonymous or settings.goes_to_google)


def _open(settings: GCSSettings, context: DriverContext) -> AbstractAsyncContextManager[StorageDriver]:
    # Imported here because it imports aiohttp and gcloud-aio-auth, which take a third of a second.
    from temporal_payloads_gcs._open import open_driver  # noqa: PLC0415

    return open_driver(settings, context)
