"""Failures of an activity's payloads, as Temporal's retries have to see them.

Where an activity's arguments cannot be decoded, the SDK's worker raises a retryable "Failed decoding
arguments" from the error that says why, and from heartbeat details a non-retryable one. Temporal looks at the
outermost failure alone: a payload that is gone would be asked for until the activity's time is up, and an
activity whose heartbeat cannot be had for a moment would be lost. So the storage error takes the wrapper's
place, with its own type and its own word on retries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ApplicationError

from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from temporalio.api.failure.v1 import Failure
    from temporalio.converter import FailureConverter, PayloadConverter

_SDK_WRAPPERS = ("Failed decoding arguments", "Failed decoding heartbeat details")


class PayloadFailureConverter(DefaultFailureConverter):
    """The SDK's failure converter, with storage errors taken out of the worker's wrapper."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception; see `temporalio.converter.FailureConverter.to_failure`."""
        super().to_failure(_unwrapped(exception), payload_converter, failure)


class EncodedPayloadFailureConverter(PayloadFailureConverter, DefaultFailureConverterWithEncodedAttributes):
    """The same, with message and stack trace as a payload of their own."""


def with_payload_failures(failure_converter: type[FailureConverter]) -> type[FailureConverter]:
    """Return our class for each of the SDK's, and any other as it is."""
    if failure_converter is DefaultFailureConverter:
        return PayloadFailureConverter
    if failure_converter is DefaultFailureConverterWithEncodedAttributes:
        return EncodedPayloadFailureConverter
    return failure_converter


def _unwrapped(exception: BaseException) -> BaseException:
    cause = exception.__cause__
    wraps = isinstance(exception, ApplicationError) and exception.message in _SDK_WRAPPERS
    return cause if wraps and isinstance(cause, StorageError) else exception
