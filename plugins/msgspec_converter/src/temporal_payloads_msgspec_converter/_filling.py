"""Puts into objects that msgspec has read the defaults that it leaves to the class.

An object that is made by calling its class has them itself, which shows in `vars()`, and when it is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

from temporal_payloads_msgspec_converter._dataclasses import Fields, fields_of
from temporal_payloads_msgspec_converter._hints import Form, form_of

Fill = Callable[[Collection[Any]], None]
"""Takes all values that stand in one place, and fills the objects in them."""


def fill_for(hint: Any) -> Fill | None:
    """Return what fills values of the hint, or None if there can be nothing to fill."""
    fillers = _Fillers()
    fill = fillers.of(hint)
    return fill if any(each.fields.defaulted for each in fillers.classes.values()) else None


class _Fillers:
    def __init__(self) -> None:
        self.classes: dict[type, _ObjectFiller] = {}

    def of(self, hint: Any) -> Fill | None:
        form, arguments = form_of(hint)
        match form:
            case Form.OBJECT:
                return self._of_class(*arguments)
            case Form.UNION if len(arguments) == 1:
                return _within(
                    self.of(*arguments), lambda values: [each for each in values if each is not None]
                )
            case Form.ITEMS:
                return _within(self.of(*arguments), lambda values: [*chain.from_iterable(values)])
            case Form.MAPPING:
                return _within(
                    self.of(arguments[1]), lambda values: [*chain.from_iterable(map(dict.values, values))]
                )
            case Form.ROW:
                return _all(
                    [_within(self.of(each), _column(itemgetter(at))) for at, each in enumerate(arguments)]
                )
        return None

    def _of_class(self, cls: type) -> Fill:
        if cls not in self.classes:
            fields = fields_of(cls)
            assert fields is not None  # it has that form
            self.classes[cls] = filler = _ObjectFiller(cls, fields)
            # Only now: a class may have objects of its own in its fields.
            filler.parts = _all(
                [_within(self.of(hint), _column(attrgetter(name))) for name, hint in fields.hints.items()]
            )
        return self.classes[cls]


class _ObjectFiller:
    def __init__(self, cls: type, fields: Fields) -> None:
        self.fields = fields
        self.parts: Fill | None = None
        self._defaults = {name: getattr(cls, name) for name in fields.defaulted}

    def __call__(self, objects: Collection[Any]) -> None:
        if self._defaults and not all(map(self.fields.defaulted.issubset, map(vars, objects))):
            for each in objects:
                for name, default in self._defaults.items():
                    vars(each).setdefault(name, default)
        if self.parts and objects:
            self.parts(objects)


def _column(value_of: Callable[[Any], Any]) -> Callable[[Collection[Any]], Collection[Any]]:
    return lambda values: list(map(value_of, values))


def _within(fill: Fill | None, values_in: Callable[[Collection[Any]], Collection[Any]]) -> Fill | None:
    return (lambda values: fill(values_in(values))) if fill else None


def _all(fills: Collection[Fill | None]) -> Fill | None:
    present = [fill for fill in fills if fill]

    def fill_all(values: Collection[Any]) -> None:
        for fill in present:
            fill(values)

    return fill_all if present else None
