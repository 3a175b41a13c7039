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

_MAX_NAME_LENGTH = 3 * 1000
"""Characters of a name in a key. Temporal's server takes namespaces, types and ids of up to 1,000 bytes
(`limit.maxIDLength`), and a byte is at most three characters (`%C3`)."""
_MAX_LAYOUT_LENGTH = 4 * _MAX_NAME_LENGTH + len("v0:ns::wt::wi::ri::d:sha256:") + 64
"""Characters of a key after its prefix: namespace, type, id and run id, what stands between, and the hash."""
_REMEMBERED_LENGTH = 256
"""Characters of a name whose quoted form is kept for the next payload."""
_UNQUOTED = re.compile(r"[A-Za-z0-9_.~-]+")
"""A name that is written as it is. Such a pattern takes no memory for what it matches."""
_KINDS = {("wt", "wi"), ("at", "ai")}
"""What stands before the type and the id of a workflow, or of an activity."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


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


def max_key_length(prefix: str) -> int:
    """Return how many characters a key with this prefix can have."""
    return len(prefix) + _MAX_LAYOUT_LENGTH


def read_key(prefix: str, key: str) -> ParsedKey | None:
    """Return what a key says, or None if `write_key` with this prefix can't have written it.

    A key longer than any with names that Temporal's server takes is none either.
    """
    if len(key) > max_key_length(prefix) or not key.startswith(prefix):
        return None
    ns: str | None = None
    match key[len(prefix) :].split(":"):
        case ["v0", "d", "sha256", sha256]:
            names = []
        case ["v0", t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
            names = [type_, id_, run]
        case ["v0", "ns", ns, t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
            names = [ns, type_, id_, run]
        case _:
            return None
    if not _SHA256.fullmatch(sha256) or not all(map(_is_quoted, names)):
        return None
    return ParsedKey(namespace=None if ns is None else unquote(ns), sha256=sha256)


def _quote(name: str | None) -> str:
    """Return a name as it stands in a key."""
    if not name:
        return "null"
    return _quote_often(name) if len(name) <= _REMEMBERED_LENGTH else quote(name, safe="")


# The payloads of one call, and of one worker, are mostly of the same few workflows. Only short names that are
# written are remembered: those of forged claims could fill the memory.
@lru_cache(maxsize=1024)
def _quote_often(name: str) -> str:
    return quote(name, safe="")


def _is_quoted(part: str) -> bool:
    """Tell whether `_quote` writes some name like this."""
    if _UNQUOTED.fullmatch(part):
        return True
    # One spelling only: `%41` for `A`, or bytes that are no text, would be a second key for the same thing.
    return "%" in part and quote(unquote(part), safe="") == part
