"""Encode, decode and download, from payloads to payloads."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._storage.errors import (
    KeyNotForNamespaceError,
    KeyUnavailableError,
    PayloadNotDecodedError,
    PayloadNotEncryptedError,
    PayloadTooLargeError,
)
from temporal_payloads._storage.references import (
    MARKER,
    is_encoded_reference,
    is_reference,
    read_reference,
)
from temporal_payloads.codec_server._errors import (
    Code,
    RequestError,
    cause_of,
    explain,
    limit_exceeded,
)
from temporal_payloads.codec_server._fields import PayloadFields
from temporal_payloads.codec_server._storage import Access, ClaimKey, Found, Read, fetch, find, store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporalio.api.common.v1 import Payload

    from temporal_payloads.codec_server._limits import Allowance

logger = logging.getLogger("temporal_payloads.codec_server")

DECODED_AT_ONCE = 16
"""Payloads of one request that codecs work on at once."""
FETCHING_COPIES = 2
"""How often what is fetched stands in memory at some moment: as it arrives, and put together or parsed."""
DECODING_COPIES = 2
"""How often what was decoded does: as bytes, and as a payload."""
ENCODING_COPIES = 4
"""How often a payload that is encoded and stored does: serialized, compressed, hashed, for the cache."""
NOT_ENCODED = (b"json/plain", b"json/protobuf", b"binary/plain", b"binary/protobuf", b"binary/null")
"""Encodings of payload converters: codecs leave these payloads alone."""
KEY_ID = "encryption-key-id"
"""Metadata key, of Temporal's samples and whoever follows them, of the key that encrypted a payload."""
LONGEST_KEY_ID_TOLD = 200
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

    async def encode(self, payloads: Sequence[Payload]) -> list[PayloadFields]:
        """Encode payloads and store the large ones; what is encoded or stored already is not once more.

        Raises:
            RequestError: One of them could not be encoded or stored. A caller that got some of them back
                in the clear would put those into a history.
        """
        results = [PayloadFields.of(payload) for payload in payloads]
        references = [index for index, payload in enumerate(payloads) if is_reference(payload)]
        new = sorted(set(range(len(payloads))).difference(references))
        self.references = len(references)
        size = sum(results[index].size for index in new) * ENCODING_COPIES
        # One after the other may be opened, to see whether it is encoded.
        size += max((self._decoding_size(payloads[index]) for index in new), default=0)
        async with self.allowance.work(size) as reservation:
            try:
                for index in references:
                    read_reference(payloads[index])  # else anything could call itself a reference
                encoded = await self._encode([payloads[index] for index in new])
            except PayloadNotEncryptedError as error:
                raise self._told(_not_encrypted(error), "Cannot encode payloads") from error
            except Exception as error:
                raise self._told(error, "Cannot encode payloads") from error
            for index, payload in zip(new, encoded, strict=True):
                results[index] = PayloadFields.of(payload)
            self.references += sum(map(_is_any_reference, encoded))
            reservation.keep(sum(results[index].size for index in new))
        self.allowance.respond_with(sum(result.size for result in results))
        return results

    async def _encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode and store. What a codec seems to have made of a reference is not stored, and stays one."""
        results = await self.access.codec.complete(payloads)
        marked = [index for index, payload in enumerate(payloads) if _seems_an_encoded_reference(payload)]
        for index in marked:
            if results[index] is not payloads[index]:
                _mark_as_reference(results[index], payloads[index])
        others = [index for index in range(len(payloads)) if index not in marked]
        stored = await store(self.access, [results[index] for index in others])
        for index, payload in zip(others, stored, strict=True):
            results[index] = payload
        return results

    # -- decode and download

    async def decode(self, payloads: Sequence[Payload], *, preserve_references: bool) -> list[PayloadFields]:
        """Decode payloads; one that cannot be decoded comes back as it was, with the reason in its metadata.

        Args:
            payloads: Encoded payloads and references.
            preserve_references: Give references back whole, instead of what they refer to.

        Raises:
            RequestError: A limit was exceeded.
        """
        results, references = await self._remove_codecs(payloads)
        if preserve_references:
            results |= {index: self._respond(reference) for index, reference in references.items()}
        else:
            results |= await self._follow(references)
        for index, failure in self._failures.items():
            payloads[index].metadata[ERROR_KEY] = f"{failure.code}: {failure.message}".encode()
            results[index] = self._respond(payloads[index])
        return [results[index] for index in range(len(payloads))]

    async def download(self, payloads: Sequence[Payload]) -> list[PayloadFields]:
        """Return what references refer to, decoded.

        Raises:
            RequestError: One of the payloads is no reference, or could not be read or decoded.
        """
        others, references = await self._remove_codecs(payloads)
        for index in sorted(others):
            raise RequestError(
                400, Code.NOT_A_REFERENCE, f"payloads[{index}] is no storage reference; send it to /decode"
            )
        results = await self._follow(references)
        for index in sorted(self._failures):
            raise self._failures[index].at(f"payloads[{index}]")
        return [results[index] for index in range(len(payloads))]

    @property
    def failed(self) -> int:
        """How many payloads could not be decoded."""
        return len(self._failures)

    async def _remove_codecs(
        self, payloads: Sequence[Payload]
    ) -> tuple[dict[int, PayloadFields], dict[int, Payload]]:
        """Decode what stands inline. Return that, and the references, which may have been encoded too."""
        inline: dict[int, PayloadFields] = {}
        references: dict[int, Payload] = {}

        async def remove(index: int) -> None:
            payload = payloads[index]
            if is_reference(payload):
                references[index] = payload
                return
            try:
                async with self.allowance.work(self._decoding_size(payload)) as reservation:
                    decoded = await self._decode(payload)
                    if is_reference(decoded):
                        references[index] = decoded
                        return
                    inline[index] = self._respond(decoded)
                    if decoded is not payload:
                        reservation.keep(inline[index].size)
            except Exception as error:  # noqa: BLE001  # a codec may raise anything
                self._fail(index, error)

        await gather_bounded(remove, range(len(payloads)), limit=DECODED_AT_ONCE)
        self.references = len(references)
        return inline, references

    def _decoding_size(self, payload: Payload) -> int:
        """Return how much memory decoding may take beside the payload: nothing if it is not encoded."""
        if payload.metadata.get("encoding") in NOT_ENCODED:
            return 0
        return len(payload.data) + int(self.access.settings.limits.decompressed_size) * DECODING_COPIES

    async def _follow(self, references: Mapping[int, Payload]) -> dict[int, PayloadFields]:
        """Return what references refer to, decoded. Equal ones are fetched and decoded once."""
        results: dict[int, PayloadFields] = {}
        limits = self.access.settings.limits

        async def follow(one: tuple[Found, list[int]]) -> None:
            found, indexes = one
            size, outcome = 0, "interrupted"
            # The reference says how large its payload is, but it comes from whoever sent it.
            largest = found.driver.max_payload_size * FETCHING_COPIES
            largest += int(limits.decompressed_size) * DECODING_COPIES
            try:
                async with self.allowance.work(largest) as reservation:
                    stored = await fetch(self.allowance, found)
                    size = stored.size
                    result = self._respond(await self._decode(stored.payload), times=len(indexes))
                    reservation.keep(result.size)
                results.update(dict.fromkeys(indexes, result))
                outcome = "served"
            except Exception as error:  # noqa: BLE001  # a driver or codec may raise anything
                for index in indexes:
                    outcome = self._fail(index, error).code
            finally:
                self.access.reads.append(Read(found.driver.name(), found.sha256, size, outcome))

        wanted = list(self._find(references).values())
        await gather_bounded(follow, wanted, limit=limits.concurrent_reads)
        return results

    def _find(self, references: Mapping[int, Payload]) -> dict[ClaimKey, tuple[Found, list[int]]]:
        """Return what the references refer to, and which of the payloads do."""
        wanted: dict[ClaimKey, tuple[Found, list[int]]] = {}
        for index, reference in sorted(references.items()):
            try:
                found = find(self.access, reference)
            except Exception as error:  # noqa: BLE001  # a plugin's confinement may raise anything
                self.access.reads.append(Read("", "", 0, self._fail(index, error).code))
            else:
                wanted.setdefault(found.key, (found, []))[1].append(index)
        return wanted

    async def _decode(self, payload: Payload) -> Payload:
        limit = int(self.access.settings.limits.decompressed_size)
        try:
            [decoded] = await self.access.codec.decode([payload])
        except PayloadTooLargeError as error:
            raise _too_large(limit) from error
        except (PayloadNotDecodedError, KeyNotForNamespaceError, KeyUnavailableError) as error:
            raise _naming_the_key(explain(error), payload) from error
        if decoded is not payload and len(decoded.data) > limit:
            raise _too_large(limit)
        return decoded

    def _respond(self, payload: Payload, *, times: int = 1) -> PayloadFields:
        fields = PayloadFields.of(payload)
        self.allowance.respond_with(fields.size * times)
        return fields

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


def _seems_an_encoded_reference(payload: Payload) -> bool:
    # Anybody can set the marker. What no codec has encoded is a payload like any other.
    return is_encoded_reference(payload) and payload.metadata.get("encoding") not in NOT_ENCODED


def _mark_as_reference(payload: Payload, before: Payload) -> None:
    payload.metadata[MARKER] = b"true"
    if not payload.external_payloads:
        payload.external_payloads.extend(before.external_payloads)


def _is_any_reference(payload: Payload) -> bool:
    return is_reference(payload) or is_encoded_reference(payload)


def _naming_the_key(failure: RequestError, payload: Payload) -> RequestError:
    """Return the same error with the key that the payload itself names, if it does."""
    key_id = payload.metadata.get(KEY_ID, b"")[:LONGEST_KEY_ID_TOLD].decode(errors="replace")
    if not key_id:
        return failure
    message = (
        f"{failure.message} (it was encrypted with the key {key_id!r}); the server's log says what to do"
    )
    return RequestError(failure.status, failure.code, message, failure.headers, detail=failure.detail)


def _not_encrypted(error: PayloadNotEncryptedError) -> RequestError:
    return RequestError(
        422,
        Code.PAYLOAD_NOT_ENCRYPTED,
        "a payload is not encrypted, as far as the server can tell, and does not leave like that",
        detail=error.message,
    )


def _too_large(limit: int) -> RequestError:
    return limit_exceeded("decompressed_size", f"it expands to more than {limit} bytes")
