"""Where an object lies."""

from __future__ import annotations

from typing import NamedTuple


class Location(NamedTuple):
    """The bucket and the name of an object."""

    bucket: str
    object_name: str

    def __str__(self) -> str:
        # For messages: what came in a claim may be of any length. This is as long as Google's own get.
        return f"gs://{self.bucket[:222]}/{self.object_name[:1024]}"
