"""What can go wrong with a Redis server, and what that means to whoever configured it.

The first rule that fits counts. In its sentence, `{server}` is the server's address, `{address}` the setting
that holds it, `{its}` what precedes the name of a setting (`storage.drivers.redis.`), `{other_tls}` how to
turn TLS on or off, `{pool_size}` the setting of that, and `{reason}` what the error says.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from redis import exceptions as redis
from redis.asyncio.sentinel import MasterNotFoundError
from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)


@dataclass(frozen=True)
class Rule:
    """A kind of error, the storage error that it becomes, and its sentence."""

    raised: tuple[type[BaseException], ...]
    """What was raised, or is among the causes of that."""
    error: type[StorageError]
    sentence: str
    saying: str = ""
    """Pattern that the error's text must contain."""
    tls: bool | None = None
    """Whether the connection must be encrypted, or must not be."""
    cluster: bool | None = None
    """Whether the client must speak to a cluster, or must not."""


_CLIENT_CERTIFICATE = "if it asks for a client certificate, set {its}cert_file and {its}key_file"
_TO_COLLECT = "+scan +strlen +pexpiretime +info +eval +pexpireat +persist +unlink +time"
_SILENT = (
    "The Redis server {server} did not answer in time: {reason}. Check {address}, the network and the "
    "server's load; the limits are {its}connect_timeout and {its}timeout"
)
_UNREACHABLE = (
    "The Redis server {server} can't be reached: {reason}. Check {address} and that the server is running"
)
_HUNG_UP = "closed by server|reset by peer|Connection lost|Broken pipe"

