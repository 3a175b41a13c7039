"""Says what a value is, to its last type, so that two values can be compared without asking them."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Description = Any
"""Tuples, strings and numbers, which compare by what they say."""

_OPAQUE = (type, type(lambda: None), type(len), property)


def describe(value: Any) -> Description:
    """Return a description that is equal for equal values of equal types, NaN included.

    The order of a dict's keys counts, and that of a set's items does not. Attributes count
    too. Nothing of the value's own runs: no `__eq__`, `__iter__` or `__getattribute__`.
    """
    return _describe(value, {})


def type_name(kind: type) -> str:
    """Return a type's name, which is the same for two runs of one program."""
    return f"{type.__getattribute__(kind, '__module__')}.{type.__getattribute__(kind, '__qualname__')}"


def _describe(value: Any, above: dict[int, int]) -> Description:
    kind = type(value)
    name = type_name(kind)
    if id(value) in above:
        return ("loop", len(above) - above[id(value)])
    above = {**above, id(value): len(above)}

    if isinstance(value, _OPAQUE):
        return (name, type_name(value) if isinstance(value, type) else "")
    described = (name, _contents(value, above))
    attributes = _attributes(value)
    if issubclass(kind, enum.Enum):
        return (name, attributes.get("_name_"), _describe(attributes.get("_value_"), above))
    if attributes:
        return (*described, sorted((key, _describe(each, above)) for key, each in attributes.items()))
    return described


def _of_dict(value: dict[Any, Any], above: dict[int, int]) -> Description:
    factory = value.default_factory if isinstance(value, collections.defaultdict) else None
    items = [
        (_describe(key, above), _describe(dict.__getitem__(value, key), above))
        for key in dict.__iter__(value)
    ]
    return [items, _describe(factory, above)]


def _in_order(kind: type) -> Callable[[Any, dict[int, int]], Description]:
    return lambda value, above: [_describe(each, above) for each in kind.__iter__(value)]  # type: ignore[attr-defined]  # all given are iterable


def _in_any_order(kind: type) -> Callable[[Any, dict[int, int]], Description]:
    return lambda value, above: sorted(_in_order(kind)(value, above), key=repr)


_CONTENTS: list[tuple[type, Callable[[Any, dict[int, int]], Description]]] = [
    (bool, lambda value, _: value),
    (int, lambda value, _: int.__index__(value)),
    (float, lambda value, _: float.hex(value)),
    (str, lambda value, _: str.__getitem__(value, slice(None))),
    (bytes, lambda value, _: bytes.__getitem__(value, slice(None))),
    (bytearray, lambda value, _: bytes(value)),
    (memoryview, lambda value, _: bytes(value)),
    (array.array, lambda value, _: bytes(value)),
    (dict, _of_dict),
    (list, _in_order(list)),
    (tuple, _in_order(tuple)),
    (collections.deque, lambda value, above: [value.maxlen, _in_order(collections.deque)(value, above)]),
    (set, _in_any_order(set)),
    (frozenset, _in_any_order(frozenset)),
    (
        dt.datetime,
        lambda value, _: [dt.datetime.isoformat(value), _zone(value.tzinfo), value.fold],
    ),
    (dt.time, lambda value, _: [dt.time.isoformat(value), _zone(value.tzinfo), value.fold]),
    (dt.date, lambda value, _: dt.date.isoformat(value)),
    (dt.timedelta, lambda value, _: [value.days, value.seconds, value.microseconds]),
    (decimal.Decimal, lambda value, _: str(decimal.Decimal.as_tuple(value))),
]
"""How to read what a value of a built-in type holds, by that type's own methods; the first that fits."""


def _contents(value: Any, above: dict[int, int]) -> Description:
    kind = type(value)
    return next((read(value, above) for known, read in _CONTENTS if issubclass(kind, known)), None)


def _zone(zone: dt.tzinfo | None) -> Description:
    return (type_name(type(zone)), str(zone) if isinstance(zone, dt.timezone) else "")


def _attributes(value: Any) -> dict[str, Any]:
    """Return what stands in a value's dictionary and slots."""
    found: dict[str, Any] = {}
    for kind in type.__getattribute__(type(value), "__mro__"):
        members = type.__getattribute__(kind, "__dict__")
        slots = members.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else tuple(slots):
            descriptor = members.get(_mangled(kind, slot))
            if slot not in ("__dict__", "__weakref__") and hasattr(descriptor, "__get__"):
                try:
                    found[slot] = descriptor.__get__(value, kind)
                except AttributeError:
                    continue
    try:
        dictionary = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return found
    return {**found, **dictionary} if isinstance(dictionary, dict) else found


def _mangled(kind: type, name: str) -> str:
    private = name.startswith("__") and not name.endswith("__")
    return f"_{kind.__name__.lstrip('_')}{name}" if private else name
