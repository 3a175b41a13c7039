"""Secrets that are recognised wherever they, or parts of them, turn up."""

from __future__ import annotations

import base64
import json
import random
import string
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLOSED = 9
"""A port of loopback at which nobody listens."""
PART = 8
"""Characters, or bytes, of a secret that must not be shown in a row."""


class Seeds:
    """Makes secrets, and finds them again: as they are, quoted, in hexadecimal digits and in base64."""

    def __init__(self) -> None:
        # Always the same, so that a test that finds one by chance does so each time.
        self._random = random.Random(20261129)
        self._parts: dict[int, dict[str, str]] = {}
        self.names: set[str] = set()

    def text(self, name: str, length: int = 32) -> str:
        """Return a new secret text of letters and digits."""
        secret = "".join(self._random.choices(string.ascii_letters + string.digits, k=length))
        self.know(name, secret.encode())
        return secret

    def key(self, name: str) -> bytes:
        """Return a new secret key."""
        key = self._random.randbytes(32)
        self.know(name, key)
        return key

    def know(self, name: str, secret: bytes) -> None:
        """Recognise a secret from now on."""
        self.names.add(name)
        text = secret.decode("latin-1")
        if text.isascii():
            self._add(name, text, PART)
            self._add(name, quote(text, safe=""), PART)
        else:
            # As Python shows bytes; an escaped byte takes four characters.
            self._add(name, repr(secret)[2:-1], 4 * PART)
            self._add(name, text, PART)
        self._add(name, secret.hex(), 2 * PART)
        self._add(name, secret.hex().upper(), 2 * PART)
        for shift in range(3):  # base64 looks different by where in three bytes the secret begins
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                encoded = encode(bytes(shift) + secret).decode()
                self._add(name, encoded[4 if shift else 0 : len(encoded) - 4], PART * 4 // 3 + 1)

    def _add(self, name: str, form: str, size: int) -> None:
        parts = self._parts.setdefault(size, {})
        parts |= {form[at : at + size]: name for at in range(len(form) - size + 1)}

    def found_in(self, text: str) -> list[str]:
        """Return what is shown of which secret, with what stands around it."""
        found: dict[str, str] = {}
        for size, parts in self._parts.items():
            for at in range(len(text) - size + 1):
                name = parts.get(text[at : at + size])
                if name is not None:
                    found.setdefault(name, text[max(0, at - 80) : at + 40])
        return [f"{name}: ...{around!r}" for name, around in found.items()]


def everything_shown(error: BaseException) -> str:
    """Return what a traceback, a log record, a debugger or a person sees of an error and what led to it."""
    return "\n".join(["".join(traceback.format_exception(error)), *_details(error, set())])


def _details(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield from (repr(error), str(error), repr(error.args), repr(getattr(error, "__notes__", "")))
    yield repr({name: value for name, value in vars(error).items() if not name.startswith("_")})
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from _details(other, seen)


@dataclass
class Shown:
    """Everything that anybody could have seen, and whether a secret is in it."""

    seeds: Seeds
    texts: list[str] = field(default_factory=list)

    def see(self, *texts: object) -> None:
        """Somebody sees these texts; of an error, everything about it."""
        for text in texts:
            self.texts.append(everything_shown(text) if isinstance(text, BaseException) else str(text))

    @property
    def everything(self) -> str:
        """All of it, each text once."""
        return "\n".join(dict.fromkeys(self.texts))

    def check(self) -> None:
        """Fail if a secret was seen."""
        found = self.seeds.found_in(self.everything)
        assert not found, "\n".join(found)


@dataclass(frozen=True)
class World:
    """Settings with a secret wherever one can be, and what they name."""

    settings: dict[str, Any]
    directory: Path
    variables: dict[str, str]
    keys: dict[str, bytes]
    ring: str
    """What stands in the key ring's file."""
    tokens: dict[str, str]

    def file(self, settings: Mapping[str, Any] | None = None) -> Path:
        """Write a settings file, and return its path."""
        path = self.directory / "temporal-payloads.toml"
        path.write_text(as_toml(settings or self.settings))
        return path


def as_toml(table: Mapping[str, Any]) -> str:
    """Write settings as TOML, a dotted key for each."""
    return "\n".join(f"{key} = {_value(value)}" for key, value in _flat(table))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = f"{prefix}{json.dumps(name)}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
