"""Turns what GCS answers, or what fails on the way to it, into words that name the setting to look at."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from temporal_payloads_gcs._credentials import CredentialsError
from temporal_payloads_gcs._error_table import (
    BY_FAILURE,
    BY_REASON,
    BY_STATUS,
    NO_BUCKET,
    NO_OBJECT,
    NO_TOKEN,
    NOT_GCS,
    OTHER_ANSWER,
    OTHER_FAILURE,
    PROXY,
    TOO_LARGE,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads.plugin import StorageError

    from temporal_payloads_gcs._location import Location

_QUOTED = 500
"""Characters of a store's own words that an error quotes."""
_MAX_BODY = 16 * 1024
"""Bytes of an error's body that are read."""
_PERMISSION = re.compile(r"\bstorage\.[a-z]+\.[a-zA-Z]+")
_NEEDED = {
    "read": "storage.objects.get",
    "write": "storage.objects.create",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
}


class RefusedError(Exception):
    """The store answered with an error."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text

    @property
    def permissions(self) -> list[str]:
        """The permissions that the store says are missing."""
        return _PERMISSION.findall(self.text)

    @property
    def is_missing_bucket(self) -> bool:
        """Whether the store says that there is no such bucket."""
        return self.status == HTTPStatus.NOT_FOUND and "bucket does not exist" in self.text

    @property
    def is_missing_object(self) -> bool:
        """Whether the store says that there is no such object."""
        return self.status == HTTPStatus.NOT_FOUND and "No such object" in self.text


class NotGCSError(Exception):
    """A success that Google Cloud Storage does not report like that."""


class TooLargeError(Exception):
    """An object has more bytes than are to be read."""


async def refusal(response: aiohttp.ClientResponse) -> RefusedError:
    """Read the error that a response tells."""
    body = await response.content.read(_MAX_BODY)
    reason, text = "", ""
    try:
        told = json.loads(body)["error"]
        text = str(told["message"])
        reason = str(told["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        if not text and response.content_type == "text/plain":  # as Google's upload server has it at times
            text = body.decode("utf-8", "replace")
    return RefusedError(response.status, reason, text.strip().rstrip("."))


@dataclass(frozen=True, kw_only=True)
class GCSErrors:
    """Turns what the client meets into storage errors that say where to look."""

    place: str
    """Where the driver is configured."""
    endpoint_url: str

    @contextmanager
    def told(self, operation: str, location: Location) -> Iterator[None]:
        """Raise what goes wrong inside as a storage error; `operation` is one of those of `_NEEDED`."""
        try:
            yield
        except RefusedError as error:
            reason = " ".join(filter(None, (f"HTTP {error.status}", error.text)))
            permission = (error.permissions or [_NEEDED[operation]])[0]
            raise self._error(_rule_for(error, operation), operation, location, reason, permission) from error
        except NotGCSError as error:
            raise self._error(NOT_GCS, operation, location, str(error)) from error
        except TooLargeError as error:
            raise self._error(TOO_LARGE, operation, location, f"it has {error} bytes or more") from None
        except CredentialsError as error:
            raise self._error(NO_TOKEN, operation, location, f"no access token: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            rule = next((rule for kind, rule in BY_FAILURE if isinstance(error, kind)), OTHER_FAILURE)
            # Not as its cause where a proxy is: these quote its URL, which may hold a password.
            cause = None if rule is PROXY else error
            raise self._error(rule, operation, location, _reason(error)) from cause

    def _error(
        self, rule: Rule, operation: str, location: Location, reason: str, permission: str = ""
    ) -> StorageError:
        advice = rule.advice.format(place=self.place, bucket=location.bucket, permission=permission)
        return rule.error(
            f"Could not {operation} {location} at {self.endpoint_url}: {reason[:_QUOTED]}; {advice}",
            store_asked=rule.store_asked,
        )


def _rule_for(error: RefusedError, operation: str) -> Rule:
    if error.status == HTTPStatus.NOT_FOUND:
        return NO_OBJECT if operation == "read" and not error.is_missing_bucket else NO_BUCKET
    if error.status < HTTPStatus.BAD_REQUEST:
        return NOT_GCS  # the API redirects nobody
    return BY_REASON.get(error.reason) or BY_STATUS.get(error.status) or OTHER_ANSWER


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"HTTP {error.status} from the proxy"
    if isinstance(error, aiohttp.InvalidURL):
        return "the proxy's URL can't be read"
    inner = getattr(error, "os_error", error)
    return str(inner).partition("\n")[0] or type(inner).__name__
