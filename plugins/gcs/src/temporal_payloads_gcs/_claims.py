"""Which bucket a payload belongs in, and which claims lie inside what a driver is configured for."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from temporal_payloads.plugin import BucketClaims, ParsedKey, bucket_of_namespace

from temporal_payloads_gcs._settings import is_bucket_name

if TYPE_CHECKING:
    from temporal_payloads.plugin import ConfinedClaim
    from temporalio.converter import StorageDriverClaim

    from temporal_payloads_gcs._settings import GCSSettings

_MAX_NAME_BYTES = 1024
"""Of an object's name as UTF-8: Google's limit, and the SDK's."""
_ESCAPED = re.compile(r'[\x00-\x1f\x7f-\x9f#\[\]*?:"<>|/%]')
"""What the SDKs escape in a name, unlike in S3's keys: what Google advises against. Letters of any alphabet
stand for themselves, which is why this is no `KeyLayout`."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = {("wt", "wi"), ("at", "ai")}


def bucket_for(settings: GCSSettings, namespace: str | None) -> str:
    """Return the bucket of payloads of this Temporal namespace; None or empty if they have none.

    Raises:
        ValueError: There is no such bucket; the message says why.
    """
    return bucket_of_namespace(settings.bucket, namespace, is_bucket_name)


def confine(settings: GCSSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    """Return the claim if the SDK's driver could have made it with these settings; see `BucketClaims`."""
    return _CLAIMS.confine(claim, partial(bucket_for, settings))


def _read_name(name: str) -> ParsedKey | None:
    if len(name) > _MAX_NAME_BYTES or len(name.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"its object_name is longer than {_MAX_NAME_BYTES} bytes, the most that GCS takes")
    ns: str | None = None
    names: list[str] = []
    match name.split("/"):
        case ["v0", "d", "sha256", sha256]:
            pass
        case ["v0", "ns", ns, "d", "sha256", sha256]:
            names = [ns]
        case ["v0", "ns", ns, t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
            names = [ns, type_, id_, run]
        case _:
            sha256 = ""
    if not _SHA256.fullmatch(sha256) or not all(map(_is_escaped, names)):
        return None
    return ParsedKey(namespace=None if ns is None else unquote(ns), sha256=sha256)


def _is_escaped(part: str) -> bool:
    """Tell whether the SDK writes some name like this. One spelling only: `%41` for `A` would be a second."""
    name = unquote(part, errors="surrogateescape")
    escaped = _ESCAPED.sub(lambda found: quote(found[0], safe=""), name)
    return bool(part) and part == (escaped.replace(".", "%2E") if escaped in {".", ".."} else escaped)


# The Go SDK began with `key` and writes both since; the TypeScript SDK began with the last one.
_CLAIMS = BucketClaims(store="GCS", name_fields=("object_name", "key", "object"), read_name=_read_name)
