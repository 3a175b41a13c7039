"""A bucket on a real S3 server."""

from __future__ import annotations

import dataclasses
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.session
from support.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_servers import S3Server


@contextmanager
def s3_admin(server: S3Server) -> Iterator[Any]:
    """Open a blocking client."""
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    with closing(client):
        yield client


@dataclass(frozen=True)
class S3Store(Store):
    """A bucket."""

    server: S3Server
    bucket: str
    admin: Any
    """A blocking client of the server itself, even where the store is behind a proxy."""
    type = "s3"
    driver_name = "aws.s3driver"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        parts = urlsplit(self.server.endpoint_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def through(self, port: int) -> S3Store:
        """Return the same bucket with the proxy as its endpoint."""
        server = dataclasses.replace(self.server, endpoint_url=f"http://127.0.0.1:{port}")
        return dataclasses.replace(self, server=server)

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.s3]`."""
        return {
            "bucket": self.bucket,
            "endpoint_url": self.server.endpoint_url,
            "region": self.server.region,
            "access_key_id": self.server.access_key_id,
            "secret_access_key": self.server.secret_access_key,
            "max_attempts": 1,
        }

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the object."""
        return bytes(self.admin.get_object(Bucket=claim["bucket"], Key=claim["key"])["Body"].read())

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the object."""
        self.admin.put_object(Bucket=claim["bucket"], Key=claim["key"], Body=data)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the object."""
        self.admin.delete_object(Bucket=claim["bucket"], Key=claim["key"])
