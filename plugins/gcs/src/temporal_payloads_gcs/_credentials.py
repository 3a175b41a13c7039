"""Access tokens: where they come from, and when a new one is due."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from gcloud.aio.auth import Token
from temporal_payloads.plugin import StorageMisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_USED_UP = 0.75
"""The part of a token's life after which it is renewed. If that fails, it serves for the rest of its life."""
_PAUSE = 10
"""Seconds after a failed renewal in which the token that is still good serves without another try."""
_REFRESH_TIMEOUT = 10
_QUOTED = 200


class CredentialsError(Exception):
    """No token was to be had; the text says why, in words of ours."""


class Credentials(Protocol):
    """What a request shows to be let in."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers; raise `CredentialsError` if there are none to be had."""

    def refused(self, headers: Mapping[str, str]) -> None:
        """Take note that the store did not accept these."""


class NoCredentials:
    """For emulators."""

    async def headers(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    def refused(self, headers: Mapping[str, str]) -> None:
        """Do nothing: there is nothing better."""


class TokenCredentials:
    """Tokens from gcloud-aio-auth, renewed once for all who ask.

    `Token.get` would do too, but asks five times with growing pauses, in which `storage.timeout` runs out and
    tells nobody why.
    """

    def __init__(self, token: Token) -> None:
        self._token = token
        self._headers: Mapping[str, str] | None = None
        self._renew_at = 0.0
        self._ends = 0.0
        self._renewal: asyncio.Task[Mapping[str, str]] | None = None

    async def headers(self) -> Mapping[str, str]:
        """Return the header with a token that is good for a while.

        While the old one is good its renewal is waited for by nobody: the token server may hang.
        """
        now = time.monotonic()
        if self._headers and now < self._renew_at:
            return self._headers
        if self._renewal is None or self._renewal.done():
            # In a context of its own: whoever asks first may give up, and has things of his own in his.
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), context=Context())
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        if self._headers and now < self._ends:
            return self._headers
        return await asyncio.shield(self._renewal)

    def refused(self, headers: Mapping[str, str]) -> None:
        """Forget the token: it was revoked, or this machine was asleep for longer than it lived.

        What was refused may be an earlier one, which was shown before there was the one of now.
        """
        if self._headers == headers:
            self._headers = None

    async def close(self) -> None:
        """Stop a renewal that is under way."""
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renew(self) -> Mapping[str, str]:
        try:
            got = await self._token.refresh(timeout=_REFRESH_TIMEOUT)
        except Exception as error:  # noqa: BLE001  # of files, keys and servers; none may pass as it is
            if self._headers and time.monotonic() < self._ends:
                self._renew_at = time.monotonic() + _PAUSE
                return self._headers
            # Not as its cause: that quotes the server's answer, and would be recorded in histories.
            raise CredentialsError(_why(error)) from None
        headers = self._headers = {"Authorization": f"Bearer {got.value}"}
        self._renew_at = time.monotonic() + got.expires_in * _USED_UP
        self._ends = time.monotonic() + got.expires_in
        return headers


def load_token(service_file: Path | None, session: aiohttp.ClientSession, place: str) -> Token:
    """Find the credentials and return what makes tokens of them; it asks nobody yet, but reads files.

    Raises:
        StorageMisconfiguredError: The file can't be read, or is no credentials file.
    """
    # An unreadable file would pass in silence for none: gcloud-aio-auth asks the metadata server then.
    named = service_file or (Path(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None)
    where = f"{place}.service_file" if service_file else f"the variable {_VARIABLE}"
    try:
        text = named.read_text(encoding="utf-8") if named else None
        file = None if text is None else _credentials_in(text)
        sent_by: Any = session  # its type is that of another library, where both could be
        return Token(file, session=sent_by, scopes=[_SCOPE])
    except Exception as error:  # noqa: BLE001  # whatever a malformed file makes gcloud-aio-auth raise
        # What is in the file is secret, and a parser's error may quote it.
        why = f"{error.strerror}" if isinstance(error, OSError) else f"{type(error).__name__}"
        raise StorageMisconfiguredError(
            f"The credentials file {str(named or 'of gcloud')!r} is not usable ({why}): it must be the JSON "
            "file of a service account's key, of gcloud's application default credentials, or of workload "
            f"identity federation; correct {where}, or the file",
            store_asked=False,
        ) from None


def _credentials_in(text: str) -> io.StringIO:
    # What is no credentials at all would pass in silence for none, too.
    if not json.loads(text)["type"]:
        raise ValueError("no type")
    return io.StringIO(text)


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ContentTypeError():
            return "the token server's answer is no token"
        case aiohttp.ClientResponseError():
            by_proxy = isinstance(error, aiohttp.ClientHttpProxyError)
            who = "the proxy that HTTPS_PROXY names" if by_proxy else "the token server"
            return f"{who} answered {error.status}{_told(error.message)}"
        case aiohttp.ClientConnectorDNSError():
            return f"the token server {error.host} is not known here"
        case TimeoutError() | aiohttp.ClientError():
            return f"the token server can't be reached ({type(error).__name__})"
        case KeyError():
            return f"the credentials, or the token server's answer, lack {error}"
        case _:
            return f"the credentials are not usable ({type(error).__name__})"


def _told(message: str) -> str:
    """Return what an OAuth server says is wrong; nothing else of its answer, which may hold anything."""
    try:
        answer = json.loads(message[message.index("{") :])
    except ValueError:
        return ""
    told = [str(answer[key]) for key in ("error", "error_description") if key in answer]
    return f": {': '.join(told)[:_QUOTED]}" if told else ""
