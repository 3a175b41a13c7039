"""What S3 and the way to it can answer, in words that name the setting to look at."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from temporal_payloads_s3._location import Location

_Rule = tuple[type[StorageError], str]
"""An error and its explanation, in which `{place}` and the like stand for where it happened."""

_CREDENTIALS = (
    "look at {place}.access_key_id, {place}.secret_access_key, {place}.session_token or {place}.profile; "
    "without them the usual chain applies: environment, shared files, instance role"
)
_REFUSED_CREDENTIALS: _Rule = (StoragePermissionError, "the credentials are not accepted; " + _CREDENTIALS)
_REFUSED_ACCESS: _Rule = (
    StoragePermissionError,
    "grant {permission} to the credentials in use, or look at {place}.region",
)
_OTHER_REGION: _Rule = (
    StorageMisconfiguredError,
    "the bucket is in another region; correct {place}.region{right_region}",
)
_TRY_LATER: _Rule = (
    StorageUnavailableError,
    "the store asks to try again later; if that goes on, lower storage.concurrency",
)
_NOT_S3: _Rule = (
    StorageUnavailableError,
    "that is not an answer of an S3 server; look at {place}.endpoint_url and at what stands in between",
)

_BY_CODE: dict[str, _Rule] = {
    "NoSuchKey": (
        PayloadNotFoundError,
        "there is no such object: it expired, was deleted, or is in another store ({place}.endpoint_url)",
    ),
    "NoSuchBucket": (
        StorageMisconfiguredError,
        "create bucket {bucket}, or correct {place}.bucket, {place}.region or {place}.endpoint_url",
    ),
    "InvalidBucketName": (StorageMisconfiguredError, "correct {place}.bucket"),
    "InvalidObjectState": (
        StorageUnavailableError,
        "the object was archived: restore it, and keep payloads out of the lifecycle rule that archives",
    ),
    "PreconditionFailed": (
        StorageUnavailableError,
        "the object was replaced while it was read; read it again",
    ),
    "RequestTimeTooSkewed": (StoragePermissionError, "set the clock of this machine"),
    "AccessDenied": _REFUSED_ACCESS,
    **dict.fromkeys(
        (
            "AuthFailure",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "InvalidSecurity",
            "InvalidToken",
            "SignatureDoesNotMatch",
            "TokenRefreshRequired",
        ),
        _REFUSED_CREDENTIALS,
    ),
    **dict.fromkeys(
        (
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
            "TemporaryRedirect",
        ),
        _OTHER_REGION,
    ),
    **dict.fromkeys(
        ("BandwidthLimitExceeded", "RequestLimitExceeded", "RequestTimeout", "SlowDown", "Throttling"),
        _TRY_LATER,
    ),
}
_BY_STATUS: dict[int, _Rule] = {
    HTTPStatus.FORBIDDEN: _REFUSED_ACCESS,
    HTTPStatus.TOO_MANY_REQUESTS: _TRY_LATER,
    HTTPStatus.SERVICE_UNAVAILABLE: _TRY_LATER,
    **dict.fromkeys(
        (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT),
        (StorageUnavailableError, "look at the store's own log"),
    ),
}
_OTHER_ANSWER: _Rule = (StorageMisconfiguredError, "the store does not accept the request; look at {place}")

_BY_FAILURE: tuple[tuple[tuple[type[Exception], ...], _Rule], ...] = (
    (
        (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.SSOError,
        ),
        (StoragePermissionError, _CREDENTIALS),
    ),
    ((boto.NoRegionError,), (StorageMisconfiguredError, "set {place}.region")),
    ((boto.ParamValidationError,), (StorageMisconfiguredError, "look at {place}")),
    ((boto.FlexibleChecksumError,), (StorageUnavailableError, "the bytes arrived damaged; read them again")),
    (
        (boto.ReadTimeoutError,),
        (StorageUnavailableError, "the store was silent for longer than {place}.read_timeout"),
    ),
    (
        (boto.ConnectTimeoutError,),
        (StorageUnavailableError, "look at {place}.endpoint_url, {place}.connect_timeout and the firewalls"),
    ),
    (
        (boto.SSLError,),
        (
            StorageUnavailableError,
            "look at {place}.endpoint_url (http or https, host name) and {place}.ca_bundle",
        ),
    ),
    (
        (boto.ProxyConnectionError,),
        (StorageUnavailableError, "look at the HTTP proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    ),
)
_OTHER_FAILURE: _Rule = (
    StorageUnavailableError,
    "look at {place}.endpoint_url, and whether the store runs and can be reached from here",
)

_PERMISSION = re.compile(r"\b(?:s3|kms):[A-Z][A-Za-z]+")


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error response."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def hides_missing(error: ClientError) -> bool:
    """Tell whether a read may have failed only because the object is not there."""
    # To those who may not list the bucket, S3 says AccessDenied of a missing object. AWS names in its message
    # which permission it misses.
    code, named = error.response["Error"]["Code"], _PERMISSION.findall(_message_of(error))
    return code == "NoSuchKey" or (code == "AccessDenied" and named in ([], ["s3:ListBucket"]))


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
            raise self._error(
                _rule_for_answer(error),
                operation,
                location,
                answer,
                permission=self._permission(error),
                right_region=_right_region(error),
            ) from error
        except (boto.BotoCoreError, aiohttp.ClientError, OSError) as error:
            rule = _rule_for_failure(error)
            raise self._error(rule, operation, location, _reason(error), right_region="") from error

    def not_s3(self, operation: str, location: Location) -> StorageError:
        """Return the error for a success that no S3 server reports like that."""
        return self._error(_NOT_S3, operation, location, "no ETag")

    def _error(
        self, rule: _Rule, operation: str, location: Location, reason: str, **details: str
    ) -> StorageError:
        error_type, explanation = rule
        advice = explanation.format(place=self.place, bucket=location.bucket, **details)
        where = f"at {self.endpoint_url} (region {self.region})"
        return error_type(f"{operation} of {location} {where} failed: {reason}; {advice}")

    def _permission(self, error: ClientError) -> str:
        named: list[str] = _PERMISSION.findall(_message_of(error))
        if named:
            return named[0]
        if error.operation_name in {"GetObject", "HeadObject"}:
            return (
                "s3:GetObject (with SSE-KMS also kms:Decrypt; without s3:ListBucket S3 says the same of an "
                "object that is missing)"
            )
        extra = {"Tagging": "s3:PutObjectTagging", "SSEKMSKeyId": "kms:GenerateDataKey"}
        return " and ".join(["s3:PutObject", *(extra[name] for name in extra if name in self.put_arguments)])


def _rule_for_answer(error: ClientError) -> _Rule:
    code, status = error.response["Error"]["Code"], status_of(error)
    # Where the body holds no S3 error, botocore leaves the code empty or makes one of the status.
    no_s3 = code in {"", str(status)} and error.operation_name != "HeadObject"
    return _BY_CODE.get(code) or _BY_STATUS.get(status) or (_NOT_S3 if no_s3 else _OTHER_ANSWER)


def _rule_for_failure(error: Exception) -> _Rule:
    if "redirect" in _reason(error):
        # S3 redirects to the bucket's region; aiohttp follows by itself, but can't send a body twice.
        return _OTHER_REGION
    return next((rule for types, rule in _BY_FAILURE if isinstance(error, types)), _OTHER_FAILURE)


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
    inner = getattr(inner, "os_error", inner)
    return str(inner).partition("\n")[0] or type(inner).__name__
