"""Tokens of an identity provider, checked with the public keys that it publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from temporal_payloads.codec_server._errors import cause_of, unauthenticated
from temporal_payloads.codec_server._keys import MAX_READ_TIME, KeySet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from temporal_payloads._settings.codec_server import ClaimRule, JwtSettings


class JwtVerifier:
    """Checks tokens: signature, algorithm, issuer, audience and expiry.

    Args:
        settings: What is accepted.
        request_time: What a request may take, of which waiting for the keys is only a part.
    """

    def __init__(self, settings: JwtSettings, request_time: timedelta) -> None:
        source = settings.jwks_file or settings.jwks_url
        assert source is not None  # the model has one of the two
        self._settings = settings
        self._keys = KeySet(
            source,
            settings.algorithms,
            lifetime=settings.cache.total_seconds(),
            # So that a request that waited for nothing else can still say what it had waited for.
            timeout=min(MAX_READ_TIME, request_time.total_seconds() / 2),
        )

    @property
    def rules(self) -> Sequence[ClaimRule]:
        """What claims open."""
        return self._settings.rules

    async def close(self) -> None:
        """Stop what is under way."""
        await self._keys.close()

    async def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token.

        Raises:
            RequestError: The token is not accepted, or cannot be checked.
        """
        try:
            header = jwt.get_unverified_header(token)
        except _UNREADABLE as error:
            raise _refused(error) from error
        # Before the keys are asked for: what is refused anyway must not cause a request.
        algorithm = header.get("alg")
        if algorithm not in self._settings.algorithms:
            accepted = " or ".join(self._settings.algorithms)
            raise unauthenticated(f"the token is not accepted: it must be signed with {accepted}")
        key = await self._keys.find(header.get("kid"), algorithm)
        if key is None:
            raise unauthenticated("the token is not accepted: the identity provider has no such key")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=list(self._settings.audience),
                issuer=list(self._settings.issuer),
                leeway=self._settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except _UNREADABLE as error:
            raise _refused(error) from error


# PyJWT lets pass what nested, infinite or non-ASCII content makes the parsers beneath it raise.
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidSignatureError: "its signature is wrong",
}


def _refused(error: Exception) -> Exception:
    if isinstance(error, jwt.MissingRequiredClaimError):
        reason = f"it lacks the claim {error.claim!r}"
    else:
        reason = _REASONS.get(type(error), "it is no valid JSON Web Token")
    return unauthenticated(f"the token is not accepted: {reason}", detail=cause_of(error))
