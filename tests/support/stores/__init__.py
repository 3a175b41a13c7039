"""The stores that the tests run against: how they are configured, and the way around the driver."""

from support.stores.azure_blob import AzureBlobStore
from support.stores.filesystem import FilesystemStore
from support.stores.gcs import GCSStore
from support.stores.postgres import PostgresStore
from support.stores.redis import RedisStore
from support.stores.s3 import S3Store, s3_admin
from support.stores.store import Store

__all__ = [
    "AzureBlobStore",
    "FilesystemStore",
    "GCSStore",
    "PostgresStore",
    "RedisStore",
    "S3Store",
    "Store",
    "s3_admin",
]
