"""Errors of `psycopg` as storage errors: what failed, where it was configured, what to do now.

psycopg's own errors are not chained: Temporal records the messages of a failure's causes. Of what the server
says, only its first line is quoted: the details may hold a row.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads_postgres._error_table import RULES, Rule
from temporal_payloads_postgres._psycopg import psycopg, psycopg_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads.plugin import StorageError

_PREAMBLE = re.compile(r"(connection failed: )?(connection to server at .*?failed: )?((FATAL|ERROR):\s+)?")
_QUOTED = 500
"""Characters of a server's own words that an error quotes."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which server an error is about, and how its settings are called."""

    server: str
    """The address, without a password: `postgresql://10.0.0.1:5432/temporal`."""
    place: str
    """Where the settings stand (`storage.drivers.postgres`)."""
    table: str
    """The table of payloads."""
    by_url: bool = False
    """Whether the address is in the setting `url`."""

    @property
    def its(self) -> str:
        """What precedes the name of a setting in a sentence."""
        return f"{self.place}."

    @property
    def key(self) -> str:
        """The key of the driver's table in the settings."""
        return self.place.rpartition(".")[2]

    def setting(self, name: str) -> str:
        """Return the full name of a setting that may be a part of the url."""
        return self.its + ("url" if self.by_url else name)


@contextmanager
def postgres_errors_explained(origin: Origin) -> Iterator[None]:
    """Raise psycopg's errors as storage errors."""
    try:
        yield
    except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, OSError) as error:
        raise explain(error, origin) from None


def explain(error: Exception, origin: Origin) -> StorageError:
    """Return what the error means to whoever configured the server."""
    code = (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""
    reason = _reason(error)
    rule = next(rule for rule in RULES if _fits(rule, error, code, reason))
    return rule.error(
        rule.sentence.format(
            server=origin.server,
            its=origin.its,
            key=origin.key,
            table=origin.table,
            host=origin.setting("host"),
            user=origin.setting("user"),
            database=origin.setting("database"),
            sslmode=f"{origin.its}sslmode",
            reason=reason[:_QUOTED],
        )
    )


def _fits(rule: Rule, error: Exception, code: str, reason: str) -> bool:
    if rule.raised is not None:
        return isinstance(error, rule.raised)
    # While connecting, libpq gives a text and no code.
    by_code = bool(rule.codes and code and re.match(rule.codes, code))
    return by_code or bool(rule.saying and not code and re.search(rule.saying, reason, re.IGNORECASE))


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    if isinstance(error, TimeoutError):
        return "time is up"
    # libpq tells each attempt, with TLS and without; what it says of the address is said already.
    lines = [_PREAMBLE.sub("", line).strip() for line in str(error).splitlines()]
    return ", ".join(dict.fromkeys(line for line in lines if line)).rstrip("?. ") or type(error).__name__
