"""Errors of `redis` as storage errors: what failed, where it was configured, what to do now.

redis-py's own errors are not chained: Temporal records the messages of a failure's causes, and some of these
carry the arguments of the command that failed, which may be a payload or a password.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import exceptions as errors
from redis.asyncio.sentinel import MasterNotFoundError
from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which server an error is about, and how its settings are called."""

    server: str
    """The address, without a password: `redis://10.0.0.1:6379/0`."""
    address_setting: str = "host"
    """The setting that holds the address."""
    place: str | None = None
    """Where the settings stand (`storage.drivers.redis`); None for a client that was made by hand."""
    tls: bool = False
    """Whether connections are encrypted."""
    cluster: bool = False
    """Whether the client speaks to a cluster."""

    def setting(self, name: str) -> str:
        """Return the full name of a setting, for a sentence."""
        return f"{self.place}.{name}" if self.place else f"the Redis client's {name}"

    @property
    def address(self) -> str:
        """The full name of the setting that holds the address."""
        return self.setting(self.address_setting)

    @property
    def other_tls(self) -> str:
        """What to change if the server wants TLS and we don't, or the other way round."""
        if self.address_setting == "url":
            return f"begin {self.address} with {'redis' if self.tls else 'rediss'}://"
        return f"set {self.setting('tls')} = {'false' if self.tls else 'true'}"


@contextmanager
def redis_errors_explained(origin: Origin) -> Iterator[None]:
    """Raise redis-py's errors as storage errors."""
    try:
        yield
    except (errors.RedisError, errors.RedisClusterException) as error:
        raise explain(error, origin) from None


def explain(error: BaseException, origin: Origin) -> StorageError:
    """Return what the error, or one of its causes, means to whoever configured the server."""
    chain = list(_chain(error))
    for kinds, meaning in _MEANINGS:
        for link in chain:
            if isinstance(link, kinds):
                return meaning(link, origin)
    return _other(error, origin)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(error: BaseException) -> str:
    # A server that does not know a command repeats its arguments.
    return str(error).partition(", with args beginning with")[0].rstrip(". ") or type(error).__name__


def _certificate(error: BaseException, origin: Origin) -> StorageError:
    assert isinstance(error, ssl.SSLCertVerificationError)
    reason = error.verify_message.rstrip(". ")
    return StorageMisconfiguredError(
        f"The certificate of the Redis server {origin.server} is not trusted: {reason}. Set "
        f"{origin.setting('ca_file')} to the certificate of the authority that signed it, and "
        f"{origin.address} to a host name that it was issued for"
    )


def _tls(error: BaseException, origin: Origin) -> StorageError:
    assert isinstance(error, ssl.SSLError)
    return StorageMisconfiguredError(
        f"TLS with the Redis server {origin.server} failed: {error.reason or _text(error)}. If the server "
        f"does not speak TLS, {origin.other_tls}; if it asks for a client certificate, set "
        f"{origin.setting('cert_file')} and {origin.setting('key_file')}"
    )


def _missing_file(error: BaseException, origin: Origin) -> StorageError:
    del error  # the message of a failed load_cert_chain does not name the file
    return StorageMisconfiguredError(
        f"TLS with the Redis server {origin.server} can't be set up, for a file is missing: check "
        f"{origin.setting('ca_file')}, {origin.setting('cert_file')} and {origin.setting('key_file')}"
    )


def _forbidden(error: BaseException, origin: Origin) -> StorageError:
    return StoragePermissionError(
        f"The Redis server {origin.server} refused a command: {_text(error)}. Allow it to the user in "
        f"{origin.setting('username')}: ACL SETUSER with +get +mget +set +ping and the pattern "
        f"~{{key_prefix}}:*; with refresh_ttl also +pexpire +pttl, in a cluster +cluster|slots +command"
    )


def _login(error: BaseException, origin: Origin) -> StorageError:
    return StoragePermissionError(
        f"The Redis server {origin.server} refused the login: {_text(error)}. Check "
        f"{origin.setting('username')} and {origin.setting('password')}"
    )


def _memory(_: BaseException, origin: Origin) -> StorageError:
    return StorageUnavailableError(
        f"The Redis server {origin.server} is out of memory (maxmemory): nothing more can be stored until "
        "payloads expire, are deleted, or maxmemory is raised"
    )


def _read_only(_: BaseException, origin: Origin) -> StorageError:
    return StorageMisconfiguredError(
        f"The Redis server {origin.server} is a read-only replica, which may also lack what was just stored: "
        f"set {origin.address} to the primary, or use {origin.setting('sentinel')} or "
        f"{origin.setting('cluster')}, which find it"
    )


def _loading(_: BaseException, origin: Origin) -> StorageError:
    return StorageUnavailableError(
        f"The Redis server {origin.server} has just started and is loading its data: try again soon"
    )


def _cluster_state(error: BaseException, origin: Origin) -> StorageError:
    return StorageUnavailableError(
        f"The Redis cluster at {origin.server} can't serve a key: {_text(error)}. It is failing over or "
        "resharding, or lost a primary: see CLUSTER INFO"
    )


