"""Turns what S3 answers, or what fails on the way to it, into words that name the setting to look at."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

from temporal_payloads_s3._error_table import (
    BY_CODE,
    BY_FAILURE,
    BY_STATUS,
    NOT_S3,
    OTHER_ANSWER,
    OTHER_FAILURE,
    OTHER_REGION,
    PERMISSIONS,
    PROXY,
    TOO_LARGE,
    Rule,
)
from temporal_payloads_s3._regions import doubt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from temporal_payloads.plugin import StorageError

    from temporal_payloads_s3._location import Location

_QUOTED = 500
"""Characters of a store's own words that an error quotes."""
_PERMISSION = re.compile(r"\b(?:s3|kms):[A-Z][A-Za-z]+")


_BROKEN_OFF = (EndpointConnectionError, HTTPClientError, aiohttp.ClientError, OSError)
"""What is raised where no answer came; among them also the following."""
_NOT_CONNECTED = (aiohttp.ClientConnectorError, ConnectTimeoutError, ProxyConnectionError, SSLError)
"""What is raised where the question was not even sent."""


class TooLargeError(Exception):
    """An object has more bytes than are to be read."""


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error response."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def hides_missing(error: ClientError) -> bool:
    """Tell whether a read may have failed only because the object is not there."""
    # To those who may not list the bucket, S3 says AccessDenied of a missing object. AWS names in its message
    # which permission it misses.
    code, named = error.response["Error"]["Code"], _PERMISSION.findall(_message_of(error))
    return code == "NoSuchKey" or (code == "AccessDenied" and named in ([], ["s3:ListBucket"]))


def is_denied(error: Exception) -> bool:
    """Tell whether the store refuses a request: its object is locked, or a right is missing.

    Where credentials are not accepted it gives another code.
    """
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "AccessDenied"


def is_lost(error: Exception) -> bool:
    """Tell whether a request was sent, and nobody knows what came of it."""
    if isinstance(error, ClientError):
        return status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR
    inner = getattr(error, "kwargs", {}).get("error", error)
    return isinstance(error, _BROKEN_OFF) and not any(
        isinstance(link, _NOT_CONNECTED) for link in (error, inner)
    )


@dataclass(frozen=True, kw_only=True)
class S3Errors:
    """Turns what botocore and aiohttp raise into storage errors that say where to look."""

    place: str
    """Where the driver is configured."""
    endpoint_url: str
    region: str
    put_arguments: Mapping[str, str]
    """What is asked for with each object; some of it needs permissions of its own."""

    @contextmanager
    def told(self, operation: str, location: Location) -> Iterator[None]:
        """Raise what goes wrong inside as a storage error."""
        try:
            yield
        except ClientError as error:
            answer = ": ".join(filter(None, (_code_of(error), _message_of(error))))
            details = {"permission": self._permission(error), "right_region": _right_region(error)}
            raise self._error(_rule_for_answer(error), operation, location, answer, **details) from error
        except TooLargeError as error:
            raise self._error(TOO_LARGE, operation, location, f"it has {error} bytes") from None
        except (BotoCoreError, aiohttp.ClientError, OSError) as error:
            rule = _rule_for_failure(error)
            # Not as its cause where a proxy is: these quote its URL, which may hold a password.
            cause = None if rule is PROXY else error
            raise self._error(rule, operation, location, _reason(error)) from cause

    def not_s3(self, operation: str, location: Location) -> StorageError:
        """Return the error for a success that no S3 server reports like that."""
        return self._error(NOT_S3, operation, location, "no ETag")

    @property
    def host(self) -> str:
        """The settings that make the store's host name; on AWS, the region does."""
        endpoint = f"{self.place}.endpoint_url"
        return (
            f"{self.place}.region{self.doubt}, {endpoint}" if self.region in self.endpoint_url else endpoint
        )

    @property
    def doubt(self) -> str:
        """Whether there is such a region, in parentheses; nothing if there is."""
        return doubt(self.region)

    def _error(
        self, rule: Rule, operation: str, location: Location, reason: str, **details: str
    ) -> StorageError:
        details = {"right_region": "", **details}
        advice = rule.advice.format(store=self, place=self.place, bucket=location.bucket, **details)
        where = f"at {self.endpoint_url} (region {self.region})"
        return rule.error(
            f"{operation} of {location} {where} failed: {reason[:_QUOTED]}; {advice}",
            store_asked=rule.store_asked,
        )

    def _permission(self, error: ClientError) -> str:
        named: list[str] = _PERMISSION.findall(_message_of(error))
        if named:
            return named[0]
        if error.operation_name in {"GetObject", "HeadObject"}:
            return (
                "s3:GetObject (with SSE-KMS also kms:Decrypt; without s3:ListBucket S3 says the same of an "
                "object that is missing)"
            )
        if error.operation_name in PERMISSIONS:
            return PERMISSIONS[error.operation_name]
        extra = {"Tagging": "s3:PutObjectTagging", "SSEKMSKeyId": "kms:GenerateDataKey"}
        return " and ".join(["s3:PutObject", *(extra[name] for name in extra if name in self.put_arguments)])


def _rule_for_answer(error: ClientError) -> Rule:
    code, status = error.response["Error"]["Code"], status_of(error)
    # Where the body holds no S3 error, botocore leaves the code empty or makes one of the status.
    no_s3 = code in {"", str(status)} and error.operation_name != "HeadObject"
    return BY_CODE.get(code) or BY_STATUS.get(status) or (NOT_S3 if no_s3 else OTHER_ANSWER)


def _rule_for_failure(error: Exception) -> Rule:
    if "redirect" in _reason(error):
        # S3 redirects to the bucket's region; aiohttp follows by itself, but can't send a body twice.
        return OTHER_REGION
    links = (error, getattr(error, "kwargs", {}).get("error"))
    return next(
        (rule for kind, rule in BY_FAILURE for link in links if isinstance(link, kind)), OTHER_FAILURE
    )


def _code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"] or f"HTTP {status_of(error)}"


def _message_of(error: ClientError) -> str:
    return (error.response["Error"].get("Message") or "").rstrip(".")


def _right_region(error: ClientError) -> str:
    headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")
    return f" to {region}" if region else ""


def _reason(error: Exception) -> str:
    # botocore's own sentence repeats the URL; the error that it wraps says why.
    inner = getattr(error, "kwargs", {}).get("error") or error
    if isinstance(inner, aiohttp.ClientHttpProxyError):
        return f"HTTP {inner.status} from the proxy"
    if isinstance(inner, aiohttp.InvalidURL):
        return "the proxy's URL can't be read"
    inner = getattr(inner, "os_error", inner)
    return str(inner).partition("\n")[0] or type(inner).__name__
