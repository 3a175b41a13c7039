"""The stores, each 20 ms away, and how many requests they got."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import redis

from benchmarks.proxy import start_proxy
from benchmarks.servers import ROUND_TRIP, Servers

_OF_CONNECTIONS = ("hello", "client", "auth", "select", "config", "info")
"""What Redis clients, and this one, say beside storing and retrieving."""


@dataclass(frozen=True)
class Store:
    """A store."""

    name: str
    access: dict[str, str]
    requests: Callable[[], Counter[str]]
    """Requests since the start, by method or command."""


@contextmanager
def open_stores(servers: Servers) -> Iterator[dict[str, Store]]:
    """Put Redis as far away as S3 is."""
    with ExitStack() as stack:
        far = stack.enter_context(
            start_proxy(urlsplit(servers.redis_url).port or 0, round_trip=ROUND_TRIP, http=False)
        )
        client = stack.enter_context(redis.Redis.from_url(servers.redis_url))
        seen: Counter[str] = Counter()

        def s3_requests() -> Counter[str]:
            seen.update(servers.s3_proxy.counts())
            return seen.copy()

        def redis_requests() -> Counter[str]:
            calls: Counter[str] = Counter()
            for statistic, values in client.info("commandstats").items():
                command = statistic.removeprefix("cmdstat_")
                if not command.startswith(_OF_CONNECTIONS):
                    calls[command.upper()] += values["calls"]
            return calls

        yield {
            "s3": Store("s3", asdict(servers.s3), s3_requests),
            "redis": Store("redis", {"url": f"redis://127.0.0.1:{far.port}/0"}, redis_requests),
        }
