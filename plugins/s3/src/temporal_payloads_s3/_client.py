"""The client that the SDK's S3 driver works with: one request for a new payload, one for a stored one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from temporalio.contrib.aws.s3driver import S3StorageDriverClient

from temporal_payloads_s3._aside import is_aside
from temporal_payloads_s3._body import Body
from temporal_payloads_s3._diagnosing import BucketDiagnosis
from temporal_payloads_s3._download import get_in_ranges
from temporal_payloads_s3._errors import S3Errors, hides_missing, status_of
from temporal_payloads_s3._location import Location
from temporal_payloads_s3._upload import put_in_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporal_payloads.plugin import DiagnosisContext, Finding
    from types_aiobotocore_s3.client import S3Client

_EMPTY_PAYLOAD_KEY = "v0/d/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The key of the payload without any bytes: inside the layout, so that no policy need allow another key."""

_MAY_BE_THERE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT, HTTPStatus.NOT_IMPLEMENTED}
"""Answers to a conditional write: it is there; somebody else is changing it; the store has no conditions."""


class ConditionalS3Client(S3StorageDriverClient):
    """S3 operations through an aioboto3 client; see `temporal_payloads_s3.new_s3_client`."""

    def __init__(
        self,
        client: S3Client,
        *,
        put_arguments: Mapping[str, str],
        multipart_threshold: int,
        part_size: int,
        parallel_parts: int,
        place: str,
        largest_read: int | None = None,
    ) -> None:
        self.client = client
        self.put_arguments = put_arguments
        self._multipart_threshold = multipart_threshold
        self._part_size = part_size
        self._parallel_parts = parallel_parts
        self._largest_read = largest_read
        self.errors = S3Errors(
            place=place,
            endpoint_url=client.meta.endpoint_url,
            region=client.meta.region_name,
            put_arguments=put_arguments,
        )
        self._conditional = True
        """Whether the store is believed to write conditionally. The first 501 says that it does not."""
        self._expect_duplicate = False
        """Whether the last large payload was in the store already: then the next one is asked for first."""
        client.meta.events.register("before-send.s3", _send_at_once)

    def describe(self) -> Mapping[str, str]:
        """Return what the SDK's driver adds to its error messages: the client's region."""
        return {"client_region": self.client.meta.region_name}

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        """Ask the store only if it can't write conditionally; else `put_object` finds out by itself."""
        location = Location(bucket, key)
        with self.errors.told("HeadObject", location):
            return not self._conditional and await self._is_kept(location)

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write an object unless it is there; see `put_pieces`."""
        await self.put_pieces(Location(bucket, key), [data])

    async def put_pieces(self, location: Location, pieces: Sequence[bytes]) -> None:
        """Write an object, given in pieces, unless it is there.

        Raises:
            StorageError: One of its subclasses, which names the setting to look at.
        """
        large = self._is_large(pieces)
        with self.errors.told("PutObject", location):
            if large and self._conditional and self._expect_duplicate and await self._is_kept(location):
                return
            is_new = await self._put_if_absent(location, pieces)
            if large:
                self._expect_duplicate = not is_new

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        """Read an object.

        Raises:
            PayloadNotFoundError: There is no such object.
            StorageError: Another of its subclasses, which names the setting to look at.
        """
        location = Location(bucket, key)
        with self.errors.told("GetObject", location):
            return await self.read(location)

    async def check(self, bucket: str, *, bucket_may_be_missing: bool = False) -> None:
        """Raise a `StorageError` if the endpoint, the credentials or the bucket are not as they should be.

        It needs the permission to read and no other. S3 hides which objects are missing from those who may
        not list the bucket, so it can't tell whether they may read it: that shows at the first payload.
        """
        location = Location(bucket, _EMPTY_PAYLOAD_KEY)
        with self.errors.told("GetObject", location):
            try:
                data = await self.read(location)
            except ClientError as error:
                if hides_missing(error) or (
                    bucket_may_be_missing and error.response["Error"]["Code"] == "NoSuchBucket"
                ):
                    return
                raise
        if data:
            raise self.errors.not_s3("GetObject", location)

    async def diagnose(
        self, context: DiagnosisContext, written: Mapping[str, list[str]], *, named: bool
    ) -> list[Finding]:
        """Return what is found of buckets; see `temporal_payloads.plugin.DriverPlugin.open`.

        Args:
            context: What core tells.
            written: The buckets, and in each the keys of what was stored for this check.
            named: Whether the buckets must be there.
        """
        findings: list[Finding] = []
        for bucket, keys in written.items():
            with self.errors.told("check", Location(bucket, _EMPTY_PAYLOAD_KEY)):
                diagnosis = BucketDiagnosis(
                    self.client,
                    bucket,
                    _EMPTY_PAYLOAD_KEY,
                    self.put_arguments,
                    keys,
                    named,
                    context=context,
                    place=f"{context.place}.bucket",
                )
                findings += await diagnosis.run()
        return findings

    async def read(self, location: Location) -> bytes:
        """Read an object; what goes wrong is raised as it comes."""
        data = await get_in_ranges(
            self.client,
            location,
            part_size=self._part_size,
            parallel_parts=self._parallel_parts,
            largest=self._largest_read,
        )
        if data is None:
            raise self.errors.not_s3("GetObject", location)
        return data

    async def _put_if_absent(self, location: Location, pieces: Sequence[bytes]) -> bool:
        """Write an object unless it is there and not put aside; tell whether it was written."""
        if self._conditional:
            try:
                await self.put(location, pieces, {"IfNoneMatch": "*"})
            except ClientError as error:
                status = status_of(error)
                if status not in _MAY_BE_THERE:
                    raise
                if status == HTTPStatus.NOT_IMPLEMENTED:
                    self._conditional = False
                # At a conflict nobody knows whether it will be there. Written without a condition it is, and
                # its bytes are the same.
                if status != HTTPStatus.CONFLICT and await self._is_kept(location):
                    return False
            else:
                return True
        await self.put(location, pieces, {})
        return True

    def _is_large(self, pieces: Sequence[bytes]) -> bool:
        """Tell whether to write in parts; never in a single one, which stands for what is put aside."""
        size = sum(map(len, pieces))
        return size >= self._multipart_threshold and size > self._part_size

    async def put(self, location: Location, pieces: Sequence[bytes], condition: Mapping[str, Any]) -> None:
        """Write an object on a condition; what goes wrong is raised as it comes."""
        if self._is_large(pieces):
            await put_in_parts(
                self.client,
                location,
                pieces,
                part_size=self._part_size,
                parallel_parts=self._parallel_parts,
                condition=condition,
                arguments=self.put_arguments,
            )
            return
        body: Any = Body(pieces)
        arguments: dict[str, Any] = {**condition, **self.put_arguments}
        response = await self.client.put_object(
            Bucket=location.bucket, Key=location.key, Body=body, **arguments
        )
        if not response.get("ETag"):
            raise self.errors.not_s3("PutObject", location)

    async def _is_kept(self, location: Location) -> bool:
        """Tell whether an object is there, and not put aside."""
        try:
            found = await self.client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            # 403 also stands for a missing object, where listing is not allowed. If it means more, the write
            # that follows says so; if the object is there after all, writing the same bytes does no harm.
            if status_of(error) in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
                return False
            raise
        if not found.get("ETag"):
            raise self.errors.not_s3("HeadObject", location)
        return not is_aside(found["ETag"])


def _send_at_once(request: Any, **_event: Any) -> None:
    # botocore has every body wait for "100 Continue". That is one more round trip, and aiohttp waits forever
    # if a proxy swallows the answer.
    request.headers.pop("Expect", None)
