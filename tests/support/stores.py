"""The stores that the tests run against: how they are configured, and the way around the driver."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.session
from support.values import THRESHOLD
from temporal_payloads import PayloadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_servers import RedisServer, S3Server


@dataclass(frozen=True)
class Store(ABC):
    """A store on a real server, as settings name it and as its own administrator sees it."""

    @property
    @abstractmethod
    def type(self) -> str:
        """What the settings call the driver."""

    @property
    @abstractmethod
    def driver_name(self) -> str:
        """The name that references record by default."""

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""

    @abstractmethod
    def through(self, port: int) -> Store:
        """Return the same store behind a proxy on this port."""

    @abstractmethod
    def table(self) -> dict[str, Any]:
        """Return the driver's table in the settings; failures show at once, without the client's retries."""

    @abstractmethod
    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return what lies under a claim's key."""

    @abstractmethod
    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Put something else under a claim's key."""

    @abstractmethod
    def delete(self, claim: Mapping[str, str]) -> None:
        """Remove what lies under a claim's key."""

    def settings(self, *, driver: dict[str, Any] | None = None, **changes: Any) -> PayloadSettings:
        """Return settings with gzip and this store.

        Args:
            driver: Changes to the driver's table.
            changes: Changes to `[storage]`; what stands at the root of the settings goes there.
        """
        top = {"codecs": ["gzip"], "encode_failures": True}
        top |= {name: changes.pop(name) for name in list(changes) if name in PayloadSettings.model_fields}
        storage = {"threshold": THRESHOLD, "drivers": {self.type: self.table() | (driver or {})}, **changes}
        return PayloadSettings.model_validate(top | {"storage": storage})


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


@dataclass(frozen=True)
class RedisStore(Store):
    """A Redis server."""

    server: RedisServer
    type = "redis"
    driver_name = "redis"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self.server.host, self.server.port

    def through(self, port: int) -> RedisStore:
        """Return the same server with the proxy's port."""
        return dataclasses.replace(self, server=dataclasses.replace(self.server, port=port))

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.redis]`."""
        return {"url": self.server.url, "retries": 0}

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the value."""
        with self.server.client() as client:
            found = client.get(claim["key"])
        assert isinstance(found, bytes)
        return found

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the value."""
        with self.server.client() as client:
            client.set(claim["key"], data)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the key."""
        with self.server.client() as client:
            client.delete(claim["key"])
