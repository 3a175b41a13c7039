"""Tokens of an identity provider, checked with the public keys that it publishes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt

from temporal_payloads.codec_server._errors import Code, RequestError, cause_of, unauthenticated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads._settings.codec_server import ClaimRule, JwtSettings

logger = logging.getLogger("temporal_payloads.codec_server")

FETCH_TIMEOUT = aiohttp.ClientTimeout(total=10)
UNKNOWN_KEY_PAUSE = 30.0
"""Seconds between two readings of the keys that were caused by unknown key ids, which anyone can invent."""


class KeySet:
    """The provider's public keys, read when they are first needed, again when old, or when a key is new.

    Should reading them fail later on, the keys from before go on being used.

    Args:
        source: An `https://` address, or a file.
        lifetime: Seconds after which they are read again.
    """

    def __init__(self, source: str | Path, lifetime: float) -> None:
        self._source = source
        self._lifetime = lifetime
        self._keys: jwt.PyJWKSet | None = None
        self._read_at = self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key of this id, or the only key if the token names none."""
        if time.monotonic() - self._read_at > self._lifetime:
            await self._read(since=self._read_at)
        key = self._find(key_id)
        if key is None and time.monotonic() - self._asked_at > UNKNOWN_KEY_PAUSE:
            self._asked_at = time.monotonic()
            await self._read(since=self._read_at)
            key = self._find(key_id)
        return key

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        assert self._keys is not None  # read, or `_read` had raised
        keys = [key for key in self._keys.keys if key.public_key_use in ("sig", None)]
        if key_id is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == key_id), None)

    async def _read(self, since: float) -> None:
        async with self._lock:
            if self._read_at != since:
                return  # somebody else has just done it
            try:
                self._keys = jwt.PyJWKSet.from_dict(json.loads(await self._load()))
            except (
                OSError,
                ValueError,
                TypeError,
                AttributeError,
                aiohttp.ClientError,
                jwt.PyJWTError,
            ) as error:
                logger.warning("Cannot read the keys from %s: %s", self._source, cause_of(error))
                if self._keys is None:
                    raise RequestError(
                        503,
                        Code.KEYS_UNAVAILABLE,
                        "tokens cannot be checked: the identity provider's keys cannot be read; the server's "
                        "log says why",
                    ) from error
            self._read_at = time.monotonic()

    async def _load(self) -> bytes:
        if isinstance(self._source, Path):
            return await asyncio.to_thread(self._source.read_bytes)
        # Made for the occasion: it is needed every ten minutes.
        async with (
            aiohttp.ClientSession(timeout=FETCH_TIMEOUT, trust_env=True) as session,
            session.get(self._source, allow_redirects=False) as response,
        ):
            if response.status != 200:  # noqa: PLR2004  # OK
                raise ValueError(f"its status is {response.status}")
            return await response.read()


class JwtVerifier:
    """Checks tokens: signature, algorithm, issuer, audience and expiry."""

    def __init__(self, settings: JwtSettings) -> None:
        source = settings.jwks_file or settings.jwks_url
        assert source is not None  # the model has one of the two
        self._settings = settings
        self._keys = KeySet(source, settings.cache.total_seconds())

    @property
    def rules(self) -> Sequence[ClaimRule]:
        """What claims open."""
        return self._settings.rules

    async def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token.

        Raises:
            RequestError: The token is not accepted, or cannot be checked.
        """
        try:
            header = jwt.get_unverified_header(token)
            # Before the keys are asked for: what is refused anyway must not cause a request.
            if header.get("alg") not in self._settings.algorithms:
                raise jwt.InvalidAlgorithmError(
                    f"it must be signed with {' or '.join(self._settings.algorithms)}"
                )
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise jwt.InvalidKeyError("the identity provider has no such key")
            return jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=list(self._settings.audience),
                issuer=list(self._settings.issuer),
                leeway=self._settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            logger.info("A token was refused: %s", cause_of(error))
            raise unauthenticated(f"the token is not accepted: {_reason(error)}") from error


_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidIssuerError: "it is of another issuer than codec_server.auth.jwt.issuer",
    jwt.InvalidAudienceError: "it is for another audience than codec_server.auth.jwt.audience",
    jwt.InvalidSignatureError: "its signature is wrong",
}


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it lacks the claim {error.claim!r}"
    if isinstance(error, jwt.InvalidAlgorithmError | jwt.InvalidKeyError):
        return str(error)
    return _REASONS.get(type(error), "it is no valid JSON Web Token")
