"""The servers that the configuration names, started on this machine."""

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_servers import start_azurite, start_gcs, start_postgres, start_redis, start_s3, start_temporal
from local_servers.process import free_ports, run_server
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
    codec_server_url: str | None


def use_free_ports(storage: str, directory: Path) -> None:
    """Point this process, and those it starts, at free ports instead of the configured ones.

    Environment variables override the files, the library's as well as Temporal's own.

    Args:
        storage: The type of the storage.
        directory: Where a storage without a port keeps its payloads.
    """
    temporal_port, storage_port, codec_server_port = free_ports(3)
    os.environ["TEMPORAL_ADDRESS"] = f"127.0.0.1:{temporal_port}"
    os.environ["TEMPORAL_PAYLOADS_CODEC_SERVER__PORT"] = str(codec_server_port)
    for setting, value in STORAGES[storage].elsewhere(storage_port, directory).items():
        os.environ[f"TEMPORAL_PAYLOADS_STORAGE__DRIVERS__{storage}__{setting}".upper()] = value


@contextlib.contextmanager
def run_services(directory: Path, *, ui: bool) -> Iterator[Services]:
    """Run Temporal's development server, the storage and the codec server, where the configuration has them.

    Args:
        directory: For the servers' data and logs.
        ui: Serve Temporal's Web UI too, and the codec server that makes its payloads readable.

    Raises:
        ServerStartError: A server did not start.
        MissingPartError: A server is not installed.
        ConfiguredElsewhereError: The configuration names a server on another machine.
    """
    settings = PayloadSettings.load()
    codec_server_url = f"http://127.0.0.1:{settings.codec_server.port}" if ui else None
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(_run_storage(directory, settings))
        port = _local_port(f"//{temporal_address()}")
        temporal = stack.enter_context(
            start_temporal(directory, port=port, ui=ui, ui_codec_endpoint=codec_server_url)
        )
        if codec_server_url:
            stack.enter_context(
                _run_codec_server(directory, codec_server_url, urlsplit(temporal.ui_url).port)
            )
        yield Services(temporal.address, storage, temporal.ui_url, codec_server_url)


def _run_storage(directory: Path, settings: PayloadSettings) -> AbstractContextManager[str]:
    name = settings.storage.default_driver
    return STORAGES[name].start(directory, settings.storage.drivers[name].options)


@contextlib.contextmanager
def _start_s3(directory: Path, options: Mapping[str, Any]) -> Iterator[str]:
    with start_s3(directory, port=_local_port(options["endpoint_url"])) as s3:
        s3.create_bucket(options["bucket"])
        yield s3.endpoint_url


@contextlib.contextmanager
def _start_redis(directory: Path, options: Mapping[str, Any]) -> Iterator[str]:
    with start_redis(directory, port=_local_port(options["url"])) as redis:
        yield redis.url


@contextlib.contextmanager
def _start_gcs(directory: Path, options: Mapping[str, Any]) -> Iterator[str]:
    with start_gcs(directory, port=_local_port(options["endpoint_url"])) as gcs:
        gcs.create_bucket(options["bucket"])
        yield gcs.endpoint_url


@contextlib.contextmanager
def _start_postgres(directory: Path, options: Mapping[str, Any]) -> Iterator[str]:
    with start_postgres(directory, port=_local_port(options["url"])) as postgres:
        # As anybody would: a driver never makes its table.
        subprocess.run(
            [sys.executable, "-m", "temporal_payloads", "postgres", "init"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield f"{postgres.host}:{postgres.port}"


@contextlib.contextmanager
def _start_azure_blob(directory: Path, options: Mapping[str, Any]) -> Iterator[str]:
    with start_azurite(directory, port=_local_port(options["account_url"])) as azurite:
        azurite.create_container(options["container"])
        yield azurite.account_url


def _use_directory(_: Path, options: Mapping[str, Any]) -> AbstractContextManager[str]:
    return contextlib.nullcontext(str(Path(options["path"]).absolute()))


@dataclass(frozen=True)
class Storage:
    """What keeps the payloads: a type of driver, which is also the name of its profile."""

    start: Callable[[Path, Mapping[str, Any]], AbstractContextManager[str]]
    """Starts the server, given a directory for its data and the driver's settings, and yields its address."""
    elsewhere: Callable[[int, Path], Mapping[str, str]]
    """The driver's settings for a storage at this free port, or below this directory of the demonstration."""


STORAGES: Mapping[str, Storage] = {
    "s3": Storage(_start_s3, lambda port, _: {"endpoint_url": f"http://127.0.0.1:{port}"}),
    "redis": Storage(_start_redis, lambda port, _: {"url": f"redis://127.0.0.1:{port}/0"}),
    "gcs": Storage(_start_gcs, lambda port, _: {"endpoint_url": f"http://127.0.0.1:{port}"}),
    "postgres": Storage(
        _start_postgres,
        lambda port, _: {"url": f"postgresql://local:local-password@127.0.0.1:{port}/postgres"},
    ),
    "azure_blob": Storage(
        _start_azure_blob, lambda port, _: {"account_url": f"http://127.0.0.1:{port}/devstoreaccount1"}
    ),
    # No server: worker, starter and codec server share a directory. Nothing was there before: create it.
    "filesystem": Storage(
        _use_directory, lambda _, directory: {"path": str(directory / "payloads"), "create": "true"}
    ),
}


@contextlib.contextmanager
def _run_codec_server(directory: Path, url: str, ui_port: int | None) -> Iterator[None]:
    """Run `temporal-payloads codec-server` for the Web UI at this port, under either of its names."""
    origins = f"http://127.0.0.1:{ui_port},http://localhost:{ui_port}"

    def is_ready() -> None:
        urllib.request.urlopen(f"{url}/healthz").close()  # noqa: S310 - our own loopback address

    with run_server(
        "The codec server",
        [sys.executable, "-m", "temporal_payloads", "codec-server"],
        log_file=directory / "codec-server.log",
        is_ready=is_ready,
        environment={"TEMPORAL_PAYLOADS_CODEC_SERVER__ALLOWED_ORIGINS": origins},
    ):
        yield


def _local_port(url: str) -> int:
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"} or parts.port is None:
        raise ConfiguredElsewhereError(
            f"The configuration says {url!r}, which is no port of this machine: nothing can be started there"
        )
    return parts.port
