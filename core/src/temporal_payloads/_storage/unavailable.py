"""Which failures say that a store cannot be used now, and would not say so a moment later."""

from __future__ import annotations

import socket

from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import StorageUnavailableError

_LOST_CONNECTIONS = (ConnectionError, TimeoutError, socket.gaierror)
"""What a driver raises that has no words of its own for a store that cannot be reached."""


def storage_error_in(error: BaseException) -> ApplicationError | None:
    """Return the error that a driver raised before an SDK driver wrapped it."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause


def is_unavailable(error: BaseException) -> bool:
    """Tell whether a driver's exception means that its store cannot be reached, or asks to slow down."""
    told = error if isinstance(error, ApplicationError) else storage_error_in(error)
    return isinstance(told, StorageUnavailableError) or (told is None and lost_connection(error))


def lost_connection(error: BaseException) -> bool:
    """Tell whether an exception, or what caused it, is that of a connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _LOST_CONNECTIONS):
            return True
        cause = cause.__cause__
    return False
