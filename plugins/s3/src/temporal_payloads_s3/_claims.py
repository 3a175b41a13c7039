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

_SEGMENT = r"(?:[A-Za-z0-9!\-_.*'()]|%[0-9A-F]{2})+"
_KEY = re.compile(
    rf"v0(?:/ns/(?P<namespace>{_SEGMENT})"
    rf"(?P<identity>/(?:wt/{_SEGMENT}/wi|at/{_SEGMENT}/ai)/{_SEGMENT}/ri/{_SEGMENT})?)?"
    r"/d/sha256/(?P<sha256>[0-9a-f]{64})"
)
"""The layout of `temporalio.contrib.aws.s3driver`, which is that of the other SDKs."""
_MAX_KEY_LENGTH = 1024
"""Where a key with workflow or activity would be longer, the SDK leaves them out. S3 has the same limit."""


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
    layout = _KEY.fullmatch(key)
    if not layout or (layout["identity"] and len(key) > _MAX_KEY_LENGTH):
        raise ValueError(f"key {key[:200]!r} is not laid out as payload keys are")
    if layout["sha256"] != sha256:
        raise ValueError("its hash_value is not the hash in its key")
    namespace = None if layout["namespace"] is None else _decode(layout["namespace"])
    for segment in (layout["identity"] or "").split("/"):
        # A workflow id of `..` is as good as any: whoever resolves it stays below the namespace, where the
        # same hash stands for the same payload.
        _decode(segment)
    expected = bucket_for(settings, namespace)
    if bucket != expected:
        raise ValueError(f"it points into bucket {bucket[:100]!r}, and this driver is for {expected!r}")
    canonical = {"bucket": bucket, "key": key, "hash_algorithm": "sha256", "hash_value": sha256}
    return ConfinedClaim(claim=StorageDriverClaim(claim_data=canonical), sha256=sha256, namespace=namespace)


def _one_of(data: Mapping[str, str], *spellings: str) -> str:
    found = {data[name] for name in spellings if name in data}
    if len(found) != 1:
        raise ValueError(f"it needs {spellings[0]}, once")
    return found.pop()


def _decode(segment: str) -> str:
    """Undo the SDK's percent-encoding; raise ValueError if the SDK encodes this text otherwise."""
    text = unquote(segment, errors="strict")
    if quote(text, safe="!*'()").replace("~", "%7E") != segment:
        raise ValueError(f"segment {segment[:100]!r} of its key is not percent-encoded as the SDK does it")
    return text
