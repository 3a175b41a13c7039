"""Which bucket a payload belongs in, and which claims lie inside what a driver is configured for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from temporal_payloads.plugin import BucketClaims, KeyLayout, bucket_of_namespace
from temporalio.converter import StorageDriverClaim, StorageDriverWorkflowInfo

from temporal_payloads_s3._settings import is_bucket_name

if TYPE_CHECKING:
    from temporal_payloads.plugin import ConfinedClaim, ParsedKey

    from temporal_payloads_s3._settings import S3Settings

_LAYOUT = KeyLayout(max_length=1024, escape_final_dots=False)
"""That of `temporalio.contrib.aws.s3driver`, which is that of the other SDKs. The length is S3's own limit. A
workflow id of `..` is as good as any: whoever resolves it stays below the namespace, where the same hash
stands for the same payload."""


def bucket_for(settings: S3Settings, namespace: str | None) -> str:
    """Return the bucket of payloads of this Temporal namespace; None or empty if they have none.

    Raises:
        ValueError: There is no such bucket; the message says why.
    """
    if namespace in {".", ".."}:
        raise ValueError(
            f"namespace {namespace!r} in a key is what servers and proxies resolve to another key"
        )
    return bucket_of_namespace(settings.bucket, namespace, is_bucket_name)


def confine(settings: S3Settings, claim: StorageDriverClaim) -> ConfinedClaim:
    """Return the claim if the SDK's driver could have made it with these settings; see `BucketClaims`."""
    return _CLAIMS.confine(claim, partial(bucket_for, settings))


def claim_for(settings: S3Settings, namespace: str | None, sha256: str) -> StorageDriverClaim:
    """Return the claim of a payload that the SDK's driver stores for a workflow without type, id and run id.

    Raises:
        ValueError: There is no bucket for it; the message says why.
    """
    # An empty namespace reads `null` in the SDK's keys, as every name that is missing does.
    target = None if namespace is None else StorageDriverWorkflowInfo(namespace=namespace or "null")
    return claim_of(bucket_for(settings, namespace), _LAYOUT.write(target, sha256), sha256)


def claim_of(bucket: str, key: str, sha256: str) -> StorageDriverClaim:
    """Return the claim of an object in its canonical spelling."""
    return StorageDriverClaim(
        claim_data={"bucket": bucket, "key": key, "hash_algorithm": "sha256", "hash_value": sha256}
    )


def prefix_of(namespace: str | None) -> str:
    """Return what the keys of a namespace's payloads begin with; None: of those without a namespace."""
    return "v0/d/sha256/" if namespace is None else f"v0/ns/{_LAYOUT.escape(namespace)}/"


def key_in(settings: S3Settings, bucket: str, key: str) -> ParsedKey | None:
    """Return what a key in a bucket says, or None if no driver with these settings writes it there."""
    try:
        found = _read_key(key)
        return found if found and bucket_for(settings, found.namespace) == bucket else None
    except ValueError:
        return None


def _read_key(key: str) -> ParsedKey | None:
    if len(key) > _LAYOUT.max_key_length:
        raise ValueError(
            f"its key has {len(key)} characters, and S3 takes no more than {_LAYOUT.max_key_length}"
        )
    found = _LAYOUT.read(key)
    # The SDK leaves no namespace out where it names a workflow: it writes `null`.
    if found is not None and found.namespace is None and key != _LAYOUT.write(None, found.sha256):
        return None
    return found


_CLAIMS = BucketClaims(store="S3", name_fields=("key",), read_name=_read_key)
