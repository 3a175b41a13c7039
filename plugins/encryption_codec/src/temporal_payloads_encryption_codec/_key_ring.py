"""The keys: which one writes for a namespace, and all that are read, by their ids."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporal_payloads.plugin import KeyDescription, renewed_after_fork

from temporal_payloads_encryption_codec._fingerprint import fingerprint
from temporal_payloads_encryption_codec._key_text import KEY_SIZE
from temporal_payloads_encryption_codec._sealing import SealingKey
from temporal_payloads_encryption_codec._settings import is_uri

if TYPE_CHECKING:
    from temporal_payloads.plugin import KeyProvider

logger = logging.getLogger("temporal_payloads")

MOST_MESSAGES = 2**32
"""Messages that one key may encrypt with random nonces of 96 bits: NIST SP 800-38D, section 8.3."""
WARN_FROM = 2**28
"""Messages of one process from which it says so: sixteen such processes, or restarts, are at the limit."""


class Usage:
    """How many messages a key has encrypted in this process. Threads may count at the same time."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._lock = threading.Lock()
        self._warn_at = WARN_FROM
        self.messages = 0
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds."""
        self._lock = threading.Lock()

    def count(self, messages: int) -> None:
        """Add messages, and warn well before there are too many."""
        with self._lock:
            self.messages += messages
            if self.messages < self._warn_at:
                return
            told, self._warn_at = self.messages, self._warn_at * 2
        logger.warning(
            "The encryption key %r has encrypted %d messages in this process. With all processes and "
            "restarts together a key must encrypt fewer than %d: rotate it, or use a key provider's key, "
            "whose data keys are renewed",
            self._key_id,
            told,
            MOST_MESSAGES,
        )


@dataclass(frozen=True)
class LocalKey:
    """A key that encrypts payloads itself."""

    id: str
    secret: bytes = field(repr=False)
    """The key, to tell it from others."""
    cipher: AESGCM = field(repr=False, compare=False)
    usage: Usage = field(repr=False, compare=False)
    sealing: SealingKey = field(repr=False, compare=False)
    source: str = field(default="code", compare=False)
    """Where it was read, for a person."""

    @classmethod
    def of(cls, key_id: str, secret: bytes, usage: Usage | None = None, source: str = "code") -> Self:
        """Make it of its bytes."""
        return cls(key_id, secret, AESGCM(secret), usage or Usage(key_id), SealingKey(secret), source)


@dataclass(frozen=True)
class ProvidedKey:
    """A key that a provider keeps: it wraps the keys that encrypt payloads."""

    id: str
    """Its URI."""
    provider: KeyProvider = field(repr=False, compare=False)

    @property
    def source(self) -> str:
        """Where it is kept, for a person."""
        return f"key provider {self.id.partition('://')[0]}"


Key = LocalKey | ProvidedKey


class KeyRingError(ValueError):
    """What is wrong with a ring, and at which of its places.

    Args:
        place: The setting inside the ring.
        text: What is wrong with it.
    """

    def __init__(self, place: tuple[str, ...], text: str) -> None:
        super().__init__(f"{'.'.join(place)} {text}")
        self.place = place
        self.text = text


@dataclass(frozen=True)
class KeyRing:
    """Keys by their ids, and which of them write.

    Raises:
        KeyRingError: A key that is named is not there, or one key has two ids.
    """

    keys: Mapping[str, Key]
    active: str
    """The id of the key that writes for namespaces that no pattern matches."""
    namespaces: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Patterns of namespaces, and the keys of each: the first one writes."""

    def __post_init__(self) -> None:
        for place, key_id in self._named():
            if key_id not in self.keys:
                known = ", ".join(self.keys) or "none"
                raise KeyRingError(place, f"names the key {key_id!r}, which is not among the keys ({known})")
        ids: dict[bytes, str] = {}
        for key in self.keys.values():
            if isinstance(key, LocalKey) and ids.setdefault(key.secret, key.id) != key.id:
                raise KeyRingError(
                    ("keys", key.id), f"is the same key as {ids[key.secret]!r}, under two ids: remove one"
                )

    @classmethod
    def of(
        cls, keys: Mapping[str, bytes], active: str, namespaces: Mapping[str, Sequence[str]] | None = None
    ) -> Self:
        """Make a ring of keys that are at hand.

        Args:
            keys: 32 bytes each, by the ids that payloads name.
            active: The id of the key that writes.
            namespaces: Patterns of namespaces, and the ids of the keys of each: the first one writes.

        Raises:
            ValueError: A key has another length, is missing, or is there twice.
        """
        for key_id, secret in keys.items():
            if len(secret) != KEY_SIZE:
                raise ValueError(f"the key {key_id!r} has {len(secret)} bytes, not {KEY_SIZE}")
        made = {key_id: LocalKey.of(key_id, secret) for key_id, secret in keys.items()}
        return cls(made, active, namespaces or {})

    def _named(self) -> Iterable[tuple[tuple[str, ...], str]]:
        yield ("active",), self.active
        for pattern, ids in self.namespaces.items():
            for key_id in ids:
                yield ("namespaces", pattern), key_id

    @property
    def is_described_by_file(self) -> bool:
        """Whether a file says which keys there are."""
        return False

    def current(self) -> KeyRing:
        """Return this ring: it never changes."""
        return self

    def writing(self, namespace: str | None) -> Key:
        """Return the key that writes for a namespace; None is one that is not known."""
        for pattern, ids in self.namespaces.items():
            if namespace is not None and fnmatchcase(namespace, pattern):
                return self.keys[ids[0]]
        return self.keys[self.active]

    @property
    def all_writing(self) -> list[Key]:
        """Every key that writes for some namespace."""
        reached = [ids[0] for pattern, ids in self.namespaces.items() if pattern not in self.never_reached]
        return [self.keys[key_id] for key_id in dict.fromkeys([self.active, *reached])]

    @cached_property
    def never_reached(self) -> Mapping[str, str]:
        """Patterns for which no key writes, each with an earlier one that matches all that it matches."""
        patterns = list(self.namespaces)
        return {
            later: earlier
            for number, later in enumerate(patterns)
            for earlier in reversed(patterns[:number])
            if _covers(earlier, later)
        }

    def described(self) -> list[KeyDescription]:
        """Return what may be shown of each key, those that write first."""
        found = [self._describe(key) for key in self.keys.values()]
        return sorted(found, key=lambda key: (not key.active, not key.writes))

    def _describe(self, key: Key) -> KeyDescription:
        patterns = self.patterns_of(key.id)
        writes_for = [
            pattern
            for pattern in patterns
            if self.namespaces[pattern][0] == key.id and pattern not in self.never_reached
        ]
        return KeyDescription(
            id=key.id,
            source=key.source,
            active=key.id == self.active,
            writes_for=writes_for,
            reads_for=[pattern for pattern in patterns if pattern not in writes_for],
            fingerprint=fingerprint(key.secret) if isinstance(key, LocalKey) else None,
        )

    def patterns_of(self, key_id: str) -> list[str]:
        """Return the patterns of the namespaces that a key is for; none if it is for all."""
        return [pattern for pattern, ids in self.namespaces.items() if key_id in ids]

    def is_for(self, key_id: str, namespaces: Iterable[str]) -> bool:
        """Tell whether a key is for one of the namespaces: it writes there, or stands with one that does."""
        patterns = self.patterns_of(key_id)
        if not patterns:
            return True
        return any(
            any(fnmatchcase(name, pattern) for pattern in patterns)
            # The active key is for whatever has no pattern.
            or (key_id == self.active and not any(fnmatchcase(name, pattern) for pattern in self.namespaces))
            for name in namespaces
        )


def _covers(earlier: str, later: str) -> bool:
    """Tell whether a pattern matches all that another one matches; False where that takes more to know."""
    # Where every wildcard is a `*`, and none of the other a set of characters, it matches the other as text.
    return not set("?[") & set(earlier) and "[" not in later and fnmatchcase(later, earlier)


def missing_ids(active: str, namespaces: Mapping[str, Sequence[str]], keys: Iterable[str]) -> list[str]:
    """Return the URIs that are named and have no table: of those keys there is nothing more to say."""
    named = dict.fromkeys([active, *(key_id for ids in namespaces.values() for key_id in ids)])
    known = set(keys)
    return [key_id for key_id in named if is_uri(key_id) and key_id not in known]