RULES = (
    # From the particular to the general, for redis-py raises most of these as a ConnectionError, or from one.
    Rule(
        (ssl.SSLCertVerificationError,),
        StorageMisconfiguredError,
        "The certificate of the Redis server {server} is not trusted: {reason}. Set {its}ca_file to the "
        "certificate of the authority that signed it, and {address} to a host name that it was issued for",
    ),
    Rule(
        (ssl.SSLError,),
        StorageMisconfiguredError,
        "TLS with the Redis server {server} failed: {reason}. If the server does not speak TLS, {other_tls}; "
        + _CLIENT_CERTIFICATE,
    ),
    Rule(
        (FileNotFoundError,),  # its message does not name the file
        StorageMisconfiguredError,
        "TLS with the Redis server {server} can't be set up, because a file is missing: check {its}ca_file, "
        "{its}cert_file and {its}key_file",
    ),
    Rule(
        (redis.NoPermissionError,),
        StoragePermissionError,
        "The Redis server {server} refused a command: {reason}. Allow it to the user in {its}username: ACL "
        "SETUSER with +get +mget +set +ping and the pattern ~{{key_prefix}}:*; with refresh_ttl also "
        "+pexpire +pttl, in a cluster +cluster|slots +command, and to collect " + _TO_COLLECT,
    ),
    Rule(
        (redis.RedisError,),
        StoragePermissionError,
        "The Redis server {server} refused a command in a script: {reason}. Allow it to the user in "
        "{its}username: ACL SETUSER with " + _TO_COLLECT,
        saying="ACL failure in script|can't run this command",
    ),
    Rule(
        (redis.RedisError,),
        StorageMisconfiguredError,
        "The Redis server {server} is too old to be listed and collected: it needs to be Redis 7 or Valkey",
        saying="(?i)unknown (redis )?command.*(pexpiretime|script)",
    ),
    Rule(
        (redis.AuthenticationError, redis.AuthenticationWrongNumberOfArgsError, redis.AuthorizationError),
        StoragePermissionError,
        "The Redis server {server} refused the login: {reason}. Check {its}username and {its}password",
    ),
    Rule(
        (redis.OutOfMemoryError,),
        StorageUnavailableError,
        "The Redis server {server} is out of memory (maxmemory): nothing more can be stored until payloads "
        "expire, are deleted, or maxmemory is raised",
    ),
    Rule(
        (redis.ReadOnlyError,),
        StorageMisconfiguredError,
        "The Redis server {server} is a read-only replica, which may also lack what was just stored: set "
        "{address} to the primary, or use {its}sentinel or {its}cluster, which find it",
    ),
    Rule(
        (redis.BusyLoadingError,),
        StorageUnavailableError,
        "The Redis server {server} has just started and is loading its data: try again soon",
    ),
    Rule(
        (redis.MovedError, redis.AskError),
        StorageMisconfiguredError,
        "The Redis server {server} is part of a cluster: set {its}cluster = true",
        cluster=False,
    ),
    Rule(
        (
            redis.MovedError,
            redis.AskError,
            redis.ClusterError,
            redis.TryAgainError,
            redis.SlotNotCoveredError,
        ),
        StorageUnavailableError,
        "The Redis cluster at {server} can't serve a key: {reason}. It is failing over or resharding, or "
        "lost a primary: see CLUSTER INFO",
    ),
    # Neither quotes the reason: it holds the representation of each Sentinel's client, with its arguments.
    Rule(
        (MasterNotFoundError,),
        StoragePermissionError,
        "Sentinel {server} refused the login. Check {its}sentinel.username and {its}sentinel.password",
        saying="AuthenticationError",
    ),
    Rule(
        (MasterNotFoundError,),
        StorageUnavailableError,
        "Sentinel {server} names no primary that is up: check {its}sentinel.hosts and "
        "{its}sentinel.service_name, and that a Sentinel and the primary are running",
    ),
    Rule(
        (redis.MaxConnectionsError,),
        StorageUnavailableError,
        "All connections to the Redis server {server} are in use by others: raise {pool_size}",
    ),
    # A server without TLS waits for the rest of a command, and we for its certificate.
    Rule(
        (redis.TimeoutError,),
        StorageUnavailableError,
        _SILENT + ". If the server does not speak TLS, {other_tls}",
        tls=True,
    ),
    Rule((redis.TimeoutError,), StorageUnavailableError, _SILENT),
    Rule(
        (redis.ConnectionError,),
        StorageUnavailableError,
        _UNREACHABLE + "; " + _CLIENT_CERTIFICATE,
        saying=_HUNG_UP,
        tls=True,
    ),
    Rule(
        (redis.ConnectionError,),
        StorageUnavailableError,
        _UNREACHABLE + "; if it expects TLS, {other_tls}",
        saying=_HUNG_UP,
        tls=False,
    ),
    Rule((redis.ConnectionError,), StorageUnavailableError, _UNREACHABLE),
    Rule(
        (redis.InvalidResponse,),
        StorageMisconfiguredError,
        "What listens at {server} does not answer as a Redis server does: check {address}",
    ),
    Rule(
        (redis.RedisError,),
        StorageUnavailableError,
        "The Redis server {server} is busy with a script: {reason}",
        saying=r"^BUSY\b",
    ),
    Rule(
        (redis.RedisError,),
        StorageUnavailableError,
        "The Redis server {server} can't save its data to disk, and refuses writes until it can: {reason}",
        saying=r"^MISCONF\b",
    ),
    Rule(
        (redis.RedisError,),
        StorageUnavailableError,
        "The Redis server {server} has too few replicas, and refuses writes until they are back: {reason}",
        saying=r"^NOREPLICAS\b",
    ),
    Rule(
        (redis.RedisError,),
        StorageMisconfiguredError,
        "Another application keeps something else under our keys in {server}: set {its}key_prefix to a "
        "prefix of its own",
        saying=r"^WRONGTYPE\b",
    ),
    Rule(
        (redis.RedisError, redis.RedisClusterException),
        StorageMisconfiguredError,
        "The Redis server {server} is not part of a cluster, or its user lacks +cluster|slots: check "
        "{its}cluster and {its}username",
        saying="Cluster mode is not enabled",
    ),
    Rule(
        (redis.RedisError, redis.RedisClusterException),
        StorageMisconfiguredError,
        "The Redis server {server} is too old for a command: {reason}. Redis 7 or Valkey is needed for "
        "{its}refresh_ttl, Redis 6 for the rest",
        saying="syntax error|Unsupported option|wrong number of arguments",
    ),
    Rule(
        (redis.RedisClusterException,),
        StorageUnavailableError,
        "The Redis cluster at {server} can't be used: {reason}. Check {address} and the state of the cluster "
        "(CLUSTER INFO)",
    ),
    Rule((Exception,), StorageMisconfiguredError, "The Redis server {server} refused a command: {reason}"),
)
