"""The servers that the configuration names, started on this machine."""

import contextlib
import os
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local_servers import start_redis, start_s3, start_temporal
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


def use_free_ports(storage: str) -> None:
    """Point this process, and those it starts, at free ports instead of the configured ones.

    Environment variables override the files, the library's as well as Temporal's own.
    """
    temporal_port, storage_port, codec_server_port = free_ports(3)
    os.environ["TEMPORAL_ADDRESS"] = f"127.0.0.1:{temporal_port}"
    os.environ["TEMPORAL_PAYLOADS_CODEC_SERVER__PORT"] = str(codec_server_port)
    if storage == "s3":
        os.environ["TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__ENDPOINT_URL"] = (
            f"http://127.0.0.1:{storage_port}"
        )
    else:
        os.environ["TEMPORAL_PAYLOADS_STORAGE__DRIVERS__REDIS__URL"] = f"redis://127.0.0.1:{storage_port}/0"


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


@contextlib.contextmanager
def _run_storage(directory: Path, settings: PayloadSettings) -> Iterator[str]:
    drivers = settings.storage.drivers
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
