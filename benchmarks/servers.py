"""The real servers that everything is measured against, and the settings that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_servers import start_redis, start_s3
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.converter import DataConverter, StorageDriver

from benchmarks.access import S3Access
from benchmarks.proxy import Proxy, start_proxy

ROUND_TRIP = 0.020


@dataclass(frozen=True)
class Servers:
    """Everything that runs."""

    directory: Path
    s3: S3Access
    """Through the proxy, 20 ms away."""
    s3_proxy: Proxy
    redis_url: str


@contextmanager
def start_servers(directory: Path) -> Iterator[Servers]:
    """Start S3, 20 ms away, and Redis, close by."""
    with ExitStack() as stack:
        server = stack.enter_context(start_s3(directory / "s3"))
        server.create_bucket("benchmarks")
        redis = stack.enter_context(start_redis(directory / "redis"))
        port = urlsplit(server.endpoint_url).port
        assert port is not None
        proxy = stack.enter_context(start_proxy(port, round_trip=ROUND_TRIP))
        access = S3Access(
            f"http://127.0.0.1:{proxy.port}",
            server.access_key_id,
            server.secret_access_key,
            server.region,
            "benchmarks",
        )
        yield Servers(directory, access, proxy, redis.url)


def converter(
    drivers: dict[str, Any], *, cache: dict[str, Any] | None = None, **settings: Any
) -> DataConverter:
    """Our converter, with no cache unless it is asked for: the store is what is measured."""
    storage = {"drivers": drivers, "cache": cache or {"max_size": 0}, **settings.pop("storage", {})}
    return build_data_converter(PayloadSettings.model_validate({"storage": storage, **settings}))


def driver_of(data_converter: DataConverter) -> StorageDriver:
    """The one driver of a converter."""
    assert data_converter.external_storage is not None
    return data_converter.external_storage.drivers[0]
