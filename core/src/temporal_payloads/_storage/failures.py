"""Failures to decode, as Temporal's retries and the person who looks at them have to see them.

Where an activity's arguments cannot be decoded, the SDK's worker raises a retryable "Failed decoding
arguments" from the error that says why, and from heartbeat details a non-retryable one. Temporal looks at the
outermost failure alone: a payload that is gone would be asked for until the activity's time is up, and an
activity whose heartbeat cannot be had for a moment would be lost. So the storage error takes the wrapper's
place, with its own type and its own word on retries, and any other error is told in a retryable wrapper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import PayloadNotDecodedError, StorageError

if TYPE_CHECKING:
    from temporalio.api.failure.v1 import Failure
    from temporalio.converter import FailureConverter, PayloadConverter

# Sentences of the SDK's, which no type vouches for. Where a release changes one, its own failure is kept.
_WRAPPERS = ("Failed decoding arguments", "Failed decoding heartbeat details")
_UNKNOWN_ENCODING = "Unknown payload encoding "

_LONGEST_CAUSE = 300
"""Characters of a cause's message that are told."""
_CAUSES = 3


class PayloadFailureConverter(DefaultFailureConverter):
    """The SDK's failure converter, with failures to decode told as they are."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception; see `temporalio.converter.FailureConverter.to_failure`."""
        told = _unwrapped(exception)
        if isinstance(told, StorageError):
            told = _compact(told)
        super().to_failure(told, payload_converter, failure)


class EncodedPayloadFailureConverter(PayloadFailureConverter, DefaultFailureConverterWithEncodedAttributes):
    """The same, with message and stack trace as a payload of their own."""


def with_payload_failures(failure_converter: type[FailureConverter]) -> type[FailureConverter]:
    """Return our class for each of the SDK's, and any other as it is."""
    if failure_converter is DefaultFailureConverter:
        return PayloadFailureConverter
    if failure_converter is DefaultFailureConverterWithEncodedAttributes:
        return EncodedPayloadFailureConverter
    return failure_converter


def _compact(error: StorageError) -> ApplicationError:
    """Return the error without stack traces, which the log has.

    The server replaces a pending activity's failure of more than a few kilobytes by "exceeds size limit".
    """
    compact: list[ApplicationError] = [
        ApplicationError(
            error.message,
            *error.details,
            type=error.type,
            non_retryable=error.non_retryable,
            next_retry_delay=error.next_retry_delay,
            category=error.category,
        )
    ]
    cause = error.__cause__
    while cause is not None and len(compact) <= _CAUSES:
        compact.append(ApplicationError(str(cause)[:_LONGEST_CAUSE], type=type(cause).__name__))
        compact[-2].__cause__ = compact[-1]
        cause = cause.__cause__
    return compact[0]


def _unwrapped(exception: BaseException) -> BaseException:
    cause = exception.__cause__
    message = exception.message if isinstance(exception, ApplicationError) else str(exception)
    if cause is None or message not in _WRAPPERS:
        return exception
    if isinstance(cause, StorageError):
        return cause
    told: ApplicationError
    if isinstance(cause, KeyError) and str(cause.args[0]).startswith(_UNKNOWN_ENCODING):
        encoding = str(cause.args[0]).removeprefix(_UNKNOWN_ENCODING)
        told = PayloadNotDecodedError(
            f"A payload is encoded as {encoding!r}, which neither a configured codec nor the payload "
            "converter decodes. Add the codec that wrote it to codecs"
        )
    elif isinstance(exception, ApplicationError):
        told = ApplicationError(
            f"{message}: {type(cause).__name__}: {cause}. Temporal tries again: a worker whose codecs, "
            "payload converter and types are those of the sender can decode them"
        )
    else:
        return exception
    told.__cause__ = cause
    return told.with_traceback(exception.__traceback__)
