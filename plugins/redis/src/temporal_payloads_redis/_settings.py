"""The settings of a `[storage.drivers.NAME]` table of type `redis`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from temporal_payloads.plugin import DEFAULT_MAX_PAYLOAD_SIZE, PositiveDuration

from temporal_payloads_redis._keys import DEFAULT_KEY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
REDIS_VALUE_LIMIT = 512 * 1024 * 1024
"""The largest value that a Redis server takes (`proto-max-bulk-len`)."""
_TRUTH = {"true", "false", "yes", "no", "on", "off", "1", "0"}


def _words(value: object) -> object:
    if not isinstance(value, str) or value.strip().lower() in _TRUTH:
        return value
    return [word.strip() for word in value.split(",") if word.strip()]


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """Return host and port of `host`, `host:port` or `[ipv6]:port`."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port or default_port
    except ValueError:
        pass
    raise ValueError("must hold hosts as 'host', 'host:port' or '[ipv6]:port'")


def _host(host: str) -> str:
    # A URL may hold a password, and a host is shown.
    if any(character in host for character in "/@?#") or host.count(":") == 1:
        raise ValueError("must be a bare host name or IP address; a URL goes into url, a port into port")
    return host


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        split_host(host, DEFAULT_PORT)
    return hosts


Hosts = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_words), AfterValidator(_hosts)]
"""Hosts as `host` or `host:port`: a list, or in a variable `a:6379,b:6379`."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SentinelSettings(_Table):
    """The Sentinels that know which server is the primary."""

    hosts: Hosts = Field(description="The Sentinels, as `host` or `host:port`; the port is 26379 by default.")
    service_name: str = Field(min_length=1, description="What the Sentinels call the primary (`mymaster`).")
    username: str | None = Field(None, description="User name for the Sentinels, if they ask for one.")
    password: SecretStr | None = Field(None, description="Password for the Sentinels, if they ask for one.")


class RedisSettings(_Table):
    """Where the server is, how to log in, and how payloads are kept there.

    The server is named by exactly one of `url`, `host`, `sentinel`, or a list of nodes in `cluster`.
    """

    url: SecretStr | None = Field(
        None,
        description="`redis://[user[:password]@]host[:port][/database]`, or `rediss://` for TLS. Special "
        "characters of a password are percent-encoded; or leave it out and set `password`.",
    )
    host: Annotated[str, AfterValidator(_host)] | None = Field(
        None, min_length=1, description="Host name or IP address, instead of `url`."
    )
    port: int = Field(DEFAULT_PORT, ge=1, le=65535, description="Port, with `host`.")
    database: int = Field(0, ge=0, description="Number of the database, with `host` or `sentinel`.")
    username: str | None = Field(None, description="ACL user; without one, the default user logs in.")
    password: SecretStr | None = Field(None, description="Password of the user.")
    tls: bool = Field(False, description="Use TLS, with `host`, `sentinel` or `cluster`.")
    ca_file: Path | None = Field(
        None, description="PEM file of the authorities to trust, beside those the system trusts."
    )
    cert_file: Path | None = Field(None, description="PEM file of the client certificate, with `key_file`.")
    key_file: Path | None = Field(
        None, description="PEM file of the client certificate's key, not encrypted, with `cert_file`."
    )
    check_hostname: bool = Field(
        True, description="Whether the server's certificate must be issued for the host name."
    )
    sentinel: SentinelSettings | None = Field(None, description="Find the primary through Sentinel.")
    cluster: bool | Hosts = Field(
        False,
        description="True: `url` or `host` is a node of a Redis Cluster. Or a list of nodes, as `host` or "
        "`host:port`, any one of which must be up to find the others.",
    )
    pool_size: int | None = Field(
        None,
        ge=1,
        description="Largest number of connections (in a cluster, to each node); `storage.concurrency` by "
        "default.",
    )
    connect_timeout: PositiveDuration = Field(timedelta(seconds=5), description="Of opening a connection.")
    timeout: PositiveDuration = Field(
        timedelta(seconds=10), description="Of sending a pipeline, and of each reply."
    )
    retries: int = Field(
        3, ge=0, description="Attempts after the first when a connection fails, with growing pauses."
    )
    key_prefix: str = Field(
        DEFAULT_KEY_PREFIX,
        max_length=1024,
        description="What all keys begin with, at most 1,024 characters. Only keys below it are ever read.",
    )
    ttl: PositiveDuration | None = Field(
        None,
        description="After how long a payload expires, from its first store. It must outlast the longest "
        "workflow and the namespace's retention. None: never.",
    )
    refresh_ttl: bool = Field(
        False,
        description="Storing equal bytes again lets the payload live for at least `ttl` from then; it never "
        "shortens its life. Needs Redis 7 or Valkey.",
    )
    max_payload_size: Annotated[ByteSize, Field(gt=0, le=REDIS_VALUE_LIMIT)] = Field(
        ByteSize(DEFAULT_MAX_PAYLOAD_SIZE),
        description="Largest payload that is stored; Redis itself takes up to 512 MiB.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and (problem := _url_problem(url.get_secret_value())):
            raise ValueError(problem)
        return url

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = [*self._address_problems(), *self._login_problems(), *self._tls_problems()]
        if self.refresh_ttl and self.ttl is None:
            problems.append("refresh_ttl has nothing to refresh: set ttl too")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _address_problems(self) -> Iterator[str]:
        named = [name for name in ("url", "host", "sentinel") if getattr(self, name) is not None]
        if not isinstance(self.cluster, bool):
            named.append("cluster (a list)")
        if not named:
            yield "no server is named: set url (redis://127.0.0.1:6379/0), or host, sentinel or cluster"
        if len(named) > 1:
            yield f"{' and '.join(named)} each name the server: keep one"
        if self.cluster is True and self.sentinel:
            yield "cluster and sentinel exclude each other: a cluster elects its primaries itself"
        if self.url and "port" in self.model_fields_set:
            yield "port goes with host: write it into the url"
        if self.url and "database" in self.model_fields_set:
            yield "database goes with host: write it at the end of the url, as in redis://host:6379/1"
        elif self.cluster and self.database_number:
            yield "a cluster has database 0 only: leave the database out; key_prefix keeps data apart"

    def _login_problems(self) -> Iterator[str]:
        if self._url_parts and self._url_parts.password and self.password:
            yield "the url holds a password and password is set too: keep one"
        if self._url_parts and self._url_parts.username and self.username:
            yield "the url holds a user name and username is set too: keep one"

    def _tls_problems(self) -> Iterator[str]:
        if self.url and "tls" in self.model_fields_set and self.tls != self.uses_tls:
            yield "tls contradicts the url: write rediss:// for TLS, redis:// without, and leave tls out"
        options = ("ca_file", "cert_file", "key_file", "check_hostname")
        if not self.uses_tls and (given := [name for name in options if name in self.model_fields_set]):
            yield f"{', '.join(given)} without TLS: set tls = true, or write rediss:// in the url"
        if self.cert_file and not self.key_file:
            yield "cert_file needs key_file, the key of that certificate"
        if self.key_file and not self.cert_file:
            yield "key_file needs cert_file, the certificate of that key"

    @property
    def _url_parts(self) -> SplitResult | None:
        return urlsplit(self.url.get_secret_value()) if self.url else None

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self._url_parts.scheme == "rediss" if self._url_parts else self.tls

    @property
    def database_number(self) -> int:
        """The number of the database, from wherever it is set."""
        if self._url_parts:
            return int(self._url_parts.path.strip("/") or 0)
        return self.database

    @property
    def login(self) -> tuple[str | None, str | None]:
        """User name and password, from wherever they are set. The password is not secret here: mind it."""
        parts = self._url_parts
        password = self.password.get_secret_value() if self.password else None
        if parts:
            return (
                self.username or (unquote(parts.username) if parts.username else None),
                password or (unquote(parts.password) if parts.password else None),
            )
        return self.username, password

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Host and port of the server, of the Sentinels, or of the cluster's nodes to start from."""
        if self.sentinel:
            return tuple(split_host(host, DEFAULT_SENTINEL_PORT) for host in self.sentinel.hosts)
        if not isinstance(self.cluster, bool):
            return tuple(split_host(host, DEFAULT_PORT) for host in self.cluster)
        if self._url_parts:
            return ((self._url_parts.hostname or "", self._url_parts.port or DEFAULT_PORT),)
        return ((self.host or "", self.port),)


def _url_problem(url: str) -> str | None:
    # Python's own messages quote the part that can't be read, which may be of the password.
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return (
            "can't be read: write redis://user:password@host:port/database, with the special characters of "
            "the password percent-encoded, or set password on its own"
        )
    if parts.scheme not in ("redis", "rediss"):
        return "must begin with redis://, or rediss:// for TLS"
    if not host:
        return "names no host: write redis://host:6379/0"
    if parts.query or parts.fragment:
        return (
            "must end after the database: write what follows ? as settings of their own (or percent-encode "
            "? and # in the password)"
        )
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return "must end with the number of a database, as in redis://host:6379/0"
    return None
