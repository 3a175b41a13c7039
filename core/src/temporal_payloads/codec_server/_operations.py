"""Encode, decode and download, from payloads to payloads."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._storage.errors import PayloadTooLargeError
from temporal_payloads._storage.references import is_encoded_reference, is_reference
from temporal_payloads.codec_server._errors import (
    Code,
    RequestError,
    cause_of,
    explain,
    limit_exceeded,
)
from temporal_payloads.codec_server._storage import Access, ClaimKey, Found, Read, fetch, find, store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads.codec_server._limits import Allowance

logger = logging.getLogger("temporal_payloads.codec_server")

DECODED_AT_ONCE = 16
"""Payloads of one request that codecs work on at once."""
ERROR_KEY = "temporal-payloads-error"
"""Metadata key, in a payload that comes back as it was, of the reason: `code: sentence`."""


@dataclass
class Work:
    """One request's payloads on their way."""

    access: Access
    allowance: Allowance
    references: int = 0
    """How many of the payloads were references."""
    _failures: dict[int, RequestError] = field(default_factory=dict)

    # -- encode

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads and store the large ones; what is encoded or stored already stays as it is.

        Raises:
            RequestError: One of them could not be encoded or stored. A caller that got some of them back
                in the clear would put those into a history.
        """
        results = list(payloads)
        new = [index for index, payload in enumerate(payloads) if not self._is_encoded(payload)]
        try:
            encoded = [payloads[index] for index in new]
            if self.access.profile.codec is not None and encoded:
                encoded = await self.access.profile.codec.encode(encoded)
            stored = await store(self.access, encoded)
        except Exception as error:
            raise self._told(error, "Cannot encode payloads") from error
        for index, payload in zip(new, stored, strict=True):
            results[index] = payload
        for payload in results:
            self.references += is_reference(payload) or is_encoded_reference(payload)
            self.allowance.respond_with(payload.ByteSize())
        return results

    def _is_encoded(self, payload: Payload) -> bool:
        if is_reference(payload) or is_encoded_reference(payload):
            return True
        encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
        return encoding in self.access.profile.encodings

    # -- decode and download

    async def decode(self, payloads: Sequence[Payload], *, preserve_references: bool) -> list[Payload]:
        """Decode payloads; one that cannot be decoded comes back as it was, with the reason in its metadata.

        Args:
            payloads: Encoded payloads and references.
            preserve_references: Give references back whole, instead of what they refer to.

        Raises:
            RequestError: A limit was exceeded.
        """
        clear = await self._remove_codecs(payloads)
        if preserve_references:
            for payload in clear:
                if is_reference(payload):
                    self.allowance.respond_with(payload.ByteSize())
        else:
            clear = await self._follow(clear)
        for index, failure in self._failures.items():
            clear[index] = with_reason(payloads[index], failure)
            self.allowance.respond_with(clear[index].ByteSize())
        return clear

    async def download(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return what references refer to, decoded.

        Raises:
            RequestError: One of the payloads is no reference, or could not be read or decoded.
        """
        clear = await self._remove_codecs(payloads)
        for index, payload in enumerate(clear):
            if index not in self._failures and not is_reference(payload):
                raise RequestError(
                    400,
                    Code.NOT_A_REFERENCE,
                    f"payloads[{index}] is no storage reference; send it to /decode",
                )
        results = await self._follow(clear)
        for index in sorted(self._failures):
            raise self._failures[index].at(f"payloads[{index}]")
        return results

    @property
    def failed(self) -> int:
        """How many payloads could not be decoded."""
        return len(self._failures)

    async def _remove_codecs(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode what stands inline. References may have been encoded too, and come out whole."""
        results = list(payloads)

        async def remove(index: int) -> None:
            payload = payloads[index]
            if is_reference(payload):
                return
            await self.allowance.take(payload.ByteSize())
            try:
                results[index] = await self._decode(payload)
            except Exception as error:  # noqa: BLE001  # a codec may raise anything
                self._fail(index, error)
            else:
                if not is_reference(results[index]):
                    self.allowance.respond_with(results[index].ByteSize())

        await gather_bounded(remove, range(len(payloads)), limit=DECODED_AT_ONCE)
        self.references = sum(map(is_reference, results))
        return results

    async def _follow(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Replace references by what they refer to. Equal ones are fetched and decoded once."""
        wanted: dict[ClaimKey, tuple[Found, list[int]]] = {}
        for index, payload in enumerate(payloads):
            if index in self._failures or not is_reference(payload):
                continue
            try:
                found = find(self.access, payload)
            except Exception as error:  # noqa: BLE001  # a plugin's confinement may raise anything
                self.access.reads.append(Read("", "", 0, self._fail(index, error).code))
            else:
                wanted.setdefault(found.key, (found, []))[1].append(index)
        results = list(payloads)

        async def follow(one: tuple[Found, list[int]]) -> None:
            found, indexes = one
            size, outcome = 0, "interrupted"
            try:
                stored = await fetch(self.allowance, found)
                size = stored.ByteSize()
                payload = await self._decode(stored)
            except Exception as error:  # noqa: BLE001  # a driver or codec may raise anything
                for index in indexes:
                    outcome = self._fail(index, error).code
            else:
                self.allowance.respond_with(payload.ByteSize() * len(indexes))
                for index in indexes:
                    results[index] = payload
                outcome = "served"
            finally:
                self.access.reads.append(Read(found.driver.name(), found.sha256, size, outcome))

        limit = self.access.settings.limits.concurrent_reads
        await gather_bounded(follow, list(wanted.values()), limit=limit)
        return results

    async def _decode(self, payload: Payload) -> Payload:
        codec = self.access.profile.codec
        if codec is None:
            return payload
        limit = int(self.access.settings.limits.decompressed_size)
        try:
            [decoded] = await codec.decode([payload])
        except PayloadTooLargeError as error:
            raise _too_large(limit) from error
        size = decoded.ByteSize()
        if decoded is not payload and size > limit:
            raise _too_large(limit)
        self.allowance.correct(payload.ByteSize(), size)
        return decoded

    def _fail(self, index: int, error: Exception) -> RequestError:
        failure = self._told(error, f"payloads[{index}]")
        if failure.code == Code.LIMIT_EXCEEDED:
            # Limits protect the server: they are the request's, not one payload's.
            raise failure.at(f"payloads[{index}]") from error
        self._failures[index] = failure
        return failure

    def _told(self, error: Exception, what: str) -> RequestError:
        """Return what the client may know, and tell the log the rest."""
        failure = explain(error)
        logger.warning("%s in namespace %r: %s", what, self.access.namespace, cause_of(error))
        return failure


def _too_large(limit: int) -> RequestError:
    return limit_exceeded("decompressed_size", f"it expands to more than {limit} bytes")


def with_reason(payload: Payload, failure: RequestError) -> Payload:
    """Return the payload with the reason why it was not decoded."""
    result = Payload()
    result.CopyFrom(payload)
    result.metadata[ERROR_KEY] = f"{failure.code}: {failure.message}".encode()
    return result
