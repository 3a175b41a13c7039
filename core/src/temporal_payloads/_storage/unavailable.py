"""What a driver's failure says of its store: in whose words, and whether it cannot be used just now."""

from __future__ import annotations

import socket

from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import StorageUnavailableError

_LOST_CONNECTIONS = (ConnectionError, TimeoutError, socket.gaierror)
"""What a driver raises that has no words of its own for a store that cannot be reached."""


def told_by_driver(error: BaseException) -> ApplicationError | None:
    """Return what the plugin's driver itself raised, which an SDK driver may have wrapped.

    None: it raised nothing that Temporal understands.
    """
    told: BaseException | None = error
    while told is not None and not isinstance(told, ApplicationError):
        told = told.__cause__
    return told


def is_unavailable(error: BaseException) -> bool:
    """Tell whether a driver's exception means that its store cannot be reached, or asks to slow down."""
    told = told_by_driver(error)
    return isinstance(told, StorageUnavailableError) or (told is None and lost_connection(error))


def lost_connection(error: BaseException) -> bool:
    """Tell whether an exception, or what caused it, is that of a connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _LOST_CONNECTIONS):
            return True
        cause = cause.__cause__
    return False
