"""The public keys of an identity provider: which may be used, and when they are read."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt

from temporal_payloads.codec_server._errors import Code, RequestError, cause_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger("temporal_payloads.codec_server")

MAX_DOCUMENT_SIZE = 1024 * 1024
"""Bytes; a provider with many keys has some ten thousand."""
MAX_READ_TIME = 10.0
"""Seconds that reading the keys may take."""
UNKNOWN_KEY_PAUSE = 30.0
"""Seconds between two readings of the keys that were caused by unknown key ids, which anyone can invent."""
FAILURE_PAUSE = 10.0
"""Seconds after a reading that failed in which nobody tries again."""
PATIENCE = 1.0
"""Seconds that a request waits for new keys where old ones are there to go on with."""

# Type and curves of the key that an algorithm takes (RFC 7518, 3.1; RFC 8037, 3.1).
_KEY_TYPES: dict[str, tuple[str, frozenset[str]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", frozenset())),
    "ES256": ("EC", frozenset({"P-256"})),
    "ES384": ("EC", frozenset({"P-384"})),
    "ES512": ("EC", frozenset({"P-521"})),
    "EdDSA": ("OKP", frozenset({"Ed25519", "Ed448"})),
}


def suits(entry: Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether a key of a key set is there to check signatures of this algorithm."""
    key_type, curves = _KEY_TYPES[algorithm]
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") == key_type
        and (not curves or entry.get("crv") in curves)
        and entry.get("alg") in (None, algorithm)
        and entry.get("use") in (None, "sig")
        and isinstance(operations, list)
        and "verify" in operations
        # A private key that is published vouches for nobody.
        and "d" not in entry
    )


def read_keys(document: bytes, algorithms: Sequence[str]) -> list[jwt.PyJWK]:
    """Return the keys of a key set, each once for each algorithm whose signatures it may check.

    What is of no use does not spoil the rest: a provider publishes keys for other purposes as well.

    Raises:
        ValueError: There is no such key, or the document is no key set.
    """
    content = json.loads(document)
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no JSON Web Key Set")
    keys = []
    for entry in entries:
        for algorithm in algorithms:
            if isinstance(entry, dict) and suits(entry, algorithm):
                try:
                    keys.append(_read_key(entry, algorithm))
                except (jwt.PyJWTError, ValueError, TypeError) as error:
                    key_id = str(entry.get("kid"))[:80]
                    logger.warning("The identity provider's key %r is not used: %s", key_id, cause_of(error))
    if not keys:
        raise ValueError(f"it has no key that checks {' or '.join(algorithms)}")
    return keys


def _read_key(entry: dict[str, Any], algorithm: str) -> jwt.PyJWK:
    key = jwt.PyJWK(entry, algorithm)
    too_short = key.Algorithm.check_key_length(key.key)
    if too_short:
        raise ValueError(too_short)
    return key


class KeySet:
    """The keys, read when they are first needed, again when old, or when a key is new.

    They are read by one task for all who wait. Should it fail, the keys from before go on being used.

    Args:
        source: An `https://` address, or a file.
        algorithms: The signature algorithms that are accepted.
        lifetime: Seconds after which they are read again.
        timeout: Seconds that reading them may take.
    """

    def __init__(
        self, source: str | Path, algorithms: Sequence[str], *, lifetime: float, timeout: float
    ) -> None:
        self._source = source
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._timeout = timeout
        self._keys: list[jwt.PyJWK] = []
        self._read_at = self._failed_at = self._asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key of this id for this algorithm, or the only one if the token names none.

        Raises:
            RequestError: No keys could be read so far.
        """
        start = time.monotonic()
        if not self._keys:
            await self._read()
        elif start - self._read_at > self._lifetime:
            # While the provider is known to be silent, nobody waits for it.
            await self._read(PATIENCE if self._failed_at < self._read_at else 0)
        if not self._keys:
            raise RequestError(
                503,
                Code.KEYS_UNAVAILABLE,
                "tokens cannot be checked: the identity provider's keys cannot be read; the server's log "
                "says why",
            )
        key = self._find(key_id, algorithm)
        if key is None and self._read_at < start and start - self._asked_at > UNKNOWN_KEY_PAUSE:
            self._asked_at = start
            await self._read()
            key = self._find(key_id, algorithm)
        return key

    def _find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        keys = [key for key in self._keys if key.algorithm_name == algorithm]
        if key_id is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == key_id), None)

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self, patience: float | None = None) -> None:
        """Wait for the keys to be read, no longer than this; whether they were, the caller sees."""
        if self._reading is None:
            if time.monotonic() - self._failed_at < FAILURE_PAUSE:
                return
            self._reading = asyncio.create_task(self._read_once())
        await asyncio.wait([self._reading], timeout=patience)

    async def _read_once(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                self._keys = read_keys(await self._load(), self._algorithms)
            self._read_at = time.monotonic()
        except Exception as error:  # noqa: BLE001  # whatever a provider answers is the provider's fault
            self._failed_at = time.monotonic()
            reason = cause_of(error) if str(error) else f"no answer within {self._timeout:g}s"
            logger.warning("Cannot read the keys from %s: %s", self._source, reason)
        finally:
            self._reading = None

    async def _load(self) -> bytes:
        if isinstance(self._source, Path):
            return await asyncio.to_thread(_read_file, self._source)
        # Made for the occasion: it is needed every ten minutes.
        async with (
            aiohttp.ClientSession(trust_env=True) as session,
            session.get(self._source, allow_redirects=False) as response,
        ):
            if response.status != 200:  # noqa: PLR2004  # OK
                raise ValueError(f"its status is {response.status}")
            document = bytearray()
            async for chunk in response.content.iter_any():
                document += chunk
                _require_size(len(document))
            return bytes(document)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        document = file.read(MAX_DOCUMENT_SIZE + 1)
    _require_size(len(document))
    return document


def _require_size(size: int) -> None:
    if size > MAX_DOCUMENT_SIZE:
        raise ValueError(f"it is over {MAX_DOCUMENT_SIZE} bytes")
