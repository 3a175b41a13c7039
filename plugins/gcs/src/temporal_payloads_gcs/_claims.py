"""Which bucket a payload belongs in, and which claims lie inside what a driver is configured for."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from temporal_payloads.plugin import BucketClaims, ParsedKey, bucket_of_namespace
from temporalio.converter import StorageDriverClaim

from temporal_payloads_gcs._settings import is_bucket_name

if TYPE_CHECKING:
    from typing import Literal

    from temporal_payloads.plugin import ConfinedClaim

    from temporal_payloads_gcs._settings import GCSSettings

_MAX_NAME_BYTES = 1024
"""Of an object's name as UTF-8: Google's limit, and the SDK's."""
_ESCAPED = re.compile(r'[\x00-\x1f\x7f-\x9f#\[\]*?:"<>|/%]')
"""What the SDKs escape in a name, unlike in S3's keys: what Google advises against. Letters of any alphabet
stand for themselves, which is why this is no `KeyLayout`."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS: dict[tuple[str, str], Literal["workflow", "activity"]] = {
    ("wt", "wi"): "workflow",
    ("at", "ai"): "activity",
}
_NO_NAMES = "wt/null/wi/null/ri/null"
"""What a name says of a workflow without type, id and run id."""


def bucket_for(settings: GCSSettings, namespace: str | None) -> str:
    """Return the bucket of payloads of this Temporal namespace; None or empty if they have none.

    Raises:
        ValueError: There is no such bucket; the message says why.
    """
    return bucket_of_namespace(settings.bucket, namespace, is_bucket_name)


def confine(settings: GCSSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    """Return the claim if the SDK's driver could have made it with these settings; see `BucketClaims`."""
    return _CLAIMS.confine(claim, partial(bucket_for, settings))


def claim_for(settings: GCSSettings, namespace: str | None, sha256: str) -> StorageDriverClaim:
    """Return the claim of a payload that the SDK's driver stores for a workflow without type, id and run id.

    Raises:
        ValueError: There is no bucket for it; the message says why.
    """
    name = (
        f"v0/d/sha256/{sha256}"
        if namespace is None
        else f"{prefix_of(namespace)}{_NO_NAMES}/d/sha256/{sha256}"
    )
    if len(name.encode()) > _MAX_NAME_BYTES:
        name = f"{prefix_of(namespace)}d/sha256/{sha256}"
    return claim_of(bucket_for(settings, namespace), name, sha256)


def claim_of(bucket: str, name: str, sha256: str) -> StorageDriverClaim:
    """Return the claim of an object in its canonical spelling."""
    return StorageDriverClaim(
        claim_data={"bucket": bucket, "object_name": name, "hash_algorithm": "sha256", "hash_value": sha256}
    )


def prefix_of(namespace: str | None) -> str:
    """Return what the names of a namespace's objects begin with; None: of those without a namespace."""
    # An empty namespace reads `null`, as every name that is missing does.
    return "v0/d/sha256/" if namespace is None else f"v0/ns/{_escape(namespace) or 'null'}/"


def key_in(settings: GCSSettings, bucket: str, name: str) -> ParsedKey | None:
    """Return what a name in a bucket says, or None if no driver with these settings writes it there."""
    try:
        found = _read_name(name)
        return found if found and bucket_for(settings, found.namespace) == bucket else None
    except ValueError:
        return None


def _read_name(name: str) -> ParsedKey | None:
    if len(name) > _MAX_NAME_BYTES or len(name.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"its object_name is longer than {_MAX_NAME_BYTES} bytes, the most that GCS takes")
    ns: str | None = None
    kind: Literal["workflow", "activity"] | None = None
    names: list[str] = []
    match name.split("/"):
        case ["v0", "d", "sha256", sha256]:
            pass
        case ["v0", "ns", ns, "d", "sha256", sha256]:
            names = [ns]
        case ["v0", "ns", ns, t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
            kind, names = _KINDS[t, i], [ns, type_, id_, run]
        case _:
            sha256 = ""
    if not _SHA256.fullmatch(sha256) or not all(map(_is_escaped, names)):
        return None
    namespace = None if ns is None else unquote(ns)
    if kind is None:
        return ParsedKey(namespace=namespace, sha256=sha256)
    _, type_, id_, run = map(unquote, names)
    return ParsedKey(namespace=namespace, sha256=sha256, kind=kind, type=type_, id=id_, run_id=run)


def _is_escaped(part: str) -> bool:
    """Tell whether the SDK writes some name like this. One spelling only: `%41` for `A` would be a second."""
    return bool(part) and part == _escape(unquote(part, errors="surrogateescape"))


def _escape(name: str) -> str:
    escaped = _ESCAPED.sub(lambda found: quote(found[0], safe=""), name)
    return escaped.replace(".", "%2E") if escaped in {".", ".."} else escaped


# The Go SDK began with `key` and writes both since; the TypeScript SDK began with the last one.
_CLAIMS = BucketClaims(store="GCS", name_fields=("object_name", "key", "object"), read_name=_read_name)
