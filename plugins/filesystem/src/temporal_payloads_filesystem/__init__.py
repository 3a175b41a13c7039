"""A Temporal storage driver that keeps payloads as files in a directory or on a shared volume."""

from temporal_payloads_filesystem._driver import FilesystemStorageDriver

__all__ = ["FilesystemStorageDriver"]
