"""Do this deployment and another one read what the other writes?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from temporal_payloads._errors import ConfigurationError, Problem

STDIN = "-"
PEER_OPTION = "--peer"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Key(_Part):
    id: str
    active: bool
    writes_for: tuple[str, ...]
    fingerprint: str | None

    @property
    def where_it_writes(self) -> str:
        return "" if self.active else f" for {', '.join(self.writes_for)}"


class _Codec(_Part):
    name: str
    type: str
    role: str | None
    encodings: tuple[str, ...]
    decode_only: bool
    keys: tuple[_Key, ...]
    error: dict[str, str] | None


class _Problem(_Part):
    message: str
    place: str


class Report(_Part):
    """What `temporal-payloads check --json` prints, as far as it counts here."""

    codecs: tuple[_Codec, ...]
    require_encrypted: bool
    problems: tuple[_Problem, ...]

    def reads(self, codec: _Codec) -> bool:
        """Tell whether what a codec writes can be read, keys aside."""
        if not codec.encodings:
            return any(codec.type == each.type for each in self.codecs)
        return set(codec.encodings) <= {encoding for each in self.codecs for encoding in each.encodings}

    def ring_for(self, codec: _Codec) -> dict[str, _Key]:
        """Return the keys of the codecs that read what a codec writes."""
        alike = [
            each
            for each in self.codecs
            if each.type == codec.type or set(each.encodings) & set(codec.encodings)
        ]
        return {key.id: key for each in alike for key in each.keys}


def read_peer(name: str) -> Report:
    """Read what another deployment's check has printed.

    Args:
        name: A file, or `-` for the standard input.

    Raises:
        ConfigurationError: It is no such output, or that of wrong settings.
    """
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
        document: Any = json.loads(text)
        peer = Report.model_validate(document)
    except OSError as error:
        raise _wrong(name, f"cannot be read: {error.strerror or type(error).__name__}") from None
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise _wrong(
            name, f"is not what `temporal-payloads check --json` of this release prints ({place})"
        ) from None
    except ValueError:
        raise _wrong(
            name, "is no JSON: it must be what `temporal-payloads check --json` prints there"
        ) from None
    if peer.problems:
        first = peer.problems[0]
        raise _wrong(name, f"comes from settings that are wrong there: {first.place}: {first.message}")
    return peer


def _wrong(name: str, what: str) -> ConfigurationError:
    shown = "the standard input" if name == STDIN else name
    return ConfigurationError(Problem(f"{PEER_OPTION}: {shown} {what}"))


def differences(here: dict[str, Any], peer: Report, name: str) -> list[str]:
    """Say what one of the two writes and the other cannot read, in both directions.

    Args:
        here: What `check --json` prints here.
        peer: The same of the peer.
        name: How the peer is called.
    """
    ours = Report.model_validate(here)
    return [
        *_unreadable(ours, peer, by="here", to=f"by {name}", add_it="there"),
        *_unreadable(peer, ours, by=f"by {name}", to="here", add_it="here"),
        *_unlike_keys(ours, peer, name),
        *(
            f"the codec {codec.name!r} of {name} has an error there: {codec.error['message']}"
            for codec in peer.codecs
            if codec.error
        ),
    ]


def _unreadable(writer: Report, reader: Report, *, by: str, to: str, add_it: str) -> Iterator[str]:
    written = [codec for codec in writer.codecs if not codec.decode_only]
    for codec in written:
        if not reader.reads(codec):
            yield (
                f"the codec {codec.name!r} is written {by} and cannot be read {to}: add it to decode_only "
                f"{add_it} first"
            )
            continue
        ring = reader.ring_for(codec)
        for key in codec.keys:
            if (key.active or key.writes_for) and key.id not in ring:
                yield (
                    f"the key {key.id!r} writes {by}{key.where_it_writes} and is not in the ring {add_it}: "
                    f"what it encrypts cannot be read {to}. Add it to the keys {add_it} before it is active "
                    "anywhere"
                )
    if reader.require_encrypted and not any(codec.role == "encrypt" for codec in written):
        yield (
            f"nothing encrypts {by}, and require_encrypted is set {add_it}: what is written {by} is refused "
            f"{to}. Leave it out {add_it} until everything encrypts"
        )


def _unlike_keys(ours: Report, peer: Report, name: str) -> Iterator[str]:
    told: set[str] = set()
    for codec in ours.codecs:
        theirs = peer.ring_for(codec)
        for key in codec.keys:
            other = theirs.get(key.id)
            if other is None or key.id in told or not key.fingerprint or not other.fingerprint:
                continue
            if key.fingerprint != other.fingerprint:
                told.add(key.id)
                yield (
                    f"the key {key.id!r} here and the one of {name} are two keys under one id (fingerprints "
                    f"{key.fingerprint} and {other.fingerprint}): what either encrypts cannot be read by the "
                    "other. Give the same key to both, and a new key a new id"
                )
