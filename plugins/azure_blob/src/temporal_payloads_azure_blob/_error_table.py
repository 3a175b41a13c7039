"""What Azure and the way to it can answer, and what that means to whoever configured the store.

In the advice, `{place}` is where the driver is configured (`storage.drivers.azure_blob`), and `{container}`
the container's URL.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from azure.core import exceptions as azure
from temporal_payloads.plugin import (
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


_REFUSED_LOGIN = Rule(
    StoragePermissionError,
    "the login is not accepted: look at {place}.account_key, {place}.sas_token (it may have expired, or be "
    "of another account) or {place}.connection_string, and at the clock of this machine; without them the "
    "usual chain of identities applies",
)
_REFUSED_ACCESS = Rule(
    StoragePermissionError,
    "an identity needs the role Storage Blob Data Contributor (to read only, Storage Blob Data Reader) on "
    "the container or the account, a SAS the permissions r, c and w",
)
_NO_KEYS = Rule(
    StoragePermissionError,
    "the account takes no keys: remove {place}.account_key, {place}.sas_token or {place}.connection_string, "
    "and give an identity the role Storage Blob Data Contributor",
)
_TRY_LATER = Rule(
    StorageUnavailableError,
    "the store asks to try again later; if that goes on, lower storage.concurrency or {place}.pool_size",
)
_NO_CONTAINER = Rule(
    StorageMisconfiguredError,
    "create container {container}, or correct {place}.container or {place}.account_url",
)
_PROXY = Rule(StorageUnavailableError, "look at the HTTP proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
_ARCHIVED = Rule(
    StorageUnavailableError,
    "the blob was archived: rehydrate it, and keep payloads out of the rule that archives",
)
NOT_AZURE = Rule(
    StorageUnavailableError,
    "that is not an answer of Azure Blob Storage; look at {place}.account_url and at what stands in between",
)

BY_CODE = {
    "ContainerNotFound": _NO_CONTAINER,
    "ContainerBeingDeleted": _NO_CONTAINER,
    "ContainerDisabled": _NO_CONTAINER,
    "ResourceNotFound": _NO_CONTAINER,
    "AccountIsDisabled": Rule(StoragePermissionError, "enable the account, or correct {place}.account_url"),
    "AuthenticationFailed": _REFUSED_LOGIN,
    "InvalidAuthenticationInfo": _REFUSED_LOGIN,
    "NoAuthenticationInformation": _REFUSED_LOGIN,
    "AuthorizationFailure": Rule(
        StoragePermissionError,
        "a firewall of the account keeps this machine out, or what logs in is wrong: look at the account's "
        "network rules, and at {place}.account_key, {place}.sas_token (it may have expired) or "
        "{place}.connection_string",
    ),
    "KeyBasedAuthenticationNotPermitted": _NO_KEYS,
    "AuthorizationProtocolMismatch": Rule(
        StoragePermissionError, "the SAS is for https only: write https:// in {place}.account_url"
    ),
    "AuthorizationSourceIPMismatch": Rule(
        StoragePermissionError, "the SAS is for other addresses than this machine's: make another one"
    ),
    "BlobArchived": _ARCHIVED,
    "BlobBeingRehydrated": _ARCHIVED,
    "ConditionNotMet": Rule(
        StorageUnavailableError, "the blob was replaced while it was read; read it again"
    ),
    "InvalidBlockList": Rule(
        StorageUnavailableError, "blocks went missing while they were written; write them again"
    ),
    "ServerBusy": _TRY_LATER,
    "OperationTimedOut": _TRY_LATER,
    "InternalError": _TRY_LATER,
}
"""By the code of Azure's answer."""

BY_STATUS: dict[int, Rule] = {
    HTTPStatus.UNAUTHORIZED: _REFUSED_LOGIN,
    HTTPStatus.FORBIDDEN: _REFUSED_ACCESS,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: _PROXY,
    HTTPStatus.REQUEST_TIMEOUT: _TRY_LATER,
    HTTPStatus.TOO_MANY_REQUESTS: _TRY_LATER,
    HTTPStatus.INTERNAL_SERVER_ERROR: _TRY_LATER,
    HTTPStatus.BAD_GATEWAY: _TRY_LATER,
    HTTPStatus.SERVICE_UNAVAILABLE: _TRY_LATER,
    HTTPStatus.GATEWAY_TIMEOUT: _TRY_LATER,
    HTTPStatus.INSUFFICIENT_STORAGE: Rule(StorageUnavailableError, "the store is full: make room"),
}
"""By the HTTP status, where the code is none of those above."""
OTHER_ANSWER = Rule(StorageMisconfiguredError, "the store does not accept the request; look at {place}")

NO_TOKEN = Rule(
    StoragePermissionError,
    "no identity was found that logs in: look at {place}.client_id and the variables AZURE_CLIENT_ID, "
    "AZURE_TENANT_ID and their like, or set {place}.account_key, {place}.sas_token or "
    "{place}.connection_string",
    store_asked=False,
)
LOGIN_FAILED = Rule(
    StoragePermissionError,
    "that identity does not log in: look at the variables AZURE_CLIENT_ID, AZURE_TENANT_ID and their like, "
    "at {place}.client_id, or at the login of the Azure CLI, whichever it takes them from",
    store_asked=False,
)
LOGIN_UNAVAILABLE = Rule(
    StorageUnavailableError,
    "where that identity logs in can't be reached: look at the network of this machine, at HTTPS_PROXY and "
    "NO_PROXY, at AZURE_AUTHORITY_HOST if it is set, and at azure.status.microsoft",
    store_asked=False,
)
BY_FAILURE: tuple[tuple[type[Exception], Rule], ...] = (
    (aiohttp.ClientProxyConnectionError, _PROXY),
    (aiohttp.ClientHttpProxyError, _PROXY),
    (aiohttp.InvalidURL, _PROXY),  # what the settings have is checked
    (
        aiohttp.ClientSSLError,
        Rule(
            StorageUnavailableError,
            "look at {place}.account_url (http or https, host name) and {place}.ca_bundle",
        ),
    ),
    (
        aiohttp.ClientConnectorDNSError,
        Rule(
            StorageUnavailableError,
            "look at {place}.account_url (is that the account's name?) and the name resolution of this "
            "machine",
        ),
    ),
    (
        azure.ServiceRequestTimeoutError,
        Rule(
            StorageUnavailableError, "look at {place}.account_url, {place}.connect_timeout and the firewalls"
        ),
    ),
    (
        azure.ServiceResponseTimeoutError,
        Rule(StorageUnavailableError, "the store was silent for longer than {place}.read_timeout"),
    ),
)
"""By what the Azure libraries raised, or the error in it, where there was no answer."""
OTHER_FAILURE = Rule(
    StorageUnavailableError,
    "look at {place}.account_url, and whether the store runs and can be reached from here",
)
