"""Google Cloud Storage as a storage driver of temporal-payloads.

Settings reach it as `[storage.drivers.gcs]`. For those who wire by hand, `open_gcs_client` opens a client for
the SDK's own `temporalio.contrib.gcp.gcsdriver.GCSStorageDriver`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_payloads_gcs._settings import GCSSettings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from temporalio.contrib.gcp.gcsdriver import GCSStorageDriverClient

__all__ = ["open_gcs_client"]


def open_gcs_client(
    *,
    service_file: str | Path | None = None,
    endpoint_url: str | None = None,
    anonymous: bool = False,
    ca_bundle: str | Path | None = None,
    connect_timeout: timedelta = timedelta(seconds=5),
    read_timeout: timedelta = timedelta(seconds=20),
    connections: int = 32,
    place: str = "gcs",
) -> AbstractAsyncContextManager[GCSStorageDriverClient]:
    """Open a client for the SDK's `GCSStorageDriver` that needs one round trip for a payload.

    It writes with `ifGenerationMatch=0` where the SDK's own client asks first and then writes, and reads
    large payloads in parallel ranges. What it stores, the SDK's client reads, and the reverse.

    Args:
        service_file: Credentials file. Default: application default credentials.
        endpoint_url: Scheme, host and port of a private endpoint or an emulator. Default: Google's.
        anonymous: Send no credentials; for emulators.
        ca_bundle: PEM file of the authorities whose certificates to trust. Default: the public ones.
        connect_timeout: Longest wait for a connection.
        read_timeout: Longest silence of the store in a request.
        connections: Most connections at once, at least 10.
        place: What error messages call the configuration: they name `{place}.service_file` and the like.

    Returns:
        An async context manager of a client whose methods raise `temporal_payloads.plugin.StorageError`.

    Raises:
        ValueError: An argument makes no sense, or would send a token in clear.
    """
    checked = GCSSettings(
        bucket="any-bucket",
        endpoint_url=endpoint_url,
        anonymous=anonymous,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )
    if anonymous and service_file:
        raise ValueError("anonymous and service_file contradict each other: leave one of them out")
    # Imported here because it imports aiohttp, which must not load before a driver is opened.
    from temporal_payloads_gcs._open import open_client  # noqa: PLC0415

    return open_client(
        service_file=Path(service_file) if service_file else None,
        endpoint_url=checked.endpoint_url,
        anonymous=anonymous,
        ca_bundle=Path(ca_bundle) if ca_bundle else None,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        connections=connections,
        place=place,
    )
