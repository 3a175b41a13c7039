"""The rule of failures: nothing that an operator or a deployment can mend ends a workflow or an activity.

The SDK ends a workflow when a non-retryable `ApplicationError` comes out of decoding for a workflow task, and
an activity likewise. Whatever class a driver or codec raised, core decides.
"""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import PayloadTooLargeError, StorageError


def inbound(error: ApplicationError) -> ApplicationError:
    """Return the error of a payload on its way in, as Temporal may see it: retryable."""
    if not error.non_retryable:
        return error
    if isinstance(error, StorageError):
        return error.as_retryable()
    retryable = ApplicationError(
        error.message,
        *error.details,
        type=error.type,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )
    retryable.__cause__ = error.__cause__
    return retryable.with_traceback(error.__traceback__)


def outbound(error: ApplicationError) -> ApplicationError:
    """Return the error of a payload on its way out, as Temporal may see it.

    An activity that is run again makes the same value again: there, one that is too large stays so, and the
    error stays as it is. A workflow task waits for a worker with a higher limit. Whatever else an error says
    of itself, such as a refusal, an operator can mend.
    """
    too_large = isinstance(error, PayloadTooLargeError)
    return error if too_large and activity.in_activity() else inbound(error)
