"""The servers that the configuration names, started on this machine."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local_servers import TemporalServer, start_redis, start_s3, start_temporal
from local_servers.process import free_ports
from temporal_payloads import PayloadSettings

from order_batch.connection import temporal_address


class ConfiguredElsewhereError(ValueError):
    """The configuration names a server on another machine."""


@dataclass(frozen=True)
class Services:
    """Where the servers listen."""

    temporal: str
    storage: str
    ui_url: str | None


def use_free_ports(storage: str) -> None:
    """Point this process, and those it starts, at free ports instead of the configured ones.

    Environment variables override the files, the library's as well as Temporal's own.
    """
    temporal_port, storage_port = free_ports(2)
    os.environ["TEMPORAL_ADDRESS"] = f"127.0.0.1:{temporal_port}"
    if storage == "s3":
        os.environ["TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__ENDPOINT_URL"] = (
            f"http://127.0.0.1:{storage_port}"
        )
    else:
        os.environ["TEMPORAL_PAYLOADS_STORAGE__DRIVERS__REDIS__URL"] = f"redis://127.0.0.1:{storage_port}/0"


@contextlib.contextmanager
def run_services(directory: Path, *, ui: bool) -> Iterator[Services]:
    """Run Temporal's development server and the storage server, at the addresses in the configuration.

    Args:
        directory: For the servers' data and logs.
        ui: Serve Temporal's Web UI too.

    Raises:
        ServerStartError: A server did not start.
        MissingPartError: A server is not installed.
        ConfiguredElsewhereError: The configuration names a server on another machine.
    """
    with _run_storage(directory) as storage, _run_temporal(directory, ui=ui) as temporal:
        yield Services(temporal.address, storage, temporal.ui_url)


@contextlib.contextmanager
def _run_storage(directory: Path) -> Iterator[str]:
    drivers = PayloadSettings.load().storage.drivers
    if "redis" in drivers:
        url = drivers["redis"].options["url"]
        with start_redis(directory, port=_local_port(url)) as redis:
            yield redis.url
    else:
        options = drivers["s3"].options
        with start_s3(directory, port=_local_port(options["endpoint_url"])) as s3:
            s3.create_bucket(options["bucket"])
            yield s3.endpoint_url


@contextlib.contextmanager
def _run_temporal(directory: Path, *, ui: bool) -> Iterator[TemporalServer]:
    port = _local_port(f"//{temporal_address()}")
    with start_temporal(directory, port=port, ui=ui) as temporal:
        yield temporal


def _local_port(url: str) -> int:
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"} or parts.port is None:
        raise ConfiguredElsewhereError(
            f"The configuration says {url!r}, which is no port of this machine: nothing can be started there"
        )
    return parts.port
