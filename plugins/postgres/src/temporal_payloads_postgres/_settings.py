"""The settings of a `[storage.drivers.NAME]` table of type `postgres`."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    ContentAddressedSettings,
    Duration,
    PositiveDuration,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PORT = 5432
DEFAULT_TABLE = "temporal_payloads.payloads"
POOL_SIZE = 8
LARGEST = 1024 * 1024 * 1024
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]{0,44}"
"""Letters, digits and underscores, short enough for the names that are made of it (63 characters at most)."""

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """Return host and port of `host`, `host:port` or `[ipv6]:port`."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port or default_port
    except ValueError:
        pass
    raise ValueError("must hold hosts as 'host', 'host:port' or '[ipv6]:port'")


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        split_host(host, DEFAULT_PORT)
    return hosts


def _a_day_or_more(duration: timedelta) -> timedelta:
    if duration < timedelta(days=1):
        raise ValueError("must be a day or more: payloads expire by partitions of a day")
    # Rounded up: the database keeps it in seconds, and the two are compared.
    return timedelta(seconds=math.ceil(duration.total_seconds()))


Hosts = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_words), AfterValidator(_hosts)]
"""Hosts as `host` or `host:port`: a list, or text as `a,b:5433`."""


class PostgresSettings(ContentAddressedSettings):
    """Where the database is, how to log in, and in which table payloads are kept.

    The server is named by `url`, or by `host` and `database`.
    """

    url: SecretStr | None = Field(
        None,
        description="`postgresql://[user[:password]@]host[:port][,host[:port]...]/database[?sslmode=...]`. "
        "Special characters of a password are percent-encoded; or leave it out and set `password`.",
    )
    host: Hosts | None = Field(
        None,
        description="Host name or IP address, instead of `url`; or several, as `a,b:5433`, of which the one "
        "that can be written to is used.",
    )
    port: int = Field(DEFAULT_PORT, ge=1, le=65535, description="Port, with `host`.")
    database: str | None = Field(None, min_length=1, description="Name of the database, with `host`.")
    user: str | None = Field(
        None, min_length=1, description="Role that logs in; by default what libpq finds."
    )
    password: SecretStr | None = Field(
        None, description="Password of the role; by default what libpq finds (`PGPASSWORD`, `~/.pgpass`)."
    )
    sslmode: SslMode | None = Field(
        None,
        description="Whether connections are encrypted, and whether the server must prove who it is: "
        "`verify-full` for both. By default that with `ssl_root_cert`, else `prefer`.",
    )
    ssl_root_cert: Path | None = Field(
        None, description="PEM file of the authorities to trust; `system` for those the system trusts."
    )
    ssl_cert: Path | None = Field(None, description="PEM file of the client certificate, with `ssl_key`.")
    ssl_key: Path | None = Field(
        None, description="PEM file of the client certificate's key, not encrypted, with `ssl_cert`."
    )
    table: str = Field(
        DEFAULT_TABLE,
        pattern=rf"^{_IDENTIFIER}\.{_IDENTIFIER}$",
        description="The table, as `schema.table`; `temporal-payloads postgres init` makes both.",
    )
    ttl: Annotated[Duration, AfterValidator(_a_day_or_more)] | None = Field(
        None,
        description="How long a payload is kept at least after it was stored last, for a table that `init` "
        "made with it; `temporal-payloads postgres maintain` drops what is older. It must outlast the "
        "longest workflow and the namespace's retention. None: for ever.",
    )
    pool_size: int = Field(
        POOL_SIZE, ge=1, description="Most connections at once, of each process; they are opened when needed."
    )
    connect_timeout: PositiveDuration = Field(
        timedelta(seconds=5), description="Of opening a connection to one host."
    )
    timeout: PositiveDuration = Field(
        timedelta(seconds=10), description="Of one statement, which moves a megabyte or so."
    )
    max_payload_size: Annotated[ByteSize, Field(gt=0, le=LARGEST)] = Field(
        ByteSize(DEFAULT_MAX_PAYLOAD_SIZE), description="Largest payload that is stored, at most 1 GiB."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and (problem := _url_problem(url.get_secret_value())):
            raise ValueError(problem)
        return url

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if problems := [*self._address_problems(), *self._login_problems(), *self._tls_problems()]:
            raise ValueError("; ".join(problems))
        return self

    def _address_problems(self) -> Iterator[str]:
        if self.url is None and self.host is None:
            yield "no server is named: set url (postgresql://127.0.0.1/temporal), or host and database"
        if self.url is None and self.host and not self.database:
            yield "host needs database, the name of the database there"
        given = [name for name in ("host", "port", "database") if name in self.model_fields_set]
        if self.url and given:
            yield f"{' and '.join(given)} beside url, which says it already: keep one"

    def _login_problems(self) -> Iterator[str]:
        if self._url_parts and self._url_parts.password and self.password:
            yield "the url holds a password and password is set too: keep one"
        if self._url_parts and self._url_parts.username and self.user:
            yield "the url holds a user name and user is set too: keep one"

    def _tls_problems(self) -> Iterator[str]:
        if self._url_sslmode and self.sslmode:
            yield "the url holds sslmode and sslmode is set too: keep one"
        options = ("ssl_root_cert", "ssl_cert", "ssl_key")
        given = [name for name in options if name in self.model_fields_set]
        if given and self.effective_sslmode in ("disable", "allow", "prefer"):
            yield f"{', '.join(given)} where connections need not be encrypted: set sslmode = 'verify-full'"
        if bool(self.ssl_cert) != bool(self.ssl_key):
            yield "ssl_cert and ssl_key, a certificate and its key, go together"

    @property
    def _url_parts(self) -> SplitResult | None:
        return _split(self.url.get_secret_value())[0] if self.url else None

    @property
    def _url_sslmode(self) -> str | None:
        return dict(parse_qsl(self._url_parts.query)).get("sslmode") if self._url_parts else None

    @property
    def effective_sslmode(self) -> str:
        """What libpq is told as `sslmode`."""
        return self.sslmode or self._url_sslmode or ("verify-full" if self.ssl_root_cert else "prefer")

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each server, from wherever they are set."""
        if self.url:
            return tuple(split_host(host, DEFAULT_PORT) for host in _split(self.url.get_secret_value())[1])
        return tuple(split_host(host, self.port) for host in self.host or ())

    @property
    def database_name(self) -> str:
        """The name of the database, from wherever it is set."""
        parts = self._url_parts
        return unquote(parts.path[1:]) if parts else self.database or ""

    @property
    def login(self) -> tuple[str | None, str | None]:
        """Role and password, from wherever they are set. The password is not secret here: mind it."""
        parts = self._url_parts
        user = self.user or (unquote(parts.username) if parts and parts.username else None)
        if self.password:
            return user, self.password.get_secret_value()
        return user, unquote(parts.password) if parts and parts.password else None

    @property
    def schema_and_table(self) -> tuple[str, str]:
        """The two names in `table`."""
        schema, _, table = self.table.partition(".")
        return schema, table


def _split(url: str) -> tuple[SplitResult, list[str]]:
    """Return the parts of a URL as if it had one host, and its hosts."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, hosts = authority.rpartition("@")
    return urlsplit(f"{scheme}://{login}{at}host{rest[len(authority) :]}"), hosts.split(",")


def _url_problem(url: str) -> str | None:
    # Python's own messages quote the part that can't be read, which may be of the password.
    try:
        parts, hosts = _split(url)
        for host in hosts:
            split_host(host, DEFAULT_PORT)
    except ValueError:
        return (
            "can't be read: write postgresql://user:password@host:port/database, with the special "
            "characters of the password percent-encoded, or set password on its own"
        )
    if parts.scheme not in ("postgresql", "postgres"):
        return "must begin with postgresql://"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or set(query) - {"sslmode"}:
        return (
            "takes sslmode and nothing else after ?: write other things as settings of their own (or "
            "percent-encode ? and # in the password)"
        )
    if not parts.path.strip("/") or "/" in parts.path[1:]:
        return "must name a database after the host, as in postgresql://host:5432/temporal"
    if "sslmode" in query and query["sslmode"] not in SslMode.__args__:  # type: ignore[attr-defined]  # of a Literal
        return f"has an sslmode that there is not: it is one of {', '.join(SslMode.__args__)}"  # type: ignore[attr-defined]  # of a Literal
    return None
