"""What no single field can tell: settings that contradict each other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from temporal_payloads._errors import Problem, did_you_mean
from temporal_payloads._settings.models import INLINE
from temporal_payloads._settings.problems import Place, dotted, lies_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from temporal_payloads._settings.models import DriverTable, Route, StorageSettings
    from temporal_payloads._settings.root import RootTable


def cross_check(settings: RootTable) -> list[Problem]:
    """Find contradictions between settings, but not what only follows from a value that was left out."""
    broken = [problem.place for problem in settings.problems]
    if "" in broken:
        return []  # a file or a profile that could not be read: nothing can be said of what would be in it

    def sound(*places: str) -> bool:
        return not any(lies_in(part, place) or lies_in(place, part) for part in broken for place in places)

    found: list[tuple[Place, str]] = []
    if sound("codecs", "decode_only", "codec"):
        found += _codec_checks(settings)
    if sound("payload_converter", "payload_converters"):
        found += _payload_converter_checks(settings)
    if sound("storage.driver", "storage.drivers", "storage.routes"):
        found += _driver_checks(settings.storage)
    if sound("storage.routes", "storage.threshold"):
        found += _route_checks(settings.storage)
    return [Problem(message, dotted(place), settings.origins.of(place)) for place, message in found]


def _codec_checks(settings: RootTable) -> Iterator[tuple[Place, str]]:
    for setting in ("codecs", "decode_only"):
        for name, count in Counter(getattr(settings, setting)).items():
            if count > 1:
                yield (setting,), f"the codec {name!r} is listed {count} times; list it once"
    for name in settings.decode_only:
        if name in settings.codecs:
            yield ("decode_only",), f"{name!r} is in codecs, where it is read too; list it in one of the two"
    for name in settings.codec:
        if name not in (named := (*settings.codecs, *settings.decode_only)):
            hint = did_you_mean(name, named) or f" Add {name!r} to codecs, or remove the table"
            yield ("codec", name), f"no entry of codecs uses this table.{hint}"


def _payload_converter_checks(settings: RootTable) -> Iterator[tuple[Place, str]]:
    for name in settings.payload_converters:
        if name != settings.payload_converter:
            hint = did_you_mean(name, [settings.payload_converter or ""])
            hint = hint or f" Set payload_converter to {name!r}, or remove the table"
            yield ("payload_converters", name), f"payload_converter does not name this table.{hint}"


def _driver_checks(storage: StorageSettings) -> Iterator[tuple[Place, str]]:
    if INLINE in storage.drivers:
        yield (
            ("storage", "drivers", INLINE),
            f"{INLINE!r} means the history itself; name the driver otherwise",
        )
    fallbacks = {key: table.fallback for key, table in storage.drivers.items() if table.fallback}
    writable = storage.writable_drivers
    takes_all = any(not _conditions(route) for route in storage.routes)
    if storage.driver is None and len(writable) > 1 and not takes_all:
        yield (
            ("storage", "driver"),
            f"of several drivers ({', '.join(writable)}) none is the default: name one, or {INLINE!r}",
        )
    uses: list[tuple[Place, str | None]] = [(("storage", "driver"), storage.driver)]
    uses += [(("storage", "routes", i, "driver"), route.driver) for i, route in enumerate(storage.routes)]
    uses += [(("storage", "drivers", key, "fallback"), fallback) for key, fallback in fallbacks.items()]
    for place, name in uses:
        table = storage.drivers.get(name or "")
        if table is not None and not table.takes_new_payloads:
            yield place, f"the driver {name!r} {_why_read_only(table)}, so nothing new can go to it"
    for key, fallback in fallbacks.items():
        place = ("storage", "drivers", key, "fallback")
        if fallback == INLINE:
            yield place, "must be a driver: what is offloaded may be too large for the history"
        elif not (table := storage.drivers[key]).takes_new_payloads:
            why = _why_read_only(table)
            yield place, f"can never be used: the driver {why}, so nothing new goes to it anyway"
        elif key in (round_trip := _after(key, fallbacks)):
            way = " -> ".join([key, *round_trip])
            yield place, f"leads back to the driver itself ({way}); one of them must have no fallback"
    yield from _move_checks(storage)


def _move_checks(storage: StorageSettings) -> Iterator[tuple[Place, str]]:
    moves = {key: table.moved_to for key, table in storage.drivers.items() if table.moved_to}
    for key, destination in moves.items():
        place = ("storage", "drivers", key, "moved_to")
        if destination == INLINE:
            yield place, "must be a driver: what is stored is not moved back into histories"
        elif key in (round_trip := _after(key, moves)):
            way = " -> ".join([key, *round_trip])
            yield place, f"leads back to the driver itself ({way}); one of them must not be moved"
    for key, table in storage.drivers.items():
        if table.off and not table.moved_to:
            yield (
                ("storage", "drivers", key, "off"),
                "needs moved_to: no other store has what this one stored. If nothing needs that, remove it",
            )


def _why_read_only(table: DriverTable) -> str:
    return f"is moved_to {table.moved_to!r}" if table.moved_to else "is retrieve_only"


def _after(key: str, next_of: Mapping[str, str]) -> list[str]:
    """Return the driver that follows a driver, the one after that, and so on, until one comes again."""
    found: list[str] = []
    while (following := next_of.get(found[-1] if found else key)) is not None:
        found.append(following)
        if found.count(following) > 1 or following == key:
            break
    return found


def _route_checks(storage: StorageSettings) -> Iterator[tuple[Place, str]]:
    for index, route in enumerate(storage.routes):
        place = ("storage", "routes", index)
        if route.max_size is not None and route.max_size < (route.min_size or 0):
            yield place, "can never match: its max_size is below its min_size"
        elif route.max_size is not None and route.max_size < storage.threshold:
            yield place, "can never match: payloads below storage.threshold stay in the history anyway"
        elif {"workflow_type", "activity_type"} <= _conditions(route).keys():
            yield place, "can never match: a payload belongs to a workflow or to an activity, never to both"
        for earlier_index, earlier in enumerate(storage.routes[:index]):
            if _takes_all_of(earlier, route):
                yield (
                    place,
                    f"can never match: {dotted(('storage', 'routes', earlier_index))} takes it all",
                )
                break


def _conditions(route: Route) -> dict[str, object]:
    """Return the conditions that a route really makes."""
    conditions: dict[str, object] = {
        name: set(patterns)
        for name in ("workflow_type", "activity_type", "namespace")
        if (patterns := getattr(route, name)) and "*" not in patterns
    }
    if route.min_size:
        conditions["min_size"] = route.min_size
    if route.max_size is not None:
        conditions["max_size"] = route.max_size
    return conditions


def _takes_all_of(earlier: Route, later: Route) -> bool:
    mine, other = _conditions(earlier), _conditions(later)
    for name, wanted in mine.items():
        given = other.get(name)
        if given is None:
            return False
        if isinstance(wanted, set) and isinstance(given, set):
            if not given <= wanted:
                return False
        elif (name == "min_size" and given < wanted) or (name == "max_size" and given > wanted):  # type: ignore[operator]  # sizes are numbers
            return False
    return True
