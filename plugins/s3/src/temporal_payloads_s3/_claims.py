"""Which bucket a payload belongs in, and which claims lie inside what a driver is configured for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from temporal_payloads.plugin import ClaimRejectedError, ConfinedClaim
from temporalio.converter import StorageDriverClaim

from temporal_payloads_s3._settings import is_bucket_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads_s3._settings import S3Settings

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_KEY_LENGTH = 1024
"""S3's own limit. Where a key with workflow or activity would be longer, the SDK leaves them out."""
_KINDS = {("wt", "wi"), ("at", "ai")}
"""What stands before the type and the id of a workflow, or of an activity."""
_QUOTED = 200
"""Characters of a claim that an error quotes."""


def bucket_for(settings: S3Settings, namespace: str | None) -> str:
    """Return the bucket of payloads of this Temporal namespace; None or empty if they have none.

    Raises:
        ValueError: There is no such bucket; the message says why.
    """
    if namespace in {".", ".."}:
        raise ValueError(
            f"namespace {namespace!r} in a key is what servers and proxies resolve to another key"
        )
    if "{namespace}" not in settings.bucket:
        return settings.bucket
    if not namespace:
        raise ValueError(f"bucket {settings.bucket!r} needs a namespace, and the payload has none")
    bucket = settings.bucket.replace("{namespace}", namespace)
    if not is_bucket_name(bucket):
        raise ValueError(f"bucket {settings.bucket!r} with namespace {namespace!r} is not a bucket's name")
    return bucket


def confine(settings: S3Settings, claim: StorageDriverClaim) -> ConfinedClaim:
    """Return the claim in its canonical spelling if the SDK's driver could have made it with these settings.

    A namespace of `null` is returned as such: the SDK writes it for an empty namespace too, but a namespace
    may also have that name, and its payloads are not for everybody.

    Raises:
        ClaimRejectedError: The driver could not have made it.
    """
    try:
        return _confine(settings, claim.claim_data)
    except ValueError as error:
        raise ClaimRejectedError(f"S3 claim rejected: {error}") from error


def _confine(settings: S3Settings, data: Mapping[str, str]) -> ConfinedClaim:
    bucket, key = data.get("bucket", ""), data.get("key", "")
    # The TypeScript SDK wrote the second spelling up to 1.21.1; the histories live on.
    algorithm = _one_of(data, "hash_algorithm", "hashAlgorithm")
    sha256 = _one_of(data, "hash_value", "hashValue")
    if algorithm != "sha256":
        raise ValueError("its hash_algorithm is not sha256")
    namespace, key_sha256 = _read_key(key)
    if sha256 != key_sha256:
        raise ValueError("its hash_value is not the hash in its key")
    expected = bucket_for(settings, namespace)
    if bucket != expected:
        raise ValueError(f"it points into bucket {bucket[:_QUOTED]!r}, and this driver is for {expected!r}")
    canonical = {"bucket": bucket, "key": key, "hash_algorithm": "sha256", "hash_value": sha256}
    return ConfinedClaim(claim=StorageDriverClaim(claim_data=canonical), sha256=sha256, namespace=namespace)


def _read_key(key: str) -> tuple[str | None, str]:
    """Return the namespace and the hash that a key names; raise ValueError if it is not the SDK's.

    The layout is that of `temporalio.contrib.aws.s3driver`, which is that of the other SDKs.
    """
    if len(key) > _MAX_KEY_LENGTH:
        raise ValueError(f"its key has {len(key)} characters, and S3 takes no more than {_MAX_KEY_LENGTH}")
    match key.split("/"):
        case ["v0", "d", "sha256", sha256]:
            names = []
        case ["v0", "ns", ns, "d", "sha256", sha256]:
            names = [ns]
        case ["v0", "ns", ns, t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
            names = [ns, type_, id_, run]
        case _:
            names, sha256 = [], ""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"key {key[:_QUOTED]!r} is not laid out as payload keys are")
    # A workflow id of `..` is as good as any: whoever resolves it stays below the namespace, where the same
    # hash stands for the same payload.
    decoded = [_decode(name) for name in names]
    return (decoded[0] if decoded else None), sha256


def _one_of(data: Mapping[str, str], *spellings: str) -> str:
    found = {data[name] for name in spellings if name in data}
    if len(found) != 1:
        raise ValueError(f"it needs {spellings[0]}, once")
    return found.pop()


def _decode(segment: str) -> str:
    """Undo the SDK's percent-encoding; raise ValueError if the SDK encodes this text otherwise."""
    text = unquote(segment, errors="strict")
    if not text or quote(text, safe="!*'()").replace("~", "%7E") != segment:
        raise ValueError(f"segment {segment[:_QUOTED]!r} of its key is not percent-encoded as by the SDK")
    return text
