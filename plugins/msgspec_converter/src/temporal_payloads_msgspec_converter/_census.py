"""What types there are in a value, many objects at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from math import isfinite
from typing import Any
from uuid import UUID

from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._enums import is_plain_member, mixed_in

MAX_DEPTH = 100
"""Deeper values are left to the SDK, which gives up somewhere: Python bounds how deep a call may go."""
MAX_OBJECTS = 1_000_000
"""Larger values are left to the SDK where nothing else says that they end."""

_SCALARS = frozenset({str, int, bool, type(None)})
_NEVER_NATIVE = frozenset({bytes, bytearray, date, datetime, time, timedelta, Decimal, complex})
_UNORDERED = frozenset({set, frozenset, deque})


class LeftToTheSDKError(Exception):
    """There is something in the value of which we don't know what the SDK makes."""


def is_plain(value: Any) -> bool:
    """Whether it is text, whole numbers, booleans, None, or lists and dicts of them; for small values."""
    kind = type(value)
    if kind is dict:
        for key, each in value.items():
            if type(key) is not str or not (type(each) in _SCALARS or is_plain(each)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(each) in _SCALARS or is_plain(each) for each in value)
    return kind in _SCALARS


class Census:
    """Looks at the types of all objects in a value.

    Args:
        numbers_are_finite: Whether that is known already.
        value_ends: Whether it is known that the value does not hold itself.
    """

    def __init__(self, *, numbers_are_finite: bool = False, value_ends: bool = False) -> None:
        self.is_native = True
        """Whether msgspec writes all of it as the SDK does."""
        self._finite = numbers_are_finite
        self._room = None if value_ends else MAX_OBJECTS

    def take(self, objects: Collection[Any], depth: int = 0) -> None:
        """Look at the objects, and at what is in them.

        Raises:
            LeftToTheSDKError: One of them is of a type that we know nothing about, or too deep.
        """
        if depth > MAX_DEPTH:
            raise LeftToTheSDKError
        kinds = set(map(type, objects))
        if kinds <= _SCALARS:
            return
        for kind in kinds - _SCALARS:
            group = objects
            if len(kinds) > 1:
                group = [each for each in objects if type(each) is kind]
            if kind is float:
                self.is_native &= self._finite or all(map(isfinite, group))
            elif kind is list or kind is tuple:
                self._take_from(group, group, depth)
            elif kind is dict:
                self.is_native &= set(map(type, chain.from_iterable(group))) <= {str}
                self._take_from(group, map(dict.values, group), depth)
            elif fields := fields_of(kind):
                self.is_native &= (
                    all(map(fields.defaulted.issubset, map(vars, group))) if fields.defaulted else True
                )
                for column in zip(*map(fields.values, group), strict=True):
                    self.take(column, depth + 1)
            else:
                self._take_others(kind, group, depth)

    def _take_others(self, kind: type, group: Collection[Any], depth: int) -> None:
        if kind is UUID:
            return
        if kind in _NEVER_NATIVE:
            self.is_native = False
        elif kind in _UNORDERED:
            # msgspec would sort a set.
            self.is_native = False
            self._take_from(group, group, depth)
        elif not (issubclass(kind, Enum) and _are_plain(kind, group)):
            raise LeftToTheSDKError

    def _take_from(self, collections: Collection[Any], contents: Any, depth: int) -> None:
        if self._room is not None:
            self._room -= sum(map(len, collections))
            if self._room < 0:
                raise LeftToTheSDKError
        self.take([*chain.from_iterable(contents)], depth + 1)


def _are_plain(kind: type[Enum], members: Collection[Enum]) -> bool:
    written_as = mixed_in(kind)
    distinct = dict(zip(map(id, members), members, strict=True)).values()
    return written_as is not None and all(is_plain_member(member, written_as) for member in distinct)
