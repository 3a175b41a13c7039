"""What can go wrong with a stored or encoded payload, as Temporal failures with stable types."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from datetime import timedelta


class StorageError(ApplicationError):
    """A payload could not be stored or retrieved, encoded or decoded.

    Drivers and codecs raise one of the subclasses, directly or as the cause of another exception; core
    gives the rest of the story (which driver, which operation). The failure type that Temporal records is
    the class's name, so that retry policies and workflow code can match on it.

    Core has the last word on retries, see `docs/failures.md`: on the way in, everything is retried but a
    payload that is gone from a store in which payloads expire; on the way out, everything that does not
    come out of an activity.

    Args:
        message: What failed, where, and what to do about it. No secret may stand in it.
        non_retryable: Overrides what the class says. True is for what the same value would meet again.
        next_retry_delay: After how long an activity is tried again, instead of what its retry policy says.
    """

    permanent: ClassVar[bool] = False
    """Whether the error is non-retryable unless the constructor says otherwise."""

    def __init__(
        self, message: str, *, non_retryable: bool | None = None, next_retry_delay: timedelta | None = None
    ) -> None:
        self._final = self.permanent if non_retryable is None else non_retryable
        super().__init__(
            message,
            type=type(self).__name__,
            non_retryable=self._final,
            next_retry_delay=next_retry_delay,
        )

    @property
    def non_retryable(self) -> bool:
        """Whether Temporal must not retry."""
        return self._final

    def as_retryable(self) -> Self:
        """Return the same error, retryable. The original stays as it is: several callers may have it."""
        # Not made anew: a subclass may have a constructor of its own.
        error = type(self).__new__(type(self))
        error.__dict__.update(self.__dict__)
        error.args = self.args
        error.__cause__ = self.__cause__
        error._final = False  # noqa: SLF001  # one of our own
        return error.with_traceback(self.__traceback__)


class PayloadNotFoundError(StorageError):
    """The store has no payload under the claim's key: it expired, was deleted, or is in another store.

    Non-retryable as a driver raises it. Core makes it retryable unless payloads expire in that store;
    `missing_payload` in the driver's table overrides that.
    """

    permanent = True


class PayloadIntegrityError(StorageError):
    """The bytes found are not the bytes that were stored, or cannot be decoded.

    Retryable: the object can be put right, and so can a wrong key or dictionary.
    """


class PayloadTooLargeError(StorageError):
    """A payload is over a configured limit.

    Non-retryable where an activity stores it, for the same value would come again. Retryable in a workflow
    task and when retrieving: an operator can raise the limit.
    """

    permanent = True


class PayloadNotDecodedError(StorageError):
    """No configured codec decodes the payload. Retryable: a worker with the right codec can."""


class KeyUnavailableError(StorageError):
    """A key that a payload needs cannot be had: it is refused, or its provider does not answer.

    Retryable: an operator can add the key or grant access to it while the workflow waits.
    """


class KeyNotForNamespaceError(StorageError):
    """A payload was encrypted with a key that the settings keep from the namespace for which it is read.

    Only who reads for others, as a codec server does, meets it. Retryable: the settings can allow it.
    """


class PayloadNotEncryptedError(StorageError):
    """A payload is in clear where the settings require that it is encrypted. Retryable."""


class ClaimRejectedError(StorageError):
    """A claim points outside what its driver is configured for, or is malformed.

    Retryable: a worker with the right bucket, prefix or database, or with a newer release, can follow it.
    """


class UnknownDriverError(StorageError):
    """A reference names a driver that is not configured. Retryable: a worker that has it can read it."""


class StoragePermissionError(StorageError):
    """The store refused access. Retryable: an operator can grant it while the workflow waits."""


class StorageMisconfiguredError(StorageError):
    """The store is not as the settings say: no such bucket, wrong region, wrong server. Retryable."""


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or asks to slow down. Retryable."""

    circuit_open: bool = False
    """Whether the store was not even asked, for it could not be used a moment ago; see `storage.circuit`."""


class StorageTimeoutError(StorageUnavailableError):
    """The operation did not end within `storage.timeout`. Retryable."""
