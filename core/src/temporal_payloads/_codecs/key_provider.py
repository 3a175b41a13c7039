"""What core provides around every key provider: opening once per event loop, a deadline, errors."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from temporal_payloads._plugins.keys import DataKey, KeyProvider
from temporal_payloads._storage.errors import KeyUnavailableError, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import timedelta

    from temporal_payloads._concurrency.per_loop import PerLoop

T = TypeVar("T")


class ManagedKeyProvider(KeyProvider):
    """A key provider as a codec gets it from us.

    Args:
        scheme: That of its keys' URIs.
        place: Where it is configured.
        inner: The plugin's provider, opened once per event loop.
        timeout: Limit of one call.
    """

    def __init__(self, scheme: str, place: str, inner: PerLoop[KeyProvider], timeout: timedelta) -> None:
        self._scheme = scheme
        self._place = place
        self._inner = inner
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<key provider {self._scheme!r} ({self._place})>"

    @asynccontextmanager
    async def kept_open(self, *, check: bool = False) -> AsyncIterator[None]:
        """Keep this loop's client open. Whether its keys can be used is for the codec to check."""
        del check
        async with self._inner.kept_open():
            yield

    async def make_data_key(self, key: str) -> DataKey:
        """Return a new data key; see `KeyProvider.make_data_key`."""
        return await self._ask("make a data key", key, lambda provider: provider.make_data_key(key))

    async def unwrap_data_key(self, key: str, wrapped: bytes) -> bytes:
        """Return the data key; see `KeyProvider.unwrap_data_key`."""
        return await self._ask(
            "open a data key", key, lambda provider: provider.unwrap_data_key(key, wrapped)
        )

    async def _ask(self, what: str, key: str, ask: Callable[[KeyProvider], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()), self._inner.use() as provider:
                return await ask(provider)
        except TimeoutError as error:
            raise KeyUnavailableError(
                f"{self!r} did not {what} with {key!r} within {self._timeout.total_seconds():g} s "
                f"({self._place}.timeout)"
            ) from error
        except StorageError:
            raise
        except Exception as error:
            raise KeyUnavailableError(
                f"{self!r} could not {what} with {key!r}: {type(error).__name__}: {error}"
            ) from error
