"""Turns what Azure answers, or what fails on the way to it, into words that name the setting to look at.

The Azure libraries' own errors are not chained: Temporal records the messages of a failure's causes, and some
of these carry what was signed, and the signature.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from temporal_payloads_azure_blob._error_table import (
    BY_CODE,
    BY_FAILURE,
    BY_STATUS,
    LOGIN_FAILED,
    LOGIN_UNAVAILABLE,
    NO_TOKEN,
    NOT_AZURE,
    OTHER_ANSWER,
    OTHER_FAILURE,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads.plugin import StorageError

_QUOTED = 300
"""Characters of somebody else's words that an error quotes."""


def code_of(error: HttpResponseError) -> str:
    """Return the code of Azure's answer (`BlobNotFound`); empty if there is none, for it is not Azure's."""
    code = getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


@dataclass(frozen=True, kw_only=True)
class AzureErrors:
    """Turns what the Azure libraries raise into storage errors that say where to look."""

    place: str
    """Where the driver is configured."""
    url: str
    """The container's URL, which may end with a SAS."""

    @contextmanager
    def told(self, operation: str, key: str) -> Iterator[None]:
        """Raise what goes wrong inside as a storage error."""
        try:
            yield
        except (AzureError, OSError) as error:
            raise self._explain(error, operation, key) from None

    def _explain(self, error: Exception, operation: str, key: str) -> StorageError:
        rule, reason = _judge(error)
        container = self.url.partition("?")[0]
        advice = rule.advice.format(place=self.place, container=container)
        return rule.error(
            f"{operation} of {key!r} in {container} failed: {reason[:_QUOTED]}; {advice}",
            store_asked=rule.store_asked,
        )


def _judge(error: Exception) -> tuple[Rule, str]:
    if isinstance(error, HttpResponseError) and error.response is not None:
        code, status = code_of(error), error.status_code or 0
        answer = f"{code}: {_first_line(error.message)}" if code else f"HTTP {status}"
        return BY_CODE.get(code) or BY_STATUS.get(status) or (OTHER_ANSWER if code else NOT_AZURE), answer
    if isinstance(error, ClientAuthenticationError):
        return _judge_login(getattr(error, "identity", ""), getattr(error, "failure", None))
    links = list(_links(error))
    reason = _reason(links[-1])
    rule = next(
        (rule for kind, rule in BY_FAILURE for link in links if isinstance(link, kind)), OTHER_FAILURE
    )
    return rule, reason


def _judge_login(identity: str, failure: Exception | None) -> tuple[Rule, str]:
    if failure is None:
        return NO_TOKEN, "no token"
    *_, innermost = _links(failure)
    if isinstance(failure, HttpResponseError) and failure.response is not None:
        status = failure.status_code or 0
        rule = LOGIN_UNAVAILABLE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else LOGIN_FAILED
        return rule, f"{identity} heard HTTP {status}: {_without_logins(_first_line(failure.message))}"
    away = isinstance(failure, ServiceRequestError | ServiceResponseError | OSError | aiohttp.ClientError)
    rule = LOGIN_UNAVAILABLE if away else LOGIN_FAILED
    return rule, f"{identity} failed: {_without_logins(_reason(innermost))}"


def _without_logins(text: str) -> str:
    """Return a text without what stands before the host of a URL, which may be a password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _reason(error: BaseException) -> str:
    # The words of these two have the proxy's URL, in which a password may be.
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"HTTP {error.status} from the proxy"
    if isinstance(error, aiohttp.InvalidURL):
        return "the proxy's URL can't be read"
    return _first_line(str(error)) or type(error).__name__


def _links(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps."""
    wrapped: object = error
    while isinstance(wrapped, BaseException):
        yield wrapped
        wrapped = getattr(wrapped, "inner_exception", None) or getattr(wrapped, "os_error", None)


def _first_line(text: str) -> str:
    # What follows in an answer are ids and, where a signature is wrong, what was signed.
    return text.strip().partition("\n")[0].rstrip(". ")
