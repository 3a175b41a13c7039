"""What GCS and the way to it can answer, and what that means to whoever configured the store.

In the advice, `{place}` is where the driver is configured (`storage.drivers.gcs`), `{bucket}` the bucket, and
`{permission}` the permission that the request needs.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import aiohttp
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
    "look at {place}.service_file; without it application default credentials apply: the file that "
    "GOOGLE_APPLICATION_CREDENTIALS names, gcloud's own, the metadata server"
)
NO_TOKEN = Rule(StoragePermissionError, _CREDENTIALS, store_asked=False)
_REFUSED_CREDENTIALS = Rule(StoragePermissionError, "the credentials are not accepted; " + _CREDENTIALS)
_REFUSED_ACCESS = Rule(
    StoragePermissionError,
    "grant {permission} on bucket {bucket} to the credentials in use, or look at {place}.bucket and "
    "{place}.service_file",
)
NO_OBJECT = Rule(
    PayloadNotFoundError,
    "there is no such object: it expired, was deleted, or is in another store that has a bucket of the same "
    "name (look at {place}.bucket and {place}.endpoint_url)",
)
NO_BUCKET = Rule(
    StorageMisconfiguredError, "create bucket {bucket}, or correct {place}.bucket or {place}.endpoint_url"
)
NOT_GCS = Rule(
    StorageUnavailableError,
    "that is not an answer of Google Cloud Storage; look at {place}.endpoint_url and at what stands in "
    "between",
)
TOO_LARGE = Rule(
    PayloadTooLargeError,
    "this process reads no payload over {place}.max_payload_size: raise that, to what those who write have",
)
_TRY_LATER = Rule(
    StorageUnavailableError,
    "the store asks to try again later; if that goes on, lower storage.concurrency or raise the quota",
)
_SEE_STATUS = Rule(
    StorageUnavailableError, "the store failed; if that goes on, look at status.cloud.google.com"
)
_BILLING = Rule(
    StoragePermissionError, "the bucket's project pays for nothing any more: look at its billing account"
)

PROXY = Rule(StorageUnavailableError, "look at the HTTP proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY")

BY_REASON = {
    "accountDisabled": _BILLING,
    "billingDisabled": _BILLING,
    "dailyLimitExceeded": _TRY_LATER,
    "quotaExceeded": _TRY_LATER,
    "rateLimitExceeded": _TRY_LATER,
    "userRateLimitExceeded": _TRY_LATER,
}
"""By the reason in Google's answer, where that says more than the HTTP status."""

BY_STATUS: dict[int, Rule] = {
    HTTPStatus.UNAUTHORIZED: _REFUSED_CREDENTIALS,
    HTTPStatus.FORBIDDEN: _REFUSED_ACCESS,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: PROXY,
    HTTPStatus.REQUEST_TIMEOUT: _TRY_LATER,
    HTTPStatus.PRECONDITION_FAILED: Rule(
        StorageUnavailableError, "the object was replaced while it was read; read it again"
    ),
    HTTPStatus.TOO_MANY_REQUESTS: _TRY_LATER,
    HTTPStatus.INTERNAL_SERVER_ERROR: _SEE_STATUS,
    HTTPStatus.BAD_GATEWAY: _SEE_STATUS,
    HTTPStatus.SERVICE_UNAVAILABLE: _TRY_LATER,
    HTTPStatus.GATEWAY_TIMEOUT: _SEE_STATUS,
    HTTPStatus.INSUFFICIENT_STORAGE: Rule(
        StorageUnavailableError, "the store is full: free space, add some, or raise the quota"
    ),
}
OTHER_ANSWER = Rule(StorageMisconfiguredError, "the store does not accept the request; look at {place}")

BY_FAILURE: tuple[tuple[type[Exception], Rule], ...] = (
    (
        aiohttp.ConnectionTimeoutError,
        Rule(
            StorageUnavailableError, "look at {place}.endpoint_url, {place}.connect_timeout and the firewalls"
        ),
    ),
    (
        aiohttp.ServerTimeoutError,
        Rule(StorageUnavailableError, "the store was silent for longer than {place}.read_timeout"),
    ),
    (
        aiohttp.ClientSSLError,
        Rule(
            StorageUnavailableError,
            "look at {place}.endpoint_url (http or https, host name) and {place}.ca_bundle",
        ),
    ),
    (aiohttp.ClientProxyConnectionError, PROXY),
    (aiohttp.ClientHttpProxyError, PROXY),
    (aiohttp.InvalidURL, PROXY),  # what the settings have is checked
    (
        aiohttp.ClientConnectorDNSError,
        Rule(StorageUnavailableError, "look at {place}.endpoint_url and the name resolution of this machine"),
    ),
)
"""By what aiohttp raised, where there was no answer."""
OTHER_FAILURE = Rule(
    StorageUnavailableError,
    "look at {place}.endpoint_url, and whether the store runs and can be reached from here",
)
