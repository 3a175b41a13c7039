"""Tokens of an identity of Entra ID; if there is none to be had, why not.

`DefaultAzureCredential` asks one kind of identity after the other, and makes one text of all that they say:
an outage of the one that is configured looks like those that are not there.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from azure.identity.aio import DefaultAzureCredential

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_failed: ContextVar[list[tuple[str, Exception]]] = ContextVar("failed")
"""What the identities that are there failed with, in this call."""


class NoTokenError(ClientAuthenticationError):
    """There is no token to be had."""

    def __init__(self, identity: str = "", failure: Exception | None = None) -> None:
        super().__init__("no token")
        self.identity = identity
        """Which one failed; empty if none is there."""
        self.failure = failure


class Identity:
    """The usual chain of identities, which says which of them failed.

    Args:
        arguments: Those of `DefaultAzureCredential`.
    """

    def __init__(self, **arguments: Any) -> None:
        self._chain = DefaultAzureCredential(**arguments)
        self._chain.credentials = tuple(_Noting(each) for each in self._chain.credentials)

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return a token; see `azure.core.credentials_async.AsyncTokenCredential`.

        Raises:
            NoTokenError: There is none.
        """
        return await _told(lambda: self._chain.get_token(*scopes, **options))

    async def get_token_info(self, *scopes: str, **options: Any) -> Any:
        """Return a token; see `get_token`."""
        return await _told(lambda: self._chain.get_token_info(*scopes, **options))

    async def close(self) -> None:
        """Close the connections."""
        await self._chain.close()

    async def __aenter__(self) -> Self:
        await self._chain.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


async def _told(ask: Callable[[], Awaitable[Any]]) -> Any:
    failed: list[tuple[str, Exception]] = []
    token = _failed.set(failed)
    try:
        return await ask()
    except (AzureError, OSError):
        # Not as its cause: a text of somebody else's, of which we tell what we know to be no secret.
        raise NoTokenError(*failed[-1] if failed else ()) from None
    finally:
        _failed.reset(token)
        # A connection keeps the context in which it was made.
        failed.clear()


class _Noting:
    """One identity of the chain, which notes why it failed; that it is not there is no failure."""

    def __init__(self, identity: Any) -> None:
        self._identity = identity
        self._credential_name = type(identity).__name__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._identity, name)

    async def __aenter__(self) -> Self:
        await self._identity.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._identity.__aexit__(*error)

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        return await self._noting(lambda: self._identity.get_token(*scopes, **options))

    async def get_token_info(self, *scopes: str, **options: Any) -> Any:
        return await self._noting(lambda: self._identity.get_token_info(*scopes, **options))

    async def _noting(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await ask()
        except CredentialUnavailableError:
            raise
        except Exception as error:
            _failed.get().append((self._credential_name, error))
            raise
