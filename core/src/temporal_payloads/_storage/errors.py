"""What can go wrong with a stored payload, as Temporal failures with stable types."""

from __future__ import annotations

from typing import ClassVar

from temporalio.exceptions import ApplicationError


class StorageError(ApplicationError):
    """A payload could not be stored or retrieved.

    Drivers and codecs raise one of the subclasses, directly or as the cause of another exception; core
    gives the rest of the story (which driver, which operation). The failure type that Temporal records is
    the class's name, so that retry policies and workflow code can match on it.

    Args:
        message: What failed, where, and what to do about it. No secret may stand in it.
        non_retryable: Overrides whether Temporal may retry. A non-retryable error ends the activity, and
            during a workflow task the workflow: it is for what no retry, no operator and no new deployment
            can mend.
    """

    permanent: ClassVar[bool] = False
    """Whether the error is non-retryable unless the constructor says otherwise."""

    def __init__(self, message: str, *, non_retryable: bool | None = None) -> None:
        super().__init__(
            message,
            type=type(self).__name__,
            non_retryable=self.permanent if non_retryable is None else non_retryable,
        )


class PayloadNotFoundError(StorageError):
    """The store has no payload under the claim's key: it expired or was deleted. Non-retryable."""

    permanent = True


class PayloadIntegrityError(StorageError):
    """The bytes found are not the bytes that were stored, or cannot be decoded. Non-retryable."""

    permanent = True


class PayloadTooLargeError(StorageError):
    """A payload is over a configured limit. Non-retryable when storing, for the same value comes again."""

    permanent = True


class ClaimRejectedError(StorageError):
    """A claim points outside what its driver is configured for, or is malformed. Non-retryable."""

    permanent = True


class StoragePermissionError(StorageError):
    """The store refused access. Retryable: an operator can grant it while the workflow waits."""


class StorageMisconfiguredError(StorageError):
    """The store is not as the settings say: no such bucket, wrong region, wrong server. Retryable."""


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or asks to slow down. Retryable."""


class StorageTimeoutError(StorageUnavailableError):
    """The operation did not end within `storage.timeout`. Retryable."""
