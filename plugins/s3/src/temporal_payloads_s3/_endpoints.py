"""The endpoint of a bucket is worked out once, not for each object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client


def remember_endpoints(client: S3Client) -> None:
    """Let a client of ours remember the endpoints of buckets.

    botocore works through its rules for each new combination of their parameters, and takes a quarter of the
    processor's time of a request for that. The key of the object is among the parameters, but no rule looks
    at it.
    """
    # Private parts: where a release has others, it works through its rules as before.
    resolver = getattr(client, "_ruleset_resolver", None)
    getattr(resolver, "_param_definitions", {}).pop("Key", None)
