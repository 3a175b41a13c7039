"""Where an object lies."""

from __future__ import annotations

from typing import NamedTuple


class Location(NamedTuple):
    """The bucket and the key of an object."""

    bucket: str
    key: str

    def __str__(self) -> str:
        # For messages: what came in a claim may be of any length. This is as long as S3's own get.
        return f"s3://{self.bucket[:255]}/{self.key[:1024]}"
