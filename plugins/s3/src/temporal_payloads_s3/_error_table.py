"""What S3 and the way to it can answer, and what that means to whoever configured the store.

In the advice, `{place}` is where the driver is configured (`storage.drivers.s3`), `{bucket}` the bucket,
`{permission}` the permission that the request needs, and `{right_region}` the region that the store names.
`{store.host}` are the settings that make the store's host name, `{store.doubt}` says if the region may not
exist.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from botocore import exceptions as boto
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)


class Rule(NamedTuple):
    """The storage error that an answer or a failure becomes, and what to do about it."""

    error: type[StorageError]
    advice: str
    store_asked: bool = True
    """Whether a request was made."""


_CREDENTIALS = (
    "look at {place}.access_key_id, {place}.secret_access_key, {place}.session_token or {place}.profile; "
    "without them the usual chain applies: environment, shared files, instance role"
)
_REFUSED_CREDENTIALS = Rule(StoragePermissionError, "the credentials are not accepted; " + _CREDENTIALS)
_REFUSED_ACCESS = Rule(
    StoragePermissionError, "grant {permission} to the credentials in use, or look at {place}.region"
)
OTHER_REGION = Rule(
    StorageMisconfiguredError,
    "the bucket is in another region; correct {place}.region{right_region}{store.doubt}",
)
_TRY_LATER = Rule(
    StorageUnavailableError,
    "the store asks to try again later; if that goes on, lower storage.concurrency",
)
PROXY = Rule(StorageUnavailableError, "look at the HTTP proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
_FULL = Rule(StorageUnavailableError, "the store is full: free space, add some, or raise the quota")
NOT_S3 = Rule(
    StorageUnavailableError,
    "that is not an answer of an S3 server; look at {place}.endpoint_url and at what stands in between",
)

BY_CODE = {
    "NoSuchKey": Rule(
        PayloadNotFoundError,
        "there is no such object: it expired, was deleted, or is in another store that has a bucket of the "
        "same name (look at {place}.bucket and {place}.endpoint_url)",
    ),
    "NoSuchBucket": Rule(
        StorageMisconfiguredError,
        "create bucket {bucket}, or correct {place}.bucket, {place}.region or {place}.endpoint_url",
    ),
    "InvalidBucketName": Rule(StorageMisconfiguredError, "correct {place}.bucket"),
    "InvalidObjectState": Rule(
        StorageUnavailableError,
        "the object was archived: restore it, and keep payloads out of the lifecycle rule that archives",
    ),
    "PreconditionFailed": Rule(
        StorageUnavailableError, "the object was replaced while it was read; read it again"
    ),
    "RequestTimeTooSkewed": Rule(StoragePermissionError, "set the clock of this machine"),
    "AccessDenied": _REFUSED_ACCESS,
    "AuthFailure": _REFUSED_CREDENTIALS,
    "ExpiredToken": _REFUSED_CREDENTIALS,
    "InvalidAccessKeyId": _REFUSED_CREDENTIALS,
    "InvalidSecurity": _REFUSED_CREDENTIALS,
    "InvalidToken": _REFUSED_CREDENTIALS,
    "SignatureDoesNotMatch": _REFUSED_CREDENTIALS,
    "TokenRefreshRequired": _REFUSED_CREDENTIALS,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "InvalidRegionName": OTHER_REGION,
    "PermanentRedirect": OTHER_REGION,
    "TemporaryRedirect": OTHER_REGION,
    "QuotaExceeded": _FULL,
    "BandwidthLimitExceeded": _TRY_LATER,
    "RequestLimitExceeded": _TRY_LATER,
    "RequestTimeout": _TRY_LATER,
    "SlowDown": _TRY_LATER,
    "Throttling": _TRY_LATER,
}
"""By the code of S3's answer."""

_SEE_ITS_LOG = Rule(StorageUnavailableError, "look at the store's own log")
BY_STATUS: dict[int, Rule] = {
    HTTPStatus.UNAUTHORIZED: _REFUSED_CREDENTIALS,
    HTTPStatus.FORBIDDEN: _REFUSED_ACCESS,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: PROXY,
    HTTPStatus.TOO_MANY_REQUESTS: _TRY_LATER,
    HTTPStatus.INTERNAL_SERVER_ERROR: _SEE_ITS_LOG,
    HTTPStatus.BAD_GATEWAY: _SEE_ITS_LOG,
    HTTPStatus.SERVICE_UNAVAILABLE: _TRY_LATER,
    HTTPStatus.GATEWAY_TIMEOUT: _SEE_ITS_LOG,
    HTTPStatus.INSUFFICIENT_STORAGE: _FULL,
}
"""By the HTTP status, where the code is none of those above."""
TOO_LARGE = Rule(
    PayloadTooLargeError,
    "this process reads no payload over {place}.max_payload_size: raise that, to what those who write have",
)
OTHER_ANSWER = Rule(StorageMisconfiguredError, "the store does not accept the request; look at {place}")

_NO_CREDENTIALS = Rule(StoragePermissionError, _CREDENTIALS, store_asked=False)
BY_FAILURE: tuple[tuple[type[Exception], Rule], ...] = (
    (boto.NoCredentialsError, _NO_CREDENTIALS),
    (boto.PartialCredentialsError, _NO_CREDENTIALS),
    (boto.CredentialRetrievalError, _NO_CREDENTIALS),
    (boto.TokenRetrievalError, _NO_CREDENTIALS),
    (boto.SSOError, _NO_CREDENTIALS),
    (boto.NoRegionError, Rule(StorageMisconfiguredError, "set {place}.region", store_asked=False)),
    (boto.ParamValidationError, Rule(StorageMisconfiguredError, "look at {place}", store_asked=False)),
    (
        boto.FlexibleChecksumError,
        Rule(StorageUnavailableError, "the bytes arrived damaged; read them again"),
    ),
    (
        boto.ReadTimeoutError,
        Rule(StorageUnavailableError, "the store was silent for longer than {place}.read_timeout"),
    ),
    (
        boto.ConnectTimeoutError,
        Rule(
            StorageUnavailableError, "look at {place}.endpoint_url, {place}.connect_timeout and the firewalls"
        ),
    ),
    (
        boto.SSLError,
        Rule(
            StorageUnavailableError,
            "look at {place}.endpoint_url (http or https, host name) and {place}.ca_bundle",
        ),
    ),
    (boto.ProxyConnectionError, PROXY),
    (aiohttp.InvalidURL, PROXY),  # what the settings have is checked
    (
        aiohttp.ClientConnectorDNSError,
        Rule(
            StorageUnavailableError,
            "look at {store.host}, {place}.addressing_style and the name resolution of this machine",
        ),
    ),
)
"""By what botocore raised, or the error in it, where there was no answer."""
OTHER_FAILURE = Rule(
    StorageUnavailableError,
    "look at {place}.endpoint_url, and whether the store runs and can be reached from here",
)

PERMISSIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "UploadPartCopy": "s3:GetObject and s3:PutObject",
    "DeleteObject": "s3:DeleteObject and, where the bucket has versions, s3:DeleteObjectVersion",
}
"""What the requests need that a writer or a reader does not send."""
