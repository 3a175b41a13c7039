"""A Temporal storage driver that keeps payloads in Azure Blob Storage.

Importing this package does not import the Azure libraries: that happens when a driver is made.
"""

from __future__ import annotations

from temporal_payloads_azure_blob._driver import AzureBlobStorageDriver

__all__ = ["AzureBlobStorageDriver"]
