"""Amazon S3 and compatible stores as a storage driver of temporal-payloads.

Settings reach it as `[storage.drivers.s3]`. For those who wire by hand, `new_s3_client` makes a client for
the SDK's own `temporalio.contrib.aws.s3driver.S3StorageDriver`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporalio.contrib.aws.s3driver import S3StorageDriverClient
    from types_aiobotocore_s3.client import S3Client

__all__ = ["new_s3_client"]

_MIB = 1024 * 1024


def new_s3_client(
    aioboto3_client: S3Client,
    *,
    put_arguments: Mapping[str, str] | None = None,
    multipart_threshold: int = 16 * _MIB,
    part_size: int = 8 * _MIB,
    parallel_parts: int = 8,
    place: str = "s3",
) -> S3StorageDriverClient:
    """Make a client for the SDK's `S3StorageDriver` that needs one round trip for a payload.

    It writes with `If-None-Match: *` where the SDK's own client asks first and then writes, and moves large
    payloads in parallel parts. What it stores, the SDK's client reads, and the reverse.

    Args:
        aioboto3_client: An open client, as `aioboto3.Session().client("s3")` yields it. The caller closes it.
        put_arguments: Arguments that PutObject and CreateMultipartUpload share, for instance
            `ServerSideEncryption`, `StorageClass` or `Tagging`.
        multipart_threshold: Bytes from which a payload is written in parts.
        part_size: Bytes in a part. S3 takes no parts smaller than 5 MiB. A payload of at most this size
            is read with one request, a larger one with one request for each part.
        parallel_parts: Parts of one payload that are under way at once.
        place: What error messages call the configuration: they name `{place}.bucket` and the like.

    Returns:
        A client whose methods raise `temporal_payloads.plugin.StorageError`.
    """
    # Imported here because it imports botocore, which must not load before a driver is opened.
    from temporal_payloads_s3._client import ConditionalS3Client  # noqa: PLC0415

    return ConditionalS3Client(
        aioboto3_client,
        put_arguments=put_arguments or {},
        multipart_threshold=multipart_threshold,
        part_size=part_size,
        parallel_parts=parallel_parts,
        place=place,
    )
