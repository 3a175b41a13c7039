"""From JSON to the values that the SDK's converter makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin

from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._engine import decoder_for
from temporal_payloads_msgspec_converter._filling import Fill, fill_for
from temporal_payloads_msgspec_converter._hints import Form, form_of, is_text_and_a_number
from temporal_payloads_msgspec_converter._remembering import remembered

Reader = Callable[[bytes], Any]

MAX_REMEMBERED = 1024
"""Hints that are remembered with one class; further ones are looked at each time."""

# Each begins with what is searched for fast, and then looks back.
_ROUNDED_TIME = re.compile(rb"\.\d{7}(?<=\d:\d\d\.\d{7})")
_LOWER_CASE_UTC = re.compile(rb'z"(?<=\dz")')


_STANDARD = frozenset({"builtins", "datetime", "uuid"})
_GENERIC = (list, dict, tuple, set, frozenset, Union, UnionType, Literal)
_NO_CLASSES = (Any, None, Ellipsis)
_REMEMBERED = "__temporal_payloads_readers__"
_of_no_class: dict[Any, Reader | None] = {}
"""Readers for hints in which there is no class of anybody's own."""


def reader_for(hint: Any) -> Reader | None:
    """Return what reads JSON for the hint as the SDK's converter does, or None if nothing here does.

    What the reader returns is what the SDK returns. Where it raises, that means nothing: ask the SDK.
    """
    try:
        readers = _remembered_readers(hint)
        if hint in readers:
            return readers[hint]
    except TypeError:  # a hint without a hash
        return None
    reader = _make_reader(hint)
    if len(readers) < MAX_REMEMBERED:
        # Unions in another order are equal hints; they are read alike, or by the SDK.
        readers[hint] = reader
    return reader


def _remembered_readers(hint: Any) -> dict[Any, Reader | None]:
    """Return where readers for such a hint are kept: with the class in it, if there is one."""
    classes = set(_classes_in(hint))
    if not classes:
        return _of_no_class
    if len(classes) > 1 or None in classes:
        return {}  # one of them may live longer than the others
    return remembered(classes.pop(), _REMEMBERED, dict[Any, Reader | None])


def _classes_in(hint: Any) -> Iterator[Any]:
    """Yield the classes of somebody's own in the hint, and None for what may have some in it."""
    origin = get_origin(hint)
    if origin is not None:
        if origin not in _GENERIC:
            yield None
        for argument in get_args(hint):
            yield from _classes_in(argument)
    elif isinstance(hint, NewType):
        yield from _classes_in(hint.__supertype__)
    elif isinstance(hint, type):
        if hint.__module__ not in _STANDARD:
            yield hint
    elif hint not in _NO_CLASSES and type(hint) not in (str, int, bool):
        yield None


def _make_reader(hint: Any) -> Reader | None:
    plan = _Plan()
    try:
        if not plan.covers(hint):
            return None
        read: Reader = decoder_for(hint).decode
        fill = fill_for(hint)
    except Exception:  # noqa: BLE001  # hints are evaluated, and classes may do anything
        return None
    if plan.has_times:
        read = _without_odd_times(read)
    return _filled(read, fill) if fill else read


def _without_odd_times(decode: Reader) -> Reader:
    def read(data: bytes) -> Any:
        # msgspec rounds a seventh digit where Python cuts it off, and takes a `z` that Python does not.
        if _ROUNDED_TIME.search(data) or _LOWER_CASE_UTC.search(data):
            raise ValueError("a time that is left to the SDK")
        return decode(data)

    return read


def _filled(decode: Reader, fill: Fill) -> Reader:
    def read(data: bytes) -> Any:
        value = decode(data)
        fill((value,))
        return value

    return read


class _Plan:
    """Decides whether msgspec makes of every JSON what the SDK makes of it, or refuses it."""

    def __init__(self) -> None:
        self.has_times = False
        self._looked_at: set[type] = set()

    def covers(self, hint: Any) -> bool:
        form, arguments = form_of(hint)
        match form:
            case Form.TIME:
                self.has_times = True
                return True
            case Form.UNION if len(arguments) > 1:
                return is_text_and_a_number(arguments)
            case Form.UNION | Form.ITEMS | Form.ROW:
                return all(map(self.covers, arguments))
            case Form.MAPPING:
                key, value = arguments
                return _is_read_as_key(key) and self.covers(value)
            case Form.OBJECT:
                return self._covers_fields(*arguments)
        return form is not Form.OTHER

    def _covers_fields(self, cls: type) -> bool:
        if cls in self._looked_at:
            return True
        self._looked_at.add(cls)
        fields = fields_of(cls)
        return fields is not None and all(map(self.covers, fields.hints.values()))


def _is_read_as_key(key: Any) -> bool:
    return key is str or key is int or (form_of(key)[0] is Form.ENUM and issubclass(key, str))
