"""The key of a payload: how it is written, and how it is read from an untrusted claim.

The layout is that of the published Redis sample, so that its drivers and ours find each other's payloads:
`{prefix}:v0[:ns:{namespace}]:wt:{type}:wi:{id}:ri:{run id}:d:sha256:{hex}` for a workflow, `at`/`ai` instead
of `wt`/`wi` for an activity, and `{prefix}:v0:d:sha256:{hex}` where neither is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from temporalio.converter import StorageDriverWorkflowInfo

if TYPE_CHECKING:
    from temporalio.converter import StorageDriverActivityInfo

DEFAULT_KEY_PREFIX = "temporalio:payloads"

_PART = r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+"
_LAYOUT = re.compile(
    r"v0(?:"
    rf"(?::ns:(?P<namespace>{_PART}))?"
    rf":(?:wt:(?P<workflow_type>{_PART}):wi|at:(?P<activity_type>{_PART}):ai):(?P<id>{_PART})"
    rf":ri:(?P<run_id>{_PART})"
    r")?:d:sha256:(?P<sha256>[0-9a-f]{64})"
)


@dataclass(frozen=True, kw_only=True)
class ParsedKey:
    """What a key says about its payload."""

    namespace: str | None
    sha256: str


def full_prefix(key_prefix: str) -> str:
    """Return what all keys begin with; as in the sample, colons at the end of the prefix don't count."""
    stripped = key_prefix.rstrip(":")
    return f"{stripped}:" if stripped else ""


def write_key(
    prefix: str, target: StorageDriverWorkflowInfo | StorageDriverActivityInfo | None, sha256: str
) -> str:
    """Return the key of the payload with this hash, stored for this workflow or activity."""
    if target is None:
        return f"{prefix}v0:d:sha256:{sha256}"
    kind = "w" if isinstance(target, StorageDriverWorkflowInfo) else "a"
    namespace = f":ns:{_quote(target.namespace)}" if target.namespace else ""
    return (
        f"{prefix}v0{namespace}:{kind}t:{_quote(target.type)}:{kind}i:{_quote(target.id)}"
        f":ri:{_quote(target.run_id)}:d:sha256:{sha256}"
    )


def read_key(prefix: str, key: str) -> ParsedKey | None:
    """Return what a key says, or None if `write_key` with this prefix can't have written it."""
    match = _LAYOUT.fullmatch(key[len(prefix) :]) if key.startswith(prefix) else None
    if match is None:
        return None
    # One spelling only: `%41` for `A`, or bytes that are no text, would be a second key for the same thing.
    if "%" in key and any(part and _quote(unquote(part)) != part for part in match.groups()):
        return None
    namespace = match["namespace"]
    return ParsedKey(namespace=None if namespace is None else unquote(namespace), sha256=match["sha256"])


# The payloads of one call, and of one worker, are mostly of the same few workflows.
@lru_cache(maxsize=4096)
def _quote(part: str | None) -> str:
    return quote(part, safe="") if part else "null"