def _moved(error: BaseException, origin: Origin) -> StorageError:
    if origin.cluster:
        return _cluster_state(error, origin)
    return StorageMisconfiguredError(
        f"The Redis server {origin.server} is part of a cluster: set {origin.setting('cluster')} = true"
    )


def _no_master(error: BaseException, origin: Origin) -> StorageError:
    # Its message holds the representation of each Sentinel's client, which is not for the eyes of others.
    if "AuthenticationError" in str(error):
        return StoragePermissionError(
            f"Sentinel {origin.server} refused the login. Check {origin.setting('sentinel.username')} and "
            f"{origin.setting('sentinel.password')}"
        )
    return StorageUnavailableError(
        f"Sentinel {origin.server} names no primary that is up: check {origin.setting('sentinel.hosts')} "
        f"and {origin.setting('sentinel.service_name')}, and that a Sentinel and the primary are running"
    )


def _pool(_: BaseException, origin: Origin) -> StorageError:
    return StorageUnavailableError(
        f"All connections to the Redis server {origin.server} are in use by others: raise "
        f"{origin.setting('pool_size') if origin.place else 'the max_connections of the Redis client'}"
    )


def _timeout(error: BaseException, origin: Origin) -> StorageError:
    # A server without TLS waits for the rest of a command, and we for its certificate.
    hint = f". If the server does not speak TLS, {origin.other_tls}" if origin.tls else ""
    return StorageUnavailableError(
        f"The Redis server {origin.server} did not answer in time: {_text(error)}. Check {origin.address}, "
        f"the network and the server's load; the limits are {origin.setting('connect_timeout')} and "
        f"{origin.setting('timeout')}{hint}"
    )


def _connection(error: BaseException, origin: Origin) -> StorageError:
    text = _text(error)
    hint = f"Check {origin.address} and that the server is running"
    if any(sign in text for sign in _HUNG_UP):
        hint += (
            f". If the server asks for a client certificate, set {origin.setting('cert_file')} and "
            f"{origin.setting('key_file')}"
            if origin.tls
            else f". If the server expects TLS, {origin.other_tls}"
        )
    return StorageUnavailableError(f"The Redis server {origin.server} can't be reached: {text}. {hint}")


_HUNG_UP = ("closed by server", "reset by peer", "Connection lost", "Broken pipe")


def _not_redis(_: BaseException, origin: Origin) -> StorageError:
    return StorageMisconfiguredError(
        f"What listens at {origin.server} does not answer as a Redis server does: check {origin.address}"
    )


_TEMPORARY = {
    "BUSY": "is busy with a script",
    "MISCONF": "can't save its data to disk, and refuses writes until it can",
    "NOREPLICAS": "has too few replicas, and refuses writes until they are back",
}


def _other(error: BaseException, origin: Origin) -> StorageError:
    text = _text(error)
    state = _TEMPORARY.get(text.partition(" ")[0])
    if state:
        return StorageUnavailableError(f"The Redis server {origin.server} {state}: {text}")
    if text.startswith("WRONGTYPE"):
        return StorageMisconfiguredError(
            f"Another application keeps something else under our keys in {origin.server}: set "
            f"{origin.setting('key_prefix')} to a prefix of its own"
        )
    if "Cluster mode is not enabled" in text:
        return StorageMisconfiguredError(
            f"The Redis server {origin.server} is not part of a cluster, or its user lacks +cluster|slots: "
            f"check {origin.setting('cluster')} and {origin.setting('username')}"
        )
    if "syntax error" in text or "Unsupported option" in text or "wrong number of arguments" in text:
        return StorageMisconfiguredError(
            f"The Redis server {origin.server} is too old for a command: {text}. Redis 7 or Valkey is needed "
            f"for {origin.setting('refresh_ttl')}, Redis 6 for the rest"
        )
    if isinstance(error, errors.RedisClusterException):
        return StorageUnavailableError(
            f"The Redis cluster at {origin.server} can't be used: {text}. Check {origin.address} and the "
            "state of the cluster (CLUSTER INFO)"
        )
    return StorageMisconfiguredError(f"The Redis server {origin.server} refused a command: {text}")


_MEANINGS: tuple[
    tuple[
        type[BaseException] | tuple[type[BaseException], ...], Callable[[BaseException, Origin], StorageError]
    ],
    ...,
] = (
    # From the particular to the general, for redis-py raises most of these as a ConnectionError, or from one.
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (FileNotFoundError, _missing_file),
    (errors.NoPermissionError, _forbidden),
    (
        (errors.AuthenticationError, errors.AuthenticationWrongNumberOfArgsError, errors.AuthorizationError),
        _login,
    ),
    (errors.OutOfMemoryError, _memory),
    (errors.ReadOnlyError, _read_only),
    (errors.BusyLoadingError, _loading),
    ((errors.MovedError, errors.AskError), _moved),
    ((errors.ClusterError, errors.TryAgainError, errors.SlotNotCoveredError), _cluster_state),
    (MasterNotFoundError, _no_master),
    (errors.MaxConnectionsError, _pool),
    (errors.TimeoutError, _timeout),
    (errors.ConnectionError, _connection),
    (errors.InvalidResponse, _not_redis),
)
