"""The `[codec_server]` section; apart from the server, so that settings load without its extra."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from temporal_payloads._settings.duration import Duration, PositiveDuration
from temporal_payloads._settings.models import Patterns, Words

Operation = Literal["encode", "decode", "download"]
"""What a client may ask of a codec server."""
OPERATIONS: tuple[Operation, ...] = ("encode", "decode", "download")
READING: tuple[Operation, ...] = ("decode", "download")
SIGNATURE_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"),
    "EdDSA",
)
"""Those that are checked with a public key. With a shared key, whoever checks a token could also make one."""
MIN_TOKEN_LENGTH = 16

_MIB = 1024 * 1024


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server on this address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(origin: str) -> str:
    # A browser sends exactly scheme://host[:port]; anything else in the list would never match.
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or origin != origin.lower():
        raise ValueError(
            "must be exact origins as a browser sends them, scheme://host[:port] in lower case; '*' is none"
        )
    if origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError("must end after host and port: an origin has no path, not even a slash at its end")
    return origin


def _host_name(name: str) -> str:
    if not name or name != name.lower() or any(c in "/:@[]?#*" or not c.isprintable() for c in name):
        raise ValueError(
            "must be bare host names in lower case, such as codec.example.com: no scheme, port or path"
        )
    return name


def _path_prefix(path: str) -> str:
    # Compared with paths that are cut by their slashes.
    if any(c in "?#%{}" or not c.isprintable() for c in path):
        raise ValueError("must be a plain path such as /codec; the namespace after it is not part of it")
    return path.strip("/")


def _algorithm(name: str) -> str:
    if name not in SIGNATURE_ALGORITHMS:
        raise ValueError(f"must be signature algorithms with a public key: {', '.join(SIGNATURE_ALGORITHMS)}")
    return name


def _jwks_url(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("must hold no user name or password: the keys are public ones")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return url
    raise ValueError("must begin with https:// (http:// is for a loopback address only)")


Operations = Annotated[
    tuple[Operation, ...],
    BeforeValidator(lambda v: [w.strip() for w in v.split(",")] if isinstance(v, str) else v),
]
PositiveSize = Annotated[ByteSize, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TokenSettings(_Table):
    """`[codec_server.auth.tokens.NAME]`: a secret that callers share, and what it opens.

    The access log calls whoever uses it by the table's name.
    """

    token: SecretStr | None = Field(
        None, description="The secret itself. Better in a variable, or in a file of its own."
    )
    token_file: Path | None = Field(
        None, description="File that holds the secret, read at start; white space around it does not count."
    )
    namespaces: Patterns = Field(("*",), description="Patterns of namespaces that the token opens.")
    operations: Operations = Field(
        READING, description="What it allows there: of `encode`, `decode`, `download`."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("needs one of token and token_file")
        if self.token is not None and len(self.token.get_secret_value()) < MIN_TOKEN_LENGTH:
            raise ValueError(f"its token must have at least {MIN_TOKEN_LENGTH} characters")
        return self


class ClaimRule(_Table):
    """One `[[codec_server.auth.jwt.rules]]` entry: what a claim of the token opens."""

    claim: str = Field(
        min_length=1,
        description="Name of the claim, or a dotted path into it (`realm_access.roles`). It holds a string, "
        "several separated by spaces, or a list.",
    )
    value: str = Field(
        min_length=1,
        description="What the claim must hold, exactly; `{namespace}` stands for the namespace asked for.",
    )
    namespaces: Patterns = Field(("*",), description="Patterns of namespaces that the rule is about.")
    operations: Operations = Field(
        READING, description="What it allows there: of `encode`, `decode`, `download`."
    )


TEMPORAL_PERMISSIONS = (
    ClaimRule(claim="permissions", value="{namespace}:read", operations=READING),
    ClaimRule(claim="permissions", value="{namespace}:write", operations=OPERATIONS),
    ClaimRule(claim="permissions", value="{namespace}:worker", operations=OPERATIONS),
    ClaimRule(claim="permissions", value="{namespace}:admin", operations=OPERATIONS),
)
"""The form that Temporal's default claim mapper reads: `permissions: ["orders:read", ...]`."""


