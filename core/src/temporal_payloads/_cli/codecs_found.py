"""What the commands know of the codecs, and of the keys that these have."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.document import shown_error
from temporal_payloads._cli.output import bad, good, heading, say, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._codecs.named import NamedCodec
    from temporal_payloads._plugins.keys import KeyDescription
    from temporal_payloads._settings.settings import PayloadSettings

WHAT_IT_DOES = {"transform": "transforms", "compress": "compresses", "encrypt": "encrypts"}


@dataclass(frozen=True)
class FoundCodec:
    """A codec, and what was found out about it."""

    name: str
    type: str
    decode_only: bool
    role: str | None = None
    """None if the codec could not be made."""
    encodings: Sequence[str] = ()
    keys: Sequence[KeyDescription] = ()
    checked: bool = False
    """Whether it was asked whether it can do its work."""
    error: dict[str, str] | None = None
    """Its `type` and `message`, if it cannot."""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return asdict(self)


def named_codecs(settings: PayloadSettings) -> list[FoundCodec]:
    """Return the codecs that the settings name, of which no more is known."""
    return [
        FoundCodec(name, _type_of(settings, name), decode_only)
        for names, decode_only in ((settings.codecs, False), (settings.decode_only, True))
        for name in names
    ]


def found_codecs(assembly: Assembly) -> list[FoundCodec]:
    """Return the codecs of a converter. Nobody is asked."""
    chain = assembly.codecs.chain
    return [
        FoundCodec(
            name=each.name,
            type=_type_of(assembly.settings, each.name),
            decode_only=decode_only,
            role=each.role,
            encodings=sorted(each.encodings),
            keys=_keys_of(each),
        )
        for codecs, decode_only in ((chain.codecs, False), (chain.decode_only, True))
        for each in codecs
    ]


def codecs_with_check(assembly: Assembly) -> dict[str, Any]:
    """Return the codecs that can tell whether they can do their work, by their names.

    Only of those that are written, as a worker asks them: what a key needs for writing, a reader may lack.
    """
    written = assembly.codecs.chain.codecs
    return {each.name: each.codec for each in written if hasattr(each.codec, "check")}


async def checked_codecs(assembly: Assembly, answered: Callable[[str], None]) -> list[FoundCodec]:
    """Return the codecs, each asked whether it can do its work now, as a worker does when it starts."""

    async def check(name: str, codec: Any) -> tuple[str, dict[str, str] | None]:
        error: dict[str, str] | None = None
        try:
            await codec.check()
        except Exception as failure:  # noqa: BLE001  # a codec may raise anything
            error = shown_error(failure)
        answered(name)
        return name, error

    asked = codecs_with_check(assembly)
    errors = dict(await asyncio.gather(*(check(name, codec) for name, codec in asked.items())))
    return [
        replace(codec, checked=codec.name in errors, error=errors.get(codec.name))
        for codec in found_codecs(assembly)
    ]


def print_codecs(codecs: Sequence[FoundCodec]) -> None:
    """Print the codecs: in which order they encode, and what each is."""
    written = [codec for codec in codecs if not codec.decode_only]
    say("  " + (" -> ".join(codec.name for codec in written) or "none: payloads stay as they are"))
    if not codecs:
        return
    rows: list[tuple[str | Text, ...]] = []
    for codec in codecs:
        use = "decode only" if codec.decode_only else "encode and decode"
        state = bad(codec.error["message"]) if codec.error else good("ready") if codec.checked else "-"
        role = WHAT_IT_DOES.get(codec.role or "", "unknown")
        rows.append((codec.name, codec.type, role, use, state))
    table(("NAME", "TYPE", "WHAT IT DOES", "USE", "STATE"), rows)


def print_keys(codecs: Sequence[FoundCodec]) -> None:
    """Print the key ring of each codec that has one."""
    for codec in codecs:
        if codec.keys:
            say(heading(f"Keys of {codec.name}"))
            keys = [(key.id, use_of(key, codec), key.source, key.fingerprint or "-") for key in codec.keys]
            table(("KEY", "USE", "FROM", "FINGERPRINT"), keys)


def use_of(key: KeyDescription, codec: FoundCodec) -> str:
    """Say what a codec's key is used for."""
    if codec.decode_only:
        return "read only"
    uses = ["writes"] if key.active else []
    if key.writes_for:
        uses.append(f"writes for {', '.join(key.writes_for)}")
    if key.reads_for:
        uses.append(f"read for {', '.join(key.reads_for)}")
    return "; ".join(uses) or "read only"


def _keys_of(codec: NamedCodec) -> list[KeyDescription]:
    describe = getattr(codec.codec, "describe_keys", None)
    return list(describe()) if describe is not None else []


def _type_of(settings: PayloadSettings, name: str) -> str:
    found = settings.codec.get(name)
    return (found.type if found else None) or name
