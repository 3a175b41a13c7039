"""Who is asking, and what that caller may do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from temporal_payloads._errors import Problem
from temporal_payloads._settings.codec_server import MIN_TOKEN_LENGTH, OPERATIONS
from temporal_payloads.codec_server._errors import unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from temporal_payloads._settings.codec_server import (
        AuthSettings,
        ClaimRule,
        Operation,
        TokenSettings,
    )
    from temporal_payloads.codec_server._jwt import JwtVerifier


@dataclass(frozen=True)
class Grant:
    """What one token or claim opens."""

    namespaces: Sequence[str]
    """Patterns."""
    operations: Sequence[Operation]

    def covers(self, namespace: str, operation: Operation) -> bool:
        """Tell whether this operation is granted in this namespace."""
        return operation in self.operations and any(fnmatchcase(namespace, p) for p in self.namespaces)


@dataclass(frozen=True)
class Caller:
    """Who is asking."""

    name: str
    """For the log."""
    grants: Sequence[Grant | ClaimGrant]

    def may(self, namespace: str, operation: Operation) -> bool:
        """Tell whether the caller may do this."""
        return any(grant.covers(namespace, operation) for grant in self.grants)

    def among(self, namespaces: Iterable[str]) -> list[str]:
        """Return those namespaces in which the caller may do anything at all."""
        return sorted(n for n in namespaces if any(self.may(n, operation) for operation in OPERATIONS))


@dataclass(frozen=True)
class ClaimGrant:
    """What a claim opens, by a rule that may name the namespace itself."""

    rule: ClaimRule
    claims: Mapping[str, Any]

    def covers(self, namespace: str, operation: Operation) -> bool:
        """Tell whether this operation is granted in this namespace."""
        rule = self.rule
        wanted = rule.value.replace("{namespace}", namespace)
        return Grant(rule.namespaces, rule.operations).covers(namespace, operation) and wanted in _values(
            self.claims, rule.claim
        )


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return what a claim holds; its name may have dots in it, or be a path of names."""
    value: Any = claims
    for part in [name] if name in claims else name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


ANYONE = Caller("anonymous", [Grant(("*",), OPERATIONS)])


class Authenticator:
    """Tells callers apart by the `Authorization` header.

    Args:
        tokens: Name, SHA-256 of the secret, and grant of each shared token.
        jwt: What checks the tokens of an identity provider, if there is one.
    """

    def __init__(self, tokens: Sequence[tuple[str, bytes, Grant]], jwt: JwtVerifier | None) -> None:
        self._tokens = tokens
        self._jwt = jwt

    @property
    def required(self) -> bool:
        """Whether callers must say who they are."""
        return bool(self._tokens) or self._jwt is not None

    async def identify(self, authorization: str | None) -> Caller:
        """Return who is asking.

        Raises:
            RequestError: The header is missing, or its token is not accepted.
        """
        if not self.required:
            return ANYONE
        credential = _credential(authorization)
        if not credential:
            raise unauthenticated(
                "the request has no Authorization header; send 'Authorization: Bearer TOKEN'"
            )
        return self._by_token(credential) or await self._by_jwt(credential)

    def _by_token(self, credential: str) -> Caller | None:
        # Digests of equal length are compared, and all of them, so that the time tells nothing.
        digest = sha256(credential.encode()).digest()
        found = None
        for name, expected, grant in self._tokens:
            if hmac.compare_digest(digest, expected):
                found = Caller(f"token:{name}", [grant])
        return found

    async def _by_jwt(self, credential: str) -> Caller:
        if self._jwt is None:
            raise unauthenticated("the token is not one of this server's")
        claims = await self._jwt.verify(credential)
        name = str(claims.get("email") or claims.get("sub") or "unnamed")
        return Caller(name, [ClaimGrant(rule, claims) for rule in self._jwt.rules])


def _credential(authorization: str | None) -> str:
    scheme, _, rest = (authorization or "").strip().partition(" ")
    # The CLI sends what --codec-auth says as it is, which may be just the token.
    return rest.strip() if scheme.lower() == "bearer" else (authorization or "").strip()


def read_tokens(auth: AuthSettings) -> tuple[list[tuple[str, bytes, Grant]], list[Problem]]:
    """Return the shared tokens as `Authenticator` takes them, and what is wrong with their files."""
    tokens = []
    problems = []
    for name, settings in auth.tokens.items():
        try:
            secret = _secret(settings)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            place = f"codec_server.auth.tokens.{name}.token_file"
            problems.append(Problem(f"{settings.token_file} cannot be used: {reason}", place))
        else:
            grant = Grant(settings.namespaces, settings.operations)
            tokens.append((name, sha256(secret.encode()).digest(), grant))
    return tokens, problems


def _secret(settings: TokenSettings) -> str:
    if settings.token is not None:
        return settings.token.get_secret_value()
    assert settings.token_file is not None  # the model has one of the two
    try:
        secret = settings.token_file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    if len(secret) < MIN_TOKEN_LENGTH:
        raise ValueError(f"the token in it must have at least {MIN_TOKEN_LENGTH} characters")
    return secret
