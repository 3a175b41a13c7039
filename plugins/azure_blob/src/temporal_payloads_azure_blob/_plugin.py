"""The entry point `azure_blob` of temporal-payloads. Nothing here imports the Azure libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverContext, DriverPlugin, hookimpl

from temporal_payloads_azure_blob._driver import DRIVER_TYPE, key_layout
from temporal_payloads_azure_blob._settings import AzureBlobSettings

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from temporal_payloads.plugin import ConfinedClaim
    from temporalio.converter import StorageDriver, StorageDriverClaim


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[AzureBlobSettings]:
    """Describe the Azure Blob driver."""
    return DriverPlugin(
        api_version=1,
        settings=AzureBlobSettings,
        driver_type=DRIVER_TYPE,
        driver_name=DRIVER_TYPE,
        identity=_identity,
        open=_open,
        imports=("temporal_payloads_azure_blob._open",),
        confine=_confine,
        retries=True,
        destination=("account_url", "connection_string"),
        ambient_credentials=(
            "AZURE_CLIENT_SECRET",
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_FEDERATED_TOKEN_FILE",
            "IDENTITY_ENDPOINT",
            "MSI_ENDPOINT",
        ),
        sends_found_credentials=_sends_found_credentials,
    )


def _sends_found_credentials(settings: AzureBlobSettings) -> bool:
    account = settings.account
    return not (account.key or account.sas or account.is_of_azure)


def _open(settings: AzureBlobSettings, context: DriverContext) -> AbstractAsyncContextManager[StorageDriver]:
    from temporal_payloads_azure_blob._open import open_driver  # noqa: PLC0415  # imports the Azure libraries

    return open_driver(settings, context)


def _confine(settings: AzureBlobSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    return key_layout(settings.container).confine(claim)


def _identity(settings: AzureBlobSettings) -> dict[str, object]:
    # Nothing of what logs in: keys and SAS are replaced again and again, and lead to the same container.
    account = settings.account
    return {"url": account.url, "account": account.name, "container": settings.container}
