"""Tables under the name of a setting that is close to theirs: `[storage.driver.s3]`, `[codecs.gzip]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads._errors import Problem
from temporal_payloads._settings.problems import Place, dotted, is_variable, place_of, variable

if TYPE_CHECKING:
    from temporal_payloads._settings.source import Source


@dataclass(frozen=True)
class _Mistake:
    place: Place
    """A setting that is no table."""
    tables: Place
    """Where the tables are that go with it."""
    message: str


_MISTAKES = (
    _Mistake(
        ("storage", "driver"),
        ("storage", "drivers"),
        "must be the name of the default driver; a driver's table is [storage.drivers.NAME]",
    ),
    _Mistake(
        ("codecs",),
        ("codec",),
        "must be a list of codecs; a codec's table is [codec.NAME]",
    ),
    _Mistake(
        ("decode_only",),
        ("codec",),
        "must be a list of codecs; a codec's table is [codec.NAME]",
    ),
    _Mistake(
        ("payload_converter",),
        ("payload_converters",),
        "must be the name of a payload converter; its table is [payload_converters.NAME]",
    ),
)


def take_out_mistaken_tables(source: Source) -> list[Problem]:
    """Take such tables out of a source, and return a problem for each."""
    problems: list[Problem] = []
    for mistake in _MISTAKES:
        *around, name = mistake.place
        table: Any = source.values
        for part in around:
            table = table.get(part) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(table.get(name), dict):
            problems += _problems(source, mistake, bare=not table.pop(name))
    return problems


def _problems(source: Source, mistake: _Mistake, *, bare: bool) -> list[Problem]:
    length = len(mistake.place)
    blamed: dict[tuple[Place, str], None] = {}
    for path, origin in (*source.table_origins.items(), *source.origins.items()):
        if path[:length] == mistake.place:
            # Of variables each is to be renamed; a table of the file is one mistake, whatever it holds.
            place = place_of(origin) if is_variable(origin) else path[: length + 1]
            if place != mistake.place or bare or is_variable(origin):
                blamed[place, origin] = None
    return [
        Problem(f"{mistake.message}.{meant_instead(place, origin)}", dotted(place), origin)
        for place, origin in blamed
    ]


def meant_instead(place: Place, origin: str) -> str:
    """Return `" Did you mean ...?"` for a value in a table that is mistaken for another, else nothing."""
    for mistake in _MISTAKES:
        length = len(mistake.place)
        if place[:length] != mistake.place:
            continue
        if is_variable(origin):
            return f" Did you mean {variable((*mistake.tables, *place[length:]))!r}?"
        if len(place) > length:
            return f" Did you mean [{dotted((*mistake.tables, place[length]))}]?"
    return ""


def table_meant(place: str) -> str:
    """Return the table that was meant by a dotted place inside a mistaken one; other places as they are."""
    for mistake in _MISTAKES:
        if place.startswith(f"{dotted(mistake.place)}."):
            key = place.removeprefix(f"{dotted(mistake.place)}.").partition(".")[0]
            return f"{dotted(mistake.tables)}.{key}"
    return place
