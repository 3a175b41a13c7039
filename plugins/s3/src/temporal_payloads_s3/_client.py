"""The client that the SDK's S3 driver works with: one request for a new payload, one for a stored one."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from temporalio.contrib.aws.s3driver import S3StorageDriverClient

from temporal_payloads_s3._body import Body
from temporal_payloads_s3._download import get_in_ranges
from temporal_payloads_s3._errors import S3Errors, hides_missing, status_of
from temporal_payloads_s3._location import Location
from temporal_payloads_s3._upload import put_in_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_aiobotocore_s3.client import S3Client

_EMPTY_PAYLOAD_KEY = "v0/d/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The key of the payload without any bytes: inside the layout, so that no policy need allow another key."""


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
        self._client = client
        self._put_arguments = put_arguments
        self._multipart_threshold = multipart_threshold
        self._part_size = part_size
        self._parallel_parts = parallel_parts
        self._largest_read = largest_read
        self._errors = S3Errors(
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
        return {"client_region": self._client.meta.region_name}

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        """Ask the store only if it can't write conditionally; else `put_object` finds out by itself."""
        location = Location(bucket, key)
        with self._errors.told("HeadObject", location):
            return not self._conditional and await self._exists(location)

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write an object unless it is there; see `put_pieces`."""
        await self.put_pieces(Location(bucket, key), [data])

    async def put_pieces(self, location: Location, pieces: Sequence[bytes]) -> None:
        """Write an object, given in pieces, unless it is there.

        Raises:
            StorageError: One of its subclasses, which names the setting to look at.
        """
        large = self._is_large(pieces)
        with self._errors.told("PutObject", location):
            if large and self._conditional and self._expect_duplicate and await self._exists(location):
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
        with self._errors.told("GetObject", location):
            return await self._read(location)

    async def check(self, bucket: str, *, bucket_may_be_missing: bool = False) -> None:
        """Raise a `StorageError` if the endpoint, the credentials or the bucket are not as they should be.

        It needs the permission to read and no other. S3 hides which objects are missing from those who may
        not list the bucket, so it can't tell whether they may read it: that shows at the first payload.
        """
        location = Location(bucket, _EMPTY_PAYLOAD_KEY)
        with self._errors.told("GetObject", location):
            try:
                data = await self._read(location)
            except ClientError as error:
                if hides_missing(error) or (
                    bucket_may_be_missing and error.response["Error"]["Code"] == "NoSuchBucket"
                ):
                    return
                raise
        if data:
            raise self._errors.not_s3("GetObject", location)

    async def _read(self, location: Location) -> bytes:
        data = await get_in_ranges(
            self._client,
            location,
            part_size=self._part_size,
            parallel_parts=self._parallel_parts,
            largest=self._largest_read,
        )
        if data is None:
            raise self._errors.not_s3("GetObject", location)
        return data

    async def _put_if_absent(self, location: Location, pieces: Sequence[bytes]) -> bool:
        """Tell whether the object was written, as far as the store says."""
        if self._conditional:
            try:
                await self._put(location, pieces, {"IfNoneMatch": "*"})
            except ClientError as error:
                match status_of(error):
                    case HTTPStatus.PRECONDITION_FAILED:
                        return False
                    case HTTPStatus.CONFLICT:
                        # Somebody is writing or deleting this object right now, and may fail or succeed.
                        # Written without a condition it is there in either case, and its bytes are the same.
                        pass
                    case HTTPStatus.NOT_IMPLEMENTED:
                        self._conditional = False
                        if await self._exists(location):
                            return False
                    case _:
                        raise
            else:
                return True
        await self._put(location, pieces, {})
        return True

    def _is_large(self, pieces: Sequence[bytes]) -> bool:
        return sum(map(len, pieces)) >= self._multipart_threshold

    async def _put(self, location: Location, pieces: Sequence[bytes], condition: Mapping[str, Any]) -> None:
        if self._is_large(pieces):
            await put_in_parts(
                self._client,
                location,
                pieces,
                part_size=self._part_size,
                parallel_parts=self._parallel_parts,
                condition=condition,
                arguments=self._put_arguments,
            )
            return
        body: Any = Body(pieces)
        arguments: dict[str, Any] = {**condition, **self._put_arguments}
        response = await self._client.put_object(
            Bucket=location.bucket, Key=location.key, Body=body, **arguments
        )
        if not response.get("ETag"):
            raise self._errors.not_s3("PutObject", location)

    async def _exists(self, location: Location) -> bool:
        try:
            await self._client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            # 403 also stands for a missing object, where listing is not allowed. If it means more, the write
            # that follows says so; if the object is there after all, writing the same bytes does no harm.
            if status_of(error) in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
                return False
            raise
        return True


def _send_at_once(request: Any, **_event: Any) -> None:
    # botocore has every body wait for "100 Continue". That is one more round trip, and aiohttp waits forever
    # if a proxy swallows the answer.
    request.headers.pop("Expect", None)
