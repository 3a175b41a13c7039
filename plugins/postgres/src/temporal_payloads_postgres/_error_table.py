"""What can go wrong with a PostgreSQL server, and what that means to whoever configured it.

The first rule that fits counts. In its sentence, `{server}` is the server's address, `{host}`, `{user}` and
`{database}` the settings that hold these, `{its}` what precedes the name of another setting
(`storage.drivers.postgres.`), `{key}` the key of that table, `{table}` the table of payloads, and `{reason}`
what the error says.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A kind of error, the storage error that it becomes, and its sentence."""

    codes: str = ""
    """Pattern of its SQLSTATE."""
    saying: str = ""
    """Pattern of what is said where there is no SQLSTATE, which is while connecting."""
    raised: type[Exception] | None = None
    """The exception's class, which then decides alone."""
    error: type[StorageError]
    sentence: str


_INIT = "run temporal-payloads postgres init --driver {key}"

RULES = (
    Rule(
        raised=TimeoutError,
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} did not answer in time. Check {host}, the network and the "
        "server's load; the limits are {its}connect_timeout and {its}timeout",
    ),
    Rule(
        saying="server does not support SSL|SSL is not enabled",
        error=StorageMisconfiguredError,
        sentence="The PostgreSQL server {server} does not speak TLS, and {sslmode} asks for it: turn it on "
        "there (ssl = on), or change {sslmode}",
    ),
    Rule(
        saying="certificate verify failed|does not match host name|root certificate|certificate authority",
        error=StorageMisconfiguredError,
        sentence="The certificate of the PostgreSQL server {server} is not trusted: {reason}. Set "
        "{its}ssl_root_cert to the certificate of the authority that signed it, and {host} to a name that it "
        "was issued for",
    ),
    Rule(
        saying="certificate file|private key file|SSL error|SSL SYSCALL",
        error=StorageMisconfiguredError,
        sentence="TLS with the PostgreSQL server {server} failed: {reason}. Check {sslmode}, "
        "{its}ssl_root_cert, {its}ssl_cert and {its}ssl_key",
    ),
    Rule(
        saying="no pg_hba.conf entry|pg_hba.conf rejects",
        error=StoragePermissionError,
        sentence="The PostgreSQL server {server} lets us in under no rule of its pg_hba.conf: {reason}. "
        "Allow role, database and this machine's address there; if it speaks of no encryption, set {sslmode}",
    ),
    Rule(
        codes="28",
        saying="authentication failed|no password supplied|role .* (does not exist|is not permitted)|"
        "requires a valid client certificate|no such user",
        error=StoragePermissionError,
        sentence="The PostgreSQL server {server} refused the login: {reason}. Check {user} and {its}password",
    ),
    Rule(
        codes="3D000",
        saying="database .* (does not exist|is not currently accepting)|no such database",
        error=StorageMisconfiguredError,
        sentence="The PostgreSQL server {server} does not let us into the database: {reason}. Check "
        "{database}, or create it",
    ),
    Rule(
        codes="25006",
        saying="session is (read-only|not read-write)|hot standby|server is in recovery|read-only server",
        error=StorageMisconfiguredError,
        sentence="The PostgreSQL server {server} can't be written to: {reason}. It is a replica, which may "
        "also lack what was just stored, or read-only by its settings: set {host} to the primary, or to all "
        "of them, of which the primary is found",
    ),
    Rule(
        codes="53300",
        saying="too many (clients|connections)|remaining connection slots|no more connections allowed",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} has no connection left for us: {reason}. Lower "
        "{its}pool_size, which is of each process, raise max_connections there, or put PgBouncer in between",
    ),
    Rule(
        codes="57P0",
        saying="database system is (starting up|shutting down|in recovery)|not (yet )?accepting connections|"
        "terminating connection|recovery mode|pause_timeout|server login has been failing|shut down",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} is stopping, starting or recovering: {reason}. "
        "Try again soon",
    ),
    Rule(
        codes="53100",
        error=StorageUnavailableError,
        sentence="The disk of the PostgreSQL server {server} is full, and nothing can be stored until there "
        "is room: {reason}",
    ),
    Rule(
        codes="53|58",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} is short of something, or failed: {reason}. Its log "
        "says more",
    ),
    Rule(
        codes="42P01|3F000",
        error=StorageMisconfiguredError,
        sentence="The PostgreSQL database {server} has no table {table}: " + _INIT + ", or check {its}table",
    ),
    Rule(
        codes="42P10|42703",
        error=StorageMisconfiguredError,
        sentence="The table {table} in {server} is not as the settings say: {reason}. Run temporal-payloads "
        "check, which tells the difference ({its}table, {its}ttl)",
    ),
    Rule(
        codes="42501",
        error=StoragePermissionError,
        sentence="The PostgreSQL server {server} refused a statement to the role in {user}: {reason}. It "
        "needs USAGE on the schema of {table}, SELECT, INSERT and UPDATE on {table}, and SELECT on "
        "{table}_version",
    ),
    Rule(
        codes="42P07|42P06",
        error=StorageMisconfiguredError,
        sentence="The database {server} has something else under the name of our table: {reason}. Set "
        "{its}table to a name that is free",
    ),
    Rule(
        codes="55P03|57014|40",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} gave a statement up: {reason}. Something else holds a "
        "lock on {table}, or the server is too slow for its own limits (statement_timeout, lock_timeout)",
    ),
    Rule(
        codes="25P03",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} ended a transaction that was silent for longer than "
        "{its}timeout: this process stood still, or the network did",
    ),
    Rule(
        codes="54",
        error=StorageMisconfiguredError,
        sentence="A payload is beyond what the PostgreSQL server {server} takes: {reason}. Lower "
        "{its}max_payload_size",
    ),
    Rule(
        codes="08",
        saying=".",
        error=StorageUnavailableError,
        sentence="The PostgreSQL server {server} can't be reached, or hung up: {reason}. Check {host} "
        "and that the server is running",
    ),
    Rule(
        raised=Exception,
        error=StorageMisconfiguredError,
        sentence="The PostgreSQL server {server} refused a statement: {reason}",
    ),
)
