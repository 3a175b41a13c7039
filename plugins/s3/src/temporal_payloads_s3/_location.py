"""Where an object lies."""

from __future__ import annotations

from typing import NamedTuple


class Location(NamedTuple):
    """The bucket and the key of an object."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
