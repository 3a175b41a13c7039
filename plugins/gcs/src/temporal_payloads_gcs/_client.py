"""The client that the SDK's GCS driver works with: one request for a new payload, one for a stored one."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from temporalio.contrib.gcp.gcsdriver import GCSStorageDriverClient

from temporal_payloads_gcs._body import chunks
from temporal_payloads_gcs._diagnosing import BucketDiagnosis
from temporal_payloads_gcs._download import download
from temporal_payloads_gcs._errors import GCSErrors, NotGCSError, RefusedError
from temporal_payloads_gcs._location import Location

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import aiohttp
    from temporal_payloads.plugin import DiagnosisContext, Finding

    from temporal_payloads_gcs._http import Http

_LARGE = 8 * 1024 * 1024
"""Bytes of a payload that is better asked for than sent, if it is likely to be there."""
_EMPTY_PAYLOAD_NAME = "v0/d/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The name of the payload without any bytes: inside the layout, so that no policy need allow another name."""


class CreateOnlyGCSClient(GCSStorageDriverClient):
    """GCS operations over the JSON API; see `temporal_payloads_gcs.open_gcs_client`."""

    def __init__(self, http: Http, *, place: str, largest_read: int | None = None) -> None:
        self._http = http
        self._largest_read = largest_read
        self._errors = GCSErrors(place=place, endpoint_url=http.endpoint_url)
        self._expect_duplicate = False
        """Whether the last large payload was in the store already: then the next one is asked for first."""

    def describe(self) -> Mapping[str, str]:
        """Return what the SDK's driver adds to its error messages: the endpoint."""
        return {"endpoint_url": self._http.endpoint_url}

    async def object_exists(self, *, bucket: str, object_name: str) -> bool:
        """Ask nobody: `put_object` finds out by itself."""
        del bucket, object_name
        return False

    async def put_object(self, *, bucket: str, object_name: str, data: bytes) -> None:
        """Write an object unless it is there; see `put_pieces`."""
        await self.put_pieces(Location(bucket, object_name), [data])

    async def put_pieces(self, location: Location, pieces: Sequence[bytes]) -> None:
        """Write an object, given in pieces, unless it is there.

        Raises:
            StorageError: One of its subclasses, which names the setting to look at.
        """
        size = sum(map(len, pieces))
        large = size >= _LARGE
        with self._errors.told("write", location):
            if large and self._expect_duplicate and await self._exists(location):
                return
            is_new = await self._upload(location, pieces, size)
            if large:
                self._expect_duplicate = not is_new

    async def get_object(self, *, bucket: str, object_name: str) -> bytes:
        """Read an object.

        Raises:
            PayloadNotFoundError: There is no such object.
            StorageError: Another of its subclasses, which names the setting to look at.
        """
        location = Location(bucket, object_name)
        with self._errors.told("read", location):
            try:
                path = f"{_path(location)}?alt=media"
                return await download(self._http, path, largest=self._largest_read)
            except RefusedError as error:
                raise await self._explained(error, location) from error

    async def check(self, bucket: str, *, bucket_may_be_missing: bool = False) -> None:
        """Raise a `StorageError` if the endpoint, the credentials or the bucket are not as they should be.

        It needs the permission to read and no other. GCS hides which objects are missing from those who may
        not list the bucket, so that it may not be able to tell whether they can read it: that shows at the
        first payload.
        """
        location = Location(bucket, _EMPTY_PAYLOAD_NAME)
        with self._errors.told("read", location):
            try:
                data = await download(self._http, f"{_path(location)}?alt=media")
            except RefusedError as refused:
                error = await self._explained(refused, location)
                if error.is_missing_bucket and bucket_may_be_missing:
                    return
                if set(error.permissions) == {"storage.objects.list"}:
                    return  # it may be read, and is not there
                if error.status != HTTPStatus.NOT_FOUND or error.is_missing_bucket:
                    raise error from refused
            else:
                if data:
                    raise NotGCSError("bytes where an empty object should be")

    async def diagnose(
        self, context: DiagnosisContext, written: Mapping[str, Sequence[str]], *, named: bool
    ) -> list[Finding]:
        """Return what is found of buckets, in each of which these objects were stored for a check.

        Those that are `named` must be there.
        """
        findings: list[Finding] = []
        for bucket, names in written.items():
            with self._errors.told("list", Location(bucket, "v0/*")):
                findings += await BucketDiagnosis(
                    self._http, bucket, names, named, context=context, place=f"{context.place}.bucket"
                ).run()
        return findings

    # -- what is asked of a store that is listed

    async def list_objects(
        self, bucket: str, prefix: str, *, bucket_may_be_missing: bool = False
    ) -> AsyncGenerator[list[dict[str, str]], None]:
        """Yield the objects whose names begin with this, a page of them at once, as the JSON API has them."""
        path = (
            f"/storage/v1/b/{bucket}/o?prefix={quote(prefix, safe='')}&maxResults=1000"
            "&fields=items(name,size,generation,metageneration,updated),nextPageToken"
        )
        token = ""
        while True:
            with self._errors.told("list", Location(bucket, f"{prefix}*")):
                try:
                    page = await self._http.send("GET", path + token, _receive_json)
                except RefusedError as error:
                    if bucket_may_be_missing and error.status == HTTPStatus.NOT_FOUND:
                        return
                    raise
            yield page.get("items", [])
            if not page.get("nextPageToken"):
                return
            token = f"&pageToken={quote(page['nextPageToken'], safe='')}"

    async def replace(self, location: Location, data: bytes) -> None:
        """Write an object, over one that is there."""
        with self._errors.told("write", location):
            await self._send_upload(location, [data], len(data), "")

    async def remove(self, location: Location) -> None:
        """Delete an object, if it is there."""
        with self._errors.told("delete", location):
            try:
                await self._http.send("DELETE", _path(location), _receive_nothing)
            except RefusedError as error:
                if error.status != HTTPStatus.NOT_FOUND or error.is_missing_bucket:
                    raise

    async def _upload(self, location: Location, pieces: Sequence[bytes], size: int) -> bool:
        """Tell whether the object was written, or was there."""
        try:
            await self._send_upload(location, pieces, size, "&ifGenerationMatch=0")
        except RefusedError as error:
            # Its name is its hash: the bytes that are there are the same.
            if error.status != HTTPStatus.PRECONDITION_FAILED:
                raise
            return False
        return True

    async def _send_upload(
        self, location: Location, pieces: Sequence[bytes], size: int, condition: str
    ) -> None:
        # One request whatever the size, and streamed. A session would only be worth its round trip if it were
        # resumed; core repeats what has failed.
        path = (
            f"/upload/storage/v1/b/{location.bucket}/o?uploadType=media{condition}&fields=generation"
            f"&name={quote(location.object_name, safe='')}"
        )
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        await self._http.send("POST", path, _receive_object, headers=headers, body=partial(chunks, pieces))

    async def _exists(self, location: Location) -> bool:
        try:
            await self._http.send("GET", f"{_path(location)}?fields=generation", _receive_object)
        except RefusedError as error:
            # 403 also stands for a missing object, where listing is not allowed. If it means more, the write
            # that follows says so.
            if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
                return False
            raise
        return True

    async def _explained(self, error: RefusedError, location: Location) -> RefusedError:
        """Find out what is missing where the store does not say, as emulators do not."""
        if error.status != HTTPStatus.NOT_FOUND or error.is_missing_bucket or error.is_missing_object:
            return error
        try:
            await self._http.send("GET", f"/storage/v1/b/{location.bucket}?fields=name", _receive_nothing)
        except RefusedError as about_bucket:
            if about_bucket.status == HTTPStatus.NOT_FOUND:
                return RefusedError(error.status, "", "The specified bucket does not exist")
        return error


def _path(location: Location) -> str:
    return f"/storage/v1/b/{location.bucket}/o/{quote(location.object_name, safe='')}"


async def _receive_object(response: aiohttp.ClientResponse) -> None:
    try:
        written: Any = json.loads(await response.read())
        assert written["generation"]
    except (ValueError, LookupError, TypeError, AssertionError) as error:
        raise NotGCSError("no generation") from error


async def _receive_json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        told: Any = json.loads(await response.read())
        assert isinstance(told, dict)
    except (ValueError, AssertionError) as error:
        raise NotGCSError("no list of objects") from error
    return told


async def _receive_nothing(response: aiohttp.ClientResponse) -> None:
    await response.read()
