"""What can go wrong with a stored or encoded payload, as Temporal failures with stable types."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from temporal_payloads._storage.change import Change


class StorageError(ApplicationError):
    """A payload could not be stored or retrieved, encoded or decoded.

    Drivers and codecs raise one of the subclasses, directly or as the cause of another exception; core
    gives the rest of the story (which driver, which operation). The failure type that Temporal records is
    the class's name, so that retry policies and workflow code can match on it.

    Core has the last word on retries, see `docs/failures.md`: on the way in, everything is retried but a
    payload that is gone from a store in which payloads expire; on the way out, everything but a payload
    that is too large and comes out of an activity.

    Args:
        message: What failed, where, and what to do about it. No secret may stand in it.
        non_retryable: Overrides what the class says, where core leaves it at that.
        next_retry_delay: After how long an activity is tried again, instead of what its retry policy says.
        store_asked: Whether the store has had a part in it; see the attribute of that name.

    Example::

        async def read(self, keys):
            try:
                return await self._client.get_many(keys)
            except shelf_client.Full as error:
                raise StorageError(f"The shelf {self._url} takes no more; enlarge it") from error
    """

    permanent: ClassVar[bool] = False
    """Whether the error is non-retryable unless the constructor says otherwise."""

    def __init__(
        self,
        message: str,
        *,
        non_retryable: bool | None = None,
        next_retry_delay: timedelta | None = None,
        store_asked: bool = True,
    ) -> None:
        self._final = self.permanent if non_retryable is None else non_retryable
        super().__init__(
            message,
            type=type(self).__name__,
            non_retryable=self._final,
            next_retry_delay=next_retry_delay,
        )
        self.changes: Sequence[Change] = ()
        """Of a call that was to change several payloads for a collector: what came of each, in their order,
        so far as it is known; nothing if it is of none."""
        self.store_asked = store_asked
        """False where a setting is wrong in itself, such as credentials that are not there: that the driver
        says so, does not tell `storage.circuit` that its store is up."""

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

    Example::

        async def retrieve(self, context, claims):
            try:
                return [await self._client.get(claim.claim_data["key"]) for claim in claims]
            except shelf_client.Missing as error:
                raise PayloadNotFoundError(f"The shelf has no payload under {error.key!r}") from error
    """

    permanent = True


class PayloadIntegrityError(StorageError):
    """The bytes found are not the bytes that were stored, or cannot be decoded.

    Retryable: the object can be put right, and so can a wrong key or dictionary.

    Example::

        def decode_payload(self, payload):
            data = payload.data[4:]
            if zlib.crc32(data).to_bytes(4, "big") != payload.data[:4]:
                raise PayloadIntegrityError("A payload with encoding binary/reversed is damaged")
            return Payload.FromString(data)
    """


class PayloadTooLargeError(StorageError):
    """A payload is over a configured limit.

    Non-retryable where an activity stores it, for the same value would come again. Retryable in a workflow
    task and when retrieving: an operator can raise the limit.

    Example::

        def check_size(size: int, limit: int) -> None:
            if size > limit:
                raise PayloadTooLargeError(f"The payload has {size} bytes, and max_payload_size is {limit}")
    """

    permanent = True


class PayloadNotDecodedError(StorageError):
    """No configured codec decodes the payload. Retryable: a worker with the right codec can.

    Example::

        try:
            await converter.decode([unknown])
        except PayloadNotDecodedError as error:
            assert not error.non_retryable
    """


class KeyUnavailableError(StorageError):
    """A key that a payload needs cannot be had: it is refused, or its provider does not answer.

    Retryable: an operator can add the key or grant access to it while the workflow waits.

    Example::

        async def unwrap_data_key(self, key, wrapped):
            try:
                return await self._client.decrypt(key, wrapped)
            except my_vault.Forbidden as error:
                raise KeyUnavailableError(f"The vault refused {key!r}; grant decrypt on it") from error
    """


class KeyNotForNamespaceError(StorageError):
    """A payload was encrypted with a key that the settings keep from the namespace for which it is read.

    Only who reads for others, as a codec server does, meets it. Retryable: the settings can allow it.

    Example::

        def check_reader(key: str, namespace: str, allowed: frozenset[str]) -> None:
            if namespace not in allowed:
                raise KeyNotForNamespaceError(f"The key {key!r} is not for namespace {namespace!r}")
    """


class PayloadNotEncryptedError(StorageError):
    """A payload is in clear where the settings require that it is encrypted. Retryable.

    Example::

        def check_encrypted(payload):
            if payload.metadata["encoding"] != b"binary/encrypted":
                raise PayloadNotEncryptedError("A payload is in clear, and the settings require encryption")
    """


class ClaimRejectedError(StorageError):
    """A claim points outside what its driver is configured for, or is malformed.

    Retryable: a worker with the right bucket, prefix or database, or with a newer release, can follow it.

    Example::

        def confine(settings: ShelfSettings, claim: StorageDriverClaim) -> ConfinedClaim:
            if claim.claim_data.get("shelf") != settings.url:
                raise ClaimRejectedError(f"The claim is for another shelf than {settings.url!r}")
            return KeyLayout(settings.prefix).confine(claim)
    """


class UnknownDriverError(StorageError):
    """A reference names a driver that is not configured. Retryable: a worker that has it can read it.

    Example::

        try:
            await converter.decode([from_another_driver])
        except UnknownDriverError as error:
            assert not error.non_retryable
    """


class StoragePermissionError(StorageError):
    """The store refused access. Retryable: an operator can grant it while the workflow waits.

    Example::

        async def check(self):
            try:
                await self._client.ping()
            except shelf_client.Forbidden as error:
                raise StoragePermissionError(
                    f"The shelf {self._url} does not let {self._user!r} in; grant read and write"
                ) from error
    """


class StorageMisconfiguredError(StorageError):
    """The store is not as the settings say: no such bucket, wrong region, wrong server. Retryable.

    Example::

        if "SHELF_TOKEN" not in os.environ:
            missing = StorageMisconfiguredError("There is no SHELF_TOKEN; set it", store_asked=False)
            assert not missing.store_asked
    """


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or asks to slow down. Retryable.

    Example::

        async def write(self, items):
            try:
                await self._client.put_many(items)
            except shelf_client.Busy as error:
                raise StorageUnavailableError(f"The shelf {self._url} asks to slow down") from error
    """

    circuit_open: bool = False
    """Whether the store was not even asked, for it could not be used a moment ago; see `storage.circuit`."""
    driver: str = ""
    """The recorded name of the driver that could not store; empty where that is not known."""


class StorageTimeoutError(StorageUnavailableError):
    """The operation did not end within `storage.timeout`. Retryable.

    Example::

        try:
            async with asyncio.timeout(0):
                await shelf.ping()
        except TimeoutError as error:
            late = StorageTimeoutError("The shelf gave no answer within 5s; see that it is up")
            assert isinstance(late, StorageUnavailableError)
    """
