"""The key of a payload in a content-addressed store: how it is written, and how an untrusted one is read.

The layout is that of the SDK's drivers and of Temporal's samples, for a workflow
`v0[/ns/{namespace}]/wt/{type}/wi/{id}/ri/{run id}/d/sha256/{hex}`, for an activity the same with `at`/`ai`,
and `v0/d/sha256/{hex}` where neither is known. What is missing reads `null`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, unquote

from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverWorkflowInfo,
)

from temporal_payloads._plugins.contract import ConfinedClaim
from temporal_payloads._storage.claim_bounds import bounded
from temporal_payloads._storage.errors import ClaimRejectedError, StorageMisconfiguredError

Target = StorageDriverWorkflowInfo | StorageDriverActivityInfo | None

_MAX_NAME_LENGTH = 3 * 1000
"""Characters of a name in a key. Temporal's server takes namespaces, types and ids of up to 1,000 bytes
(`limit.maxIDLength`), and a byte is at most three characters (`%C3`)."""
_MAX_LAYOUT_LENGTH = 4 * _MAX_NAME_LENGTH + len("v0:ns::wt::wi::ri::d:sha256:") + 64
"""Characters of a key after its prefix: namespace, type, id and run id, what stands between, and the hash."""
_REMEMBERED_LENGTH = 256
"""Characters of a name whose escaped form is kept for the next payload."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""A name that is written as it is in every layout. Such a pattern takes no memory for what it matches."""
_NEVER_QUOTED = "_.-~"
"""What `urllib.parse.quote` leaves alone, whatever it is told, beside letters and digits."""
_KINDS: Mapping[tuple[str, str], Literal["workflow", "activity"]] = {
    ("wt", "wi"): "workflow",
    ("at", "ai"): "activity",
}
"""What stands before the type and the id of a workflow, or of an activity."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_QUOTED = 200
"""Characters of a claim that an error quotes."""


@dataclass(frozen=True, kw_only=True)
class ParsedKey:
    """What a key says about its payload.

    Example::

        layout = KeyLayout("payloads/")
        key = layout.write(None, "0" * 64)
        assert layout.read(key) == ParsedKey(namespace=None, sha256="0" * 64)
        assert layout.read("elsewhere/" + key) is None
    """

    namespace: str | None
    """The Temporal namespace, or None if the key names none."""
    sha256: str
    """Lower-case hex SHA-256 of the serialized payload."""
    kind: Literal["workflow", "activity"] | None = None
    """For what it was stored; None if the key does not tell."""
    id: str | None = None
    """The workflow's or activity's id, if the key has a place for it; `null` stands for none."""
    run_id: str | None = None
    """Its run id, likewise: a client that starts a workflow does not know it yet."""
    type: str | None = None
    """The workflow's or activity's type, likewise."""


@dataclass(frozen=True)
class KeyLayout:
    """How one driver lays out its keys and claims.

    Names in a key are percent-encoded as UTF-8, each in one spelling only. A claim holds `key`,
    `hash_algorithm` (`sha256`), `hash_value`, and the `fields`.

    Example, of a driver that keeps its payloads in a folder of a bucket::

        layout = KeyLayout(f"{settings.key_prefix}/", fields={"bucket": settings.bucket}, max_length=1024)
    """

    prefix: str = ""
    """What all keys begin with, its separator included."""
    _: KW_ONLY
    separator: str = "/"
    """What stands between the parts of a key, and is always escaped in a name."""
    unescaped: str = "!-_.*'()"
    """What beside letters and digits stands for itself in a name; by default as in the SDK's drivers."""
    escape_final_dots: bool = True
    """Whether dots at the end of a name are escaped. In paths, `.` and `..` mean something else."""
    max_length: int | None = None
    """Characters of the longest key. Where one with type, id and run id would be longer, they are left out,
    as by the SDK's drivers: `v0/ns/{namespace}/d/sha256/{hex}`. None: as long as Temporal's names get."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What each claim says beside its key and hash: where the key is (`bucket`, `container`)."""

    def write(self, target: Target, sha256: str) -> str:
        """Return the key of the payload with this hash, stored for this workflow or activity.

        Raises:
            StorageMisconfiguredError: Even without type and id the key would be longer than `max_length`.
        """
        end = ("d", "sha256", sha256)
        if target is None:
            return self._join("v0", *end)
        kind = "w" if isinstance(target, StorageDriverWorkflowInfo) else "a"
        namespace = ("ns", self.escape(target.namespace)) if target.namespace else ()
        type_, id_, run = (self.escape(name) for name in (target.type, target.id, target.run_id))
        key = self._join("v0", *namespace, f"{kind}t", type_, f"{kind}i", id_, "ri", run, *end)
        if self.max_length is None or len(key) <= self.max_length:
            return key
        key = self._join("v0", *namespace, *end)
        if len(key) > self.max_length:
            raise StorageMisconfiguredError(
                f"The key of a payload of namespace {target.namespace[:_QUOTED]!r} would have {len(key)} "
                f"characters, and the store takes no more than {self.max_length}: give it a shorter name"
            )
        return key

    def read(self, key: str) -> ParsedKey | None:
        """Return what a key says, or None if `write` can't have written it. A key is untrusted input."""
        if len(key) > self.max_key_length or not key.startswith(self.prefix):
            return None
        ns: str | None = None
        kind: Literal["workflow", "activity"] | None = None
        match key[len(self.prefix) :].split(self.separator):
            case ["v0", "d", "sha256", sha256]:
                names = []
            case ["v0", "ns", ns, "d", "sha256", sha256] if self.max_length is not None:
                names = [ns]
            case ["v0", t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
                kind, names = _KINDS[t, i], [type_, id_, run]
            case ["v0", "ns", ns, t, type_, i, id_, "ri", run, "d", "sha256", sha256] if (t, i) in _KINDS:
                kind, names = _KINDS[t, i], [ns, type_, id_, run]
            case _:
                return None
        if not _SHA256.fullmatch(sha256) or not all(map(self._is_escaped, names)):
            return None
        namespace = None if ns is None else unquote(ns)
        if kind is None:
            return ParsedKey(namespace=namespace, sha256=sha256)
        type_, id_, run = map(unquote, names[-3:])
        return ParsedKey(namespace=namespace, sha256=sha256, kind=kind, id=id_, run_id=run, type=type_)

    def prefixes(self, namespaces: Sequence[str | None]) -> list[str]:
        """Return what the keys of these namespaces' payloads begin with (None: of those without one)."""
        return [
            self._join("v0", *begin, "")
            for namespace in dict.fromkeys(namespaces)
            for begin in ([("ns", self.escape(namespace))] if namespace else [("d",), ("wt",), ("at",)])
        ]

    def claim(self, key: str, sha256: str) -> StorageDriverClaim:
        """Return the claim of the payload under this key."""
        return StorageDriverClaim(
            claim_data={**self.fields, "key": key, "hash_algorithm": "sha256", "hash_value": sha256}
        )

    def confine(self, claim: StorageDriverClaim) -> ConfinedClaim:
        """Return the claim if a driver with this layout could have made it; see `DriverPlugin.confine`.

        Raises:
            ClaimRejectedError: It could not.
        """
        data = bounded(claim).claim_data
        key = data.get("key", "")
        for name, expected in self.fields.items():
            if data.get(name) != expected:
                raise ClaimRejectedError(
                    f"The claim is for {name} {data.get(name, '')[:_QUOTED]!r}, and this driver is for "
                    f"{expected!r}"
                )
        found = self.read(key)
        if found is None:
            begins = f"{self.prefix!r}, v0" if self.prefix else "v0"
            raise ClaimRejectedError(
                f"The claim's key {key[:_QUOTED]!r} is none that this driver writes: its keys are {begins} "
                f"and the rest of its key layout, {self.max_key_length} characters at most; this one has "
                f"{len(key)}"
            )
        if data.get("hash_algorithm") != "sha256" or data.get("hash_value") != found.sha256:
            raise ClaimRejectedError(
                f"The claim for key {key[:_QUOTED]!r} must carry hash_algorithm=sha256 and, as hash_value, "
                "the SHA-256 that stands in the key"
            )
        return ConfinedClaim(
            claim=self.claim(key, found.sha256), sha256=found.sha256, namespace=found.namespace
        )

    @property
    def max_key_length(self) -> int:
        """Characters of the longest key that is written or read."""
        return self.max_length or len(self.prefix) + _MAX_LAYOUT_LENGTH

    def escape(self, name: str | None) -> str:
        """Return a name as it stands in a key."""
        if not name:
            return "null"
        escape = _escape_often if len(name) <= _REMEMBERED_LENGTH else _escape
        return escape(name, self.unescaped, self.escape_final_dots)

    def _join(self, *parts: str) -> str:
        return self.prefix + self.separator.join(parts)

    def _is_escaped(self, part: str) -> bool:
        """Tell whether `escape` writes some name like this."""
        if _PLAIN.fullmatch(part):
            return True
        # One spelling only: `%41` for `A`, or bytes that are no text, would be a second key for the same.
        try:
            return bool(part) and _escape(unquote(part), self.unescaped, self.escape_final_dots) == part
        except UnicodeEncodeError:  # a lone surrogate, which JSON can hold and UTF-8 can't
            return False


def _escape(name: str, unescaped: str, escape_final_dots: bool) -> str:
    escaped = quote(name, safe=unescaped)
    for character in _NEVER_QUOTED:
        if character not in unescaped:
            escaped = escaped.replace(character, f"%{ord(character):02X}")
    if escape_final_dots and escaped.endswith("."):
        stripped = escaped.rstrip(".")
        escaped = stripped + "%2E" * (len(escaped) - len(stripped))
    return escaped


# The payloads of one call, and of one worker, are mostly of the same few workflows. Only short names that are
# written are remembered: those of forged claims could fill the memory.
_escape_often = lru_cache(maxsize=1024)(_escape)