class JwtSettings(_Table):
    """`[codec_server.auth.jwt]`: tokens signed by an identity provider."""

    jwks_url: Annotated[str, AfterValidator(_jwks_url)] | None = Field(
        None, description="Where the provider publishes its public keys."
    )
    jwks_file: Path | None = Field(None, description="File with the public keys, instead of the URL.")
    issuer: Words = Field(min_length=1, description="The `iss` values that are accepted.")
    audience: Words = Field(
        min_length=1, description="The `aud` values that are accepted; a token needs one of them."
    )
    algorithms: Annotated[
        tuple[Annotated[str, AfterValidator(_algorithm)], ...],
        Field(min_length=1),
        BeforeValidator(lambda v: [w.strip() for w in v.split(",")] if isinstance(v, str) else v),
    ] = Field(("RS256", "ES256"), description="Signature algorithms that are accepted.")
    leeway: Duration = Field(timedelta(seconds=30), description="How far clocks may differ.")
    cache: PositiveDuration = Field(
        timedelta(minutes=10),
        description="After how long the keys are read again. An unknown key id makes that happen at once.",
    )
    rules: tuple[ClaimRule, ...] = Field(
        TEMPORAL_PERMISSIONS,
        min_length=1,
        description="What claims open. By default `permissions` as Temporal's own server reads them: "
        "`NAMESPACE:read` decodes and downloads; `write`, `worker` and `admin` also encode.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("needs one of jwks_url and jwks_file")
        return self


class AuthSettings(_Table):
    """`[codec_server.auth]`: who may ask. Without any table in it, whoever reaches the server may."""

    tokens: dict[str, TokenSettings] = Field(
        default_factory=dict, description="Shared secrets, for `temporal --codec-auth 'Bearer ...'`."
    )
    jwt: JwtSettings | None = Field(
        None, description="Tokens of an identity provider, as the Web UI passes them on."
    )


class TlsSettings(_Table):
    """`[codec_server.tls]`: serve HTTPS."""

    cert_file: Path = Field(description="PEM file with the certificate and what leads to its authority.")
    key_file: Path = Field(description="PEM file with its private key, not encrypted.")


class LimitSettings(_Table):
    """`[codec_server.limits]`: each is named in the error of a request that exceeds it."""

    request_size: PositiveSize = Field(ByteSize(16 * _MIB), description="Bytes of a request's body.")
    payloads: int = Field(1000, ge=1, description="Payloads in a request.")
    response_size: PositiveSize = Field(
        ByteSize(32 * _MIB),
        description="Serialized bytes of all payloads in a response; as JSON they take a third more.",
    )
    decompressed_size: PositiveSize = Field(
        ByteSize(32 * _MIB),
        description="Serialized bytes of one payload after the codecs decoded it. While it is being decoded, "
        "the codec's own limit holds.",
    )
    concurrent_reads: int = Field(
        32, ge=1, description="Storage reads at once, of all requests; more wait their turn."
    )
    memory: PositiveSize = Field(
        ByteSize(192 * _MIB),
        description="Bytes of bodies and payloads that all requests hold at once, with what payloads may "
        "still expand to; more requests wait. The one that came first goes on beyond it, one payload at a "
        "time.",
    )
    request_time: PositiveDuration = Field(
        timedelta(seconds=60),
        description="Time of a request, from the end of its headers to its answer's last byte.",
    )
    client_time: PositiveDuration = Field(
        timedelta(seconds=10),
        description="How long a client may keep the server waiting: for all of a request's headers, for the "
        "next bytes of its body, for taking the next bytes of the response.",
    )
    connections: int = Field(
        128,
        ge=1,
        description="Connections at once. One more takes the place of the one that has been idle longest. "
        "The system's limit of open files may make it less.",
    )


class CodecServerSettings(_Table):
    """What `temporal-payloads codec-server` serves, where, and to whom."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8081, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_unauthenticated: bool = Field(
        False,
        description="Listen beyond loopback though `[codec_server.auth]` is empty; for a server behind "
        "something that authenticates.",
    )
    allowed_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...],
        BeforeValidator(lambda v: [w.strip() for w in v.split(",")] if isinstance(v, str) else v),
    ] = Field(
        ("http://localhost:8233", "http://127.0.0.1:8233"),
        description="Origins (scheme, host, port) of the Web UIs that may call the server.",
    )
    allowed_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host_name)], ...],
        BeforeValidator(lambda v: [w.strip() for w in v.split(",")] if isinstance(v, str) else v),
    ] = Field(
        (),
        description="Names under which people open the server's page, besides `host` and loopback: those "
        "of a proxy, for example.",
    )
    path_prefix: Annotated[str, AfterValidator(_path_prefix)] | None = Field(
        None,
        description="What stands in every path before the namespace and the operation, such as `/codec`. If "
        "set, even empty, no other path is served. By default anything may, if what stands right before the "
        "operation is the namespace.",
    )
    allow_credentials: bool = Field(
        False, description="Let browsers send cookies; for the Web UI's 'include cross-origin credentials'."
    )
    preflight_max_age: Duration = Field(
        timedelta(minutes=10), description="How long a browser may remember what it is allowed to send."
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict,
        description="Which profile serves a namespace, as namespace = profile; an empty profile is the "
        "settings that the server itself runs with.",
    )
    serve_unlisted: bool | None = Field(
        None,
        description="Whether namespaces that are not listed are served, with the settings that the server "
        "itself runs with. By default only if none is listed.",
    )
    also_reads: dict[str, Words] = Field(
        default_factory=dict,
        description="Stored payloads of other namespaces that are served as well, as "
        "namespace = [other namespaces].",
    )
    keys_without_namespace: bool = Field(
        False, description="Serve stored payloads whose key names no namespace, to every namespace."
    )
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings | None = None
    limits: LimitSettings = LimitSettings()
