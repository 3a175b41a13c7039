"""What a request that cannot be answered gets: a status, a stable code and a sentence, as JSON."""

from __future__ import annotations

import json
from enum import StrEnum

from aiohttp import web
from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    KeyNotForNamespaceError,
    KeyUnavailableError,
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadNotEncryptedError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)


class Code(StrEnum):
    """Why a request or a payload failed. Programs match on these; they never change their meaning."""

    INVALID_JSON = "invalid_json"
    INVALID_PAYLOADS = "invalid_payloads"
    INVALID_BODY = "invalid_body"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    NOT_A_REFERENCE = "not_a_reference"
    UNKNOWN_NAMESPACE = "unknown_namespace"
    NAMESPACE_MISMATCH = "namespace_mismatch"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    HOST_NOT_ALLOWED = "host_not_allowed"
    REFERENCE_REJECTED = "reference_rejected"
    UNKNOWN_DRIVER = "unknown_driver"
    PAYLOAD_NOT_FOUND = "payload_not_found"
    PAYLOAD_CORRUPT = "payload_corrupt"
    PAYLOAD_NOT_DECODED = "payload_not_decoded"
    PAYLOAD_NOT_ENCRYPTED = "payload_not_encrypted"
    KEY_NOT_FOR_NAMESPACE = "key_not_for_namespace"
    LIMIT_EXCEEDED = "limit_exceeded"
    BUSY = "busy"
    STORAGE_FAILED = "storage_failed"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    STORAGE_TIMEOUT = "storage_timeout"
    ENCRYPTION_KEY_UNAVAILABLE = "encryption_key_unavailable"
    KEYS_UNAVAILABLE = "keys_unavailable"
    NOT_READY = "not_ready"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    INTERNAL_ERROR = "internal_error"


class RequestError(Exception):
    """A request, or one payload of it, cannot be answered.

    As text it is the whole sentence, for the log.

    Args:
        status: The HTTP status.
        code: Why, for programs.
        message: Why, for whoever asked, who may be a stranger: nothing of how the server is configured.
        headers: Of the response.
        detail: The rest, for the operator: what it is about here, and what to do. No secret may stand in it.
    """

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        headers: dict[str, str] | None = None,
        *,
        detail: str = "",
    ) -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.detail = detail

    def at(self, place: str) -> RequestError:
        """Return the same error, said of one payload."""
        return RequestError(
            self.status, self.code, f"{place}: {self.message}", self.headers, detail=self.detail
        )

    def to_response(self) -> web.Response:
        """Return what the client gets."""
        return error_response(self.status, self.code, self.message, self.headers)


def limit_exceeded(setting: str, message: str, status: int = 413) -> RequestError:
    """Return the error of a request over `codec_server.limits.SETTING`."""
    code = Code.LIMIT_EXCEEDED if status < 500 else Code.BUSY  # noqa: PLR2004  # server errors begin there
    return RequestError(status, code, f"{message} (codec_server.limits.{setting})")


def unauthenticated(message: str, *, detail: str = "") -> RequestError:
    """Return the error of a request whose caller is not known."""
    challenge = {"WWW-Authenticate": 'Bearer realm="temporal-payloads codec server"'}
    return RequestError(401, Code.UNAUTHENTICATED, message, challenge, detail=detail)


def error_response(
    status: int, code: Code, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    """Return the JSON form of an error."""
    body = json.dumps({"code": code.value, "message": message})
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


# 410 and not 404 for a missing object: the Web UI reads 404 as "not configured to download". A 5xx only where
# the fault is not the payload's: the Web UI asks three times again. What the errors themselves say is for the
# log: it names buckets, endpoints and settings. The more general class stands after its subclasses.
_BY_TYPE: dict[type[ApplicationError], tuple[int, Code, str]] = {
    PayloadNotFoundError: (
        410,
        Code.PAYLOAD_NOT_FOUND,
        "the store has no such payload: it expired, was deleted, or is in another store",
    ),
    PayloadNotDecodedError: (
        422,
        Code.PAYLOAD_NOT_DECODED,
        "none of the server's codecs decodes the payload",
    ),
    PayloadNotEncryptedError: (
        422,
        Code.PAYLOAD_NOT_ENCRYPTED,
        "the payload is in clear, and this server's settings require that it is encrypted",
    ),
    KeyNotForNamespaceError: (
        403,
        Code.KEY_NOT_FOR_NAMESPACE,
        "the payload's key is not for this namespace",
    ),
    KeyUnavailableError: (
        503,
        Code.ENCRYPTION_KEY_UNAVAILABLE,
        "the key that the payload needs cannot be had from where it is kept",
    ),
    PayloadIntegrityError: (
        422,
        Code.PAYLOAD_CORRUPT,
        "the payload is damaged, or not what it says it is",
    ),
    PayloadTooLargeError: (413, Code.LIMIT_EXCEEDED, "the payload is larger than its store or codec allows"),
    ClaimRejectedError: (403, Code.REFERENCE_REJECTED, "the reference leads out of what this server reads"),
    StoragePermissionError: (502, Code.STORAGE_FAILED, "the store refuses the server access"),
    StorageMisconfiguredError: (502, Code.STORAGE_FAILED, "the store is not as the server's settings say"),
    StorageTimeoutError: (504, Code.STORAGE_TIMEOUT, "the store gave no answer in time"),
    StorageUnavailableError: (503, Code.STORAGE_UNAVAILABLE, "the store cannot be reached"),
    StorageError: (502, Code.STORAGE_FAILED, "the storage failed"),
}


def explain(error: Exception) -> RequestError:
    """Turn what went wrong with one payload into what its client may know, and the log's detail."""
    if isinstance(error, RequestError):
        return error
    for kind, (status, code, sentence) in _BY_TYPE.items():
        if isinstance(error, kind):
            return RequestError(status, code, sentence, detail=error.message.strip())
    return RequestError(422, Code.PAYLOAD_CORRUPT, "the payload's codec failed", detail=cause_of(error))


def cause_of(error: BaseException | None) -> str:
    """Return the chain of causes in one line, for the log."""
    causes = []
    while error is not None:
        causes.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return " <- ".join(causes)
