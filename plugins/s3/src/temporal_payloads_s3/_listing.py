"""What a bucket has under a prefix, split into parts that can be listed at once."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import TYPE_CHECKING, Self
from zlib import crc32

from botocore.exceptions import ClientError
from temporal_payloads.plugin import gather_bounded

from temporal_payloads_s3._aside import is_aside, is_marked, tag_of
from temporal_payloads_s3._claims import prefix_of
from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._versioned import Versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from datetime import datetime
    from typing import Any

    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import ObjectTypeDef

_PARTS = 8
"""Into how many parts the workflow types of a namespace are divided."""
_LOOKS = 10
"""Objects that are looked at closer at once: botocore's pool has room for so many at least."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A part of a bucket.

    A namespace is mostly one kind of key, `v0/ns/{namespace}/wt/{type}/...`, and only the store knows its
    types. So a part of it is listed by asking for the types first, and then for every eighth of them.
    """

    bucket: str
    prefix: str
    part: int | None = None
    """Which of the folders under the prefix; None for everything under it."""

    def __str__(self) -> str:
        return " ".join((self.bucket, self.prefix, *([] if self.part is None else [str(self.part)])))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the shard that was written as this text."""
        bucket, prefix, *part = text.split(" ")
        return cls(bucket=bucket, prefix=prefix, part=int(part[0]) if part else None)

    def has(self, folder: str) -> bool:
        """Tell whether a folder under the prefix belongs to this part."""
        return crc32(folder.encode()) % _PARTS == self.part


def shards_of(namespace: str | None, bucket: str) -> list[Shard]:
    """Return the shards of a namespace; None for the payloads that have none, which are few."""
    if namespace is None:
        return [Shard(bucket=bucket, prefix=prefix_of(name)) for name in (None, "")]
    prefix = prefix_of(namespace)
    return [
        *(Shard(bucket=bucket, prefix=f"{prefix}wt/", part=part) for part in range(_PARTS)),
        *(Shard(bucket=bucket, prefix=f"{prefix}{kind}/") for kind in ("at", "d")),
    ]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An object as it is listed."""

    key: str
    size: int
    tag: str
    modified: datetime
    aside: bool


async def list_shard(client: S3Client, shard: Shard, *, versioned: bool) -> AsyncIterator[list[Entry]]:
    """Yield what a bucket has in a shard, page by page."""
    list_ = _list_versions if versioned else _list_objects
    if shard.part is None:
        async for page in list_(client, shard.bucket, shard.prefix):
            yield page
        return
    operation = "list_object_versions" if versioned else "list_objects_v2"
    async for answer in _pages(client, operation, shard.bucket, shard.prefix, Delimiter="/"):
        for folder in (found["Prefix"] for found in answer.get("CommonPrefixes", [])):
            if shard.has(folder):
                async for page in list_(client, shard.bucket, folder):
                    yield page


async def _list_objects(client: S3Client, bucket: str, prefix: str) -> AsyncIterator[list[Entry]]:
    async def look(found: ObjectTypeDef) -> Entry | None:
        key, size, tag, modified = found["Key"], found["Size"], found["ETag"], found["LastModified"]
        if is_aside(tag):  # the rest of its state is in its metadata
            try:
                closer = await client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if status_of(error) == HTTPStatus.NOT_FOUND:
                    return None
                raise
            size, tag, modified = closer["ContentLength"], tag_of(closer), closer["LastModified"]
        return Entry(key=key, size=size, tag=tag, modified=modified, aside=is_marked(tag))

    async for answer in _pages(client, "list_objects_v2", bucket, prefix):
        entries = await gather_bounded(look, answer.get("Contents", []), _LOOKS)
        yield [entry for entry in entries if entry]


async def _list_versions(client: S3Client, bucket: str, prefix: str) -> AsyncIterator[list[Entry]]:
    kept: list[Any] = []
    """What a page has of its last key, of which more may come on the next one."""
    async for answer in _pages(client, "list_object_versions", bucket, prefix):
        found = kept + answer.get("Versions", []) + answer.get("DeleteMarkers", [])
        found.sort(key=lambda version: version["Key"])
        last = answer.get("NextKeyMarker") if answer["IsTruncated"] else None
        kept = [version for version in found if version["Key"] == last]
        yield _entries(version for version in found if version["Key"] != last)


def _entries(versions: Iterator[Any]) -> list[Entry]:
    grouped = groupby(versions, key=lambda version: version["Key"])
    return [entry for key, group in grouped for entry in _entry(key, list(group))]


def _entry(key: str, found: Sequence[Any]) -> Iterator[Entry]:
    """Return what is under one key as one entry; nothing where it changed while it was listed."""
    versions, markers = ([one for one in found if ("ETag" in one) is there] for there in (True, False))
    match [one for one in found if one["IsLatest"]]:
        case [latest]:
            newest = max(versions, key=lambda version: version["LastModified"], default={"Size": 0})
            aside = latest in markers
            every = Versions(*([one["VersionId"] for one in ones] for ones in (markers, versions)))
            yield Entry(
                key=key,
                size=newest["Size"] if aside else latest["Size"],
                tag=str(every) if aside else latest["ETag"],
                modified=latest["LastModified"],
                aside=aside,
            )
        case _:
            pass


async def _pages(
    client: S3Client, operation: str, bucket: str, prefix: str, **arguments: Any
) -> AsyncIterator[Any]:
    paginator: Any = client.get_paginator(operation)  # type: ignore[call-overload]  # one of two
    async for page in paginator.paginate(Bucket=bucket, Prefix=prefix, **arguments):
        yield page
