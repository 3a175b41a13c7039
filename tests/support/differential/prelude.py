# ruff: noqa: F401, ICN001  # imported for the programs, under the names that they use
"""The names that generated programs use, and a few odd things for their values."""

from __future__ import annotations

import abc
import array
import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import http
import ipaddress
import itertools
import pathlib
import re
import types
import typing
import uuid
import weakref
import zoneinfo
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import KW_ONLY, InitVar, dataclass, field, make_dataclass
from datetime import date, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from functools import cached_property
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypeVar,
    Union,
)
from uuid import UUID

import attrs
import msgspec
import pydantic
import typing_extensions
from temporalio.exceptions import ApplicationError
from typing_extensions import TypedDict

T = TypeVar("T")
U = TypeVar("U")
BoundT = TypeVar("BoundT", bound=int)
nan = float("nan")
inf = float("inf")


class Stop(BaseException):
    """What a program raises that no `except Exception` catches."""


class Text(str):
    """A str of one's own."""

    __slots__ = ()


class LoudText(str):
    """A str that says something else when it is asked."""

    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"

    def __repr__(self) -> str:
        return "'LOUD'"


class Number(int):
    """An int that prints as another."""

    def __repr__(self) -> str:
        return "0"

    __str__ = __repr__


class Real(float):
    """A float that prints as another."""

    def __repr__(self) -> str:
        return "0.5"

    __str__ = __repr__


class Items(list[Any]):
    """A list of one's own, with attributes."""


class ReversedItems(list[Any]):
    """A list that iterates backwards."""

    def __iter__(self) -> Any:
        return reversed(list(super().__iter__()))


class Mapped(dict[Any, Any]):
    """A dict of one's own, with attributes."""


class Shouting(dict[Any, Any]):
    """A dict whose items are not what it holds."""

    def items(self) -> Any:
        return [(key, "loud") for key in self]

    def __getitem__(self, key: Any) -> Any:
        return "louder"


class Pair(tuple[Any, ...]):
    """A tuple of one's own."""

    __slots__ = ()


class Zone(datetime.tzinfo):
    """A zone whose offset has seconds."""

    def utcoffset(self, moment: Any) -> timedelta:
        return timedelta(hours=1, minutes=2, seconds=3)

    def dst(self, moment: Any) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: Any) -> str:
        return "odd"


class Moment(datetime.datetime):
    """A datetime with its own idea of ISO 8601."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return "once"


class Mirror:
    """Has every attribute that it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return lambda *arguments: {"asked": name}


class FullMirror:
    """Has every attribute that it is asked for, protocols included."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: {"asked": name}


class HasDict:
    """What the SDK takes for a pydantic model of version 1."""

    def __init__(self, value: Any = 1) -> None:
        self.value = value

    def dict(self) -> Any:
        return {"value": self.value}

    def to_json(self) -> Any:
        return {"other": self.value}


class V1Model(HasDict):
    """A model with a `parse_obj` too."""

    @classmethod
    def parse_obj(cls, value: Any) -> V1Model:
        return cls(value.get("value"))


class Walk:
    """An iterable that is no collection."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)


class Indexed:
    """Iterable by index alone, which is no `Iterable`."""

    def __getitem__(self, index: int) -> int:
        if index > 2:
            raise IndexError
        return index


class KeyedMapping(collections.abc.Mapping[Any, Any]):
    """A mapping that is no dict."""

    def __init__(self, **items: Any) -> None:
        self._items = items

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Struct(msgspec.Struct):
    """The engine's own kind of class, unknown to the SDK."""

    x: int = 1
    y: str = "y"


@attrs.define
class Attrs:
    """A class of `attrs`, unknown to the SDK."""

    x: int = 1
    y: str = "y"


class Model(pydantic.BaseModel):
    """A pydantic model without the pydantic converter."""

    x: int = 1
    y: str = "y"


class Plain:
    """A class with annotations and nothing else."""

    x: int
    y: str = "y"

    def __init__(self, x: int = 1) -> None:
        self.x = x


def changed(value: Any, /, **attributes: Any) -> Any:
    """Set attributes, past any `__setattr__`."""
    for name, attribute in attributes.items():
        object.__setattr__(value, name, attribute)
    return value


def without(value: Any, /, *names: str) -> Any:
    """Delete attributes, past any `__delattr__`."""
    for name in names:
        object.__delattr__(value, name)
    return value


def touched(value: Any, /, *names: str) -> Any:
    """Read attributes, so that a cached property is in its object's dictionary."""
    for name in names:
        getattr(value, name)
    return value


def looped() -> Any:
    """Return a list that holds itself."""
    items: list[Any] = []
    items.append(items)
    return items


def looped_dict() -> Any:
    """Return a dict that holds itself."""
    items: dict[str, Any] = {}
    items["self"] = items
    return items


def nested(depth: int, leaf: Any = None) -> Any:
    """Return lists in lists."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def twice(item: Any) -> list[Any]:
    """Return a list that holds one object twice."""
    return [item, item]
