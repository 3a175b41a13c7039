"""Azure Blob Storage from Azurite, Microsoft's emulator."""

import base64
import contextlib
import hashlib
import hmac
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from local_servers.parts import find_azurite
from local_servers.process import CHECK_SECONDS, CLIENT_SECONDS, free_ports, require_free, run_server

_API_VERSION = "2021-12-02"
_ALREADY_THERE = 409


@dataclass(frozen=True)
class AzuriteServer:
    """A running Azurite; account and key are the ones that everybody's emulator has."""

    account_url: str
    account_name: str = "devstoreaccount1"
    account_key: str = field(
        default="Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        repr=False,
    )
    ca_file: Path | None = None
    """PEM file of the authority that vouches for it, where it speaks TLS."""
    process_group: int | None = field(default=None, compare=False)
    """Id of the group of processes that it runs in, to stop or kill it."""

    def create_container(self, name: str) -> None:
        """Create a container; one of that name that exists already is kept."""
        try:
            self._request("PUT", f"{name}?restype=container")
        except urllib.error.HTTPError as error:
            if error.code != _ALREADY_THERE:
                raise

    def check(self) -> None:
        """Raise unless the server answers."""
        self._request("GET", "?comp=list", timeout=CHECK_SECONDS)

    def _request(self, method: str, path: str, *, timeout: float = CLIENT_SECONDS) -> None:
        """Send a request without a body. The Azure libraries take a second to import, and this a page."""
        request = urllib.request.Request(f"{self.account_url}/{path}", method=method)  # noqa: S310 - loopback
        date = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}"
        parts = urlsplit(request.full_url)
        no_headers = [""] * 11
        signed = [method, *no_headers, f"x-ms-date:{date}", f"x-ms-version:{_API_VERSION}"]
        signed += [f"/{self.account_name}{parts.path}"]
        signed += [f"{name}:{value}" for name, value in sorted(parse_qsl(parts.query))]
        digest = hmac.digest(base64.b64decode(self.account_key), "\n".join(signed).encode(), hashlib.sha256)
        request.headers = {
            "x-ms-date": date,
            "x-ms-version": _API_VERSION,
            "Authorization": f"SharedKey {self.account_name}:{base64.b64encode(digest).decode()}",
        }
        trust = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        urllib.request.urlopen(request, timeout=timeout, context=trust).close()  # noqa: S310 - loopback


@contextlib.contextmanager
def start_azurite(
    directory: Path,
    *,
    port: int | None = None,
    tls: bool = False,
    keep: bool = False,
    options: Sequence[str] = (),
) -> Iterator[AzuriteServer]:
    """Run Azurite's Blob service with its log in `directory`. A container must be created before it is used.

    Args:
        directory: For the log, and for the data if it is kept; made if it is not there.
        port: Where it listens; a free port unless given.
        tls: Speak TLS, with a certificate for 127.0.0.1 from a CA made for the occasion. Then identities log
            in too; the signature of their tokens is not verified.
        keep: Keep the data on disk, so that they outlive the process; else they are in its memory.
        options: Further options.

    Raises:
        MissingPartError: Azurite is not installed.
        ServerStartError: It did not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = require_free("Azurite", port) if port else free_ports(1)[0]
    data: list[str | Path] = ["--location", directory / "azurite"] if keep else ["--inMemoryPersistence"]
    ca_file, encryption = _make_certificate(directory) if tls else (None, [])
    scheme = "https" if tls else "http"
    server = AzuriteServer(f"{scheme}://127.0.0.1:{port}/devstoreaccount1", ca_file=ca_file)
    with run_server(
        "Azurite",
        [
            find_azurite(),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(port),
            *data,
            *encryption,
            "--silent",
            "--disableTelemetry",
            # Clients are of later versions than any emulator.
            "--skipApiVersionCheck",
            *options,
        ],
        log_file=directory / "azurite.log",
        is_ready=server.check,
        grace=2.0,
    ) as kept:
        yield replace(server, process_group=kept.pid)


def _make_certificate(directory: Path) -> tuple[Path, list[str | Path]]:
    """Return the file of the authority, and Azurite's options."""
    import trustme  # noqa: PLC0415 - every run of pytest imports this module, few need it

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca_file, cert_file, key_file = (directory / f"azurite-{name}.pem" for name in ("ca", "cert", "key"))
    authority.cert_pem.write_to_path(ca_file)
    certificate.cert_chain_pems[0].write_to_path(cert_file)
    certificate.private_key_pem.write_to_path(key_file)
    return ca_file, ["--cert", cert_file, "--key", key_file, "--oauth", "basic"]
