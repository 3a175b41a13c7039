"""Where in the store's directory a payload's file is.

The key `v0/ns/default/wt/OrderBatch/wi/order-17/ri/{run id}/d/sha256/{hex}` becomes the path
`v0/ns=default/wt=^order^batch/wi=order-17/ri={run id}/{hex}`: no two keys have the same one, on a file system
that ignores case neither, and no name in it is longer than file systems take.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from temporal_payloads.plugin import KeyLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_NAMESPACE = 3 * 1000
"""Characters of a namespace in a key: Temporal's server takes 1,000 bytes, each of which is at most `%C3`."""
LAYOUT = KeyLayout(
    # What is left of the layout's own list is no trouble to any file system or shell.
    unescaped="-_.",
    max_length=_MAX_NAMESPACE + len("v0/ns//d/sha256/") + 64,
)

LONGEST_NAME = 140
"""Bytes of a file's or folder's name. File systems take 255, those that encrypt names 143 (eCryptfs)."""
_CONTINUED = "+"
"""Ends the name of a folder whose name goes on in the folder in it. Names of keys have no such character."""
_CASED = re.compile(r"%[0-9A-F]{2}|[A-Z]")


PAYLOADS = "v0"
"""The folder of payloads, which is the first part of every key."""
TRASH = "trash"
"""The folder of what is put aside: in it, files lie as they do in the root."""
_SPELLED = re.compile(r"%[0-9a-f]{2}|\^[a-z]")


class Place(NamedTuple):
    """A file in the store."""

    folders: tuple[str, ...]
    """The folders that lead to it, from the root on."""
    name: str
    """Its name: the SHA-256 of what is in it."""


def place_of(key: str) -> Place:
    """Return where the payload with this key is."""
    version, *names, _, _, sha256 = key.split("/")  # v0, kind and name each, d, sha256, the hash
    folders = [version]
    for kind, name in zip(names[::2], names[1::2], strict=True):
        folders += _in_pieces(f"{kind}={_CASED.sub(_without_case, name)}")
    return Place(tuple(folders), sha256)


def in_trash(place: Place) -> Place:
    """Return where a file is while it is put aside."""
    return Place((TRASH, *place.folders), place.name)


def key_of(place: Place) -> str | None:
    """Return the key of the payload that is here, or None if none can be."""
    version, *pieces = place.folders
    names = "/".join(pieces).replace(f"{_CONTINUED}/", "").split("/") if pieces else []
    parts = [part for name in names for part in name.partition("=")[::2]]
    key = "/".join([version, *(_SPELLED.sub(_with_case, part) for part in parts), "d", "sha256", place.name])
    # Whoever can write here can make folders of any name: only those count that are made for a key.
    return key if LAYOUT.read(key) and place_of(key) == place else None


def parts_of(namespaces: Sequence[str | None]) -> list[str]:
    """Return what the keys of these namespaces begin with; for those without one, what all keys do."""
    return [
        prefix
        for namespace in dict.fromkeys(namespaces)
        for prefix in (LAYOUT.prefixes([namespace]) if namespace else [f"{PAYLOADS}/"])
    ]


def folders_of(part: str) -> tuple[str, ...]:
    """Return the folders that lead to what has a key beginning with this."""
    return place_of(f"{part}d/sha256/").folders


def _with_case(found: re.Match[str]) -> str:
    text = found[0].upper()
    return text if text.startswith("%") else text[1:]


def _without_case(found: re.Match[str]) -> str:
    text = found[0].lower()
    return text if text.startswith("%") else f"^{text}"


def _in_pieces(name: str) -> list[str]:
    if len(name) <= LONGEST_NAME:
        return [name]
    size = LONGEST_NAME - len(_CONTINUED)
    pieces = [name[start : start + size] for start in range(0, len(name), size)]
    # None is `.` or `..`: no name in a key ends with a dot.
    return [*(piece + _CONTINUED for piece in pieces[:-1]), pieces[-1]]
