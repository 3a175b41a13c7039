"""Errors of `redis` as storage errors: what failed, where it was configured, what to do now.

redis-py's own errors are not chained: Temporal records the messages of a failure's causes, and some of these
carry the arguments of the command that failed, which may be a payload or a password.
"""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisClusterException, RedisError

from temporal_payloads_redis._error_table import RULES, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads.plugin import StorageError

_QUOTED = 500
"""Characters of a server's own words that an error quotes."""


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

    @property
    def its(self) -> str:
        """What precedes the name of a setting in a sentence."""
        return f"{self.place}." if self.place else "the Redis client's "

    @property
    def address(self) -> str:
        """The full name of the setting that holds the address."""
        return self.its + self.address_setting

    @property
    def pool_size(self) -> str:
        """The full name of the setting that bounds the connections."""
        return self.its + ("pool_size" if self.place else "max_connections")

    @property
    def other_tls(self) -> str:
        """What to change if the server wants TLS and we don't, or the other way round."""
        if self.address_setting == "url":
            return f"begin {self.address} with {'redis' if self.tls else 'rediss'}://"
        return f"set {self.its}tls = {'false' if self.tls else 'true'}"


@contextmanager
def redis_errors_explained(origin: Origin) -> Iterator[None]:
    """Raise redis-py's errors as storage errors."""
    try:
        yield
    except (RedisError, RedisClusterException) as error:
        raise explain(error, origin) from None


def explain(error: Exception, origin: Origin) -> StorageError:
    """Return what the error, or one of its causes, means to whoever configured the server."""
    chain = [(link, _reason(link)) for link in _chain(error)]
    rule, reason = next(
        (rule, reason) for rule in RULES for link, reason in chain if _fits(rule, link, reason, origin)
    )
    return rule.error(
        rule.sentence.format(
            server=origin.server,
            its=origin.its,
            address=origin.address,
            pool_size=origin.pool_size,
            other_tls=origin.other_tls,
            reason=reason[:_QUOTED],
        )
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fits(rule: Rule, error: BaseException, reason: str, origin: Origin) -> bool:
    return (
        isinstance(error, rule.raised)
        and re.search(rule.saying, reason) is not None
        and rule.tls in (None, origin.tls)
        and rule.cluster in (None, origin.cluster)
    )


def _reason(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            said = error.verify_message
        case ssl.SSLError():
            said = error.reason or str(error)
        case _:
            # A server that does not know a command repeats its arguments.
            said = str(error).partition(", with args beginning with")[0]
    return said.rstrip(". ") or type(error).__name__
