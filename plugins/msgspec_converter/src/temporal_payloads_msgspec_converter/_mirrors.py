"""A second class for each dataclass: msgspec copies objects to it, checks each field, and writes it fast."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import msgspec

from temporal_payloads_msgspec_converter._census import Census, LeftToTheSDKError
from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._engine import decoder_for
from temporal_payloads_msgspec_converter._hints import Form, form_of, is_text_and_a_number
from temporal_payloads_msgspec_converter._remembering import remembered

Check = Callable[[Collection[Any]], None]
"""Looks at all objects that stand in one place, for what msgspec does not check; raises LeftToTheSDKError."""

_REMEMBERED = "__temporal_payloads_mirror__"
_Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]


@dataclass(frozen=True)
class Mirror:
    """The other class of a dataclass, or of a type that is made of them."""

    type: Any
    check: Check | None = None


class _Text:
    """Text that is made of something else."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def write_objects(cls: type, objects: Any, *, alone: bool) -> bytes | None:
    """Return the JSON of one object of a dataclass, or of a list of them; None if that is not possible."""
    mirror = mirror_of(cls)
    if mirror is None:
        return None
    mirror.check([objects] if alone else objects)  # type: ignore[misc]  # there is one for a dataclass
    copied = msgspec.convert(
        objects,
        mirror.type if alone else list[mirror.type],  # type: ignore[name-defined]  # made at run time
        from_attributes=True,
        builtin_types=(UUID,),  # not from text
        dec_hook=_to_text,
    )
    return _encoder.encode(copied)


def _to_text(kind: type, value: object) -> _Text:
    if kind is _Text and type(value) is datetime:
        return _Text(value.isoformat())
    raise LeftToTheSDKError


def _from_text(value: object) -> str:
    if type(value) is _Text:
        return value.text
    raise LeftToTheSDKError  # a subclass of str, for instance, is copied as it is


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_from_text)


def mirror_of(cls: type) -> Mirror | None:
    """Return the mirror of a plain dataclass, if all its fields can have one."""
    return remembered(cls, _REMEMBERED, lambda: _make_mirror(cls)) if fields_of(cls) else None


def _make_mirror(cls: type) -> Mirror | None:
    try:
        mirror = _Mirroring().of_class(cls)
        decoder_for(mirror.type)  # before other threads have it
    except Exception:  # noqa: BLE001  # hints are evaluated, and classes may do anything
        return None
    return mirror


class _Mirroring:
    """Makes mirrors; raises LeftToTheSDKError for types that can have none."""

    def __init__(self) -> None:
        self._under_way: list[type] = []

    def of(self, hint: Any) -> Mirror:  # noqa: PLR0911  # a table
        form, arguments = form_of(hint)
        match form:
            case Form.SCALAR if arguments[0] is float:
                return Mirror(int | _Finite, _only(int, float))  # a Decimal would be taken for one
            case Form.SCALAR if arguments[0] is UUID:
                return Mirror(UUID, _only(UUID))  # a subclass may have another text
            case Form.SCALAR | Form.LITERAL | Form.ENUM:
                return Mirror(hint)
            case Form.TIME:
                return Mirror(_Text)
            case Form.UNTYPED:
                return Mirror(Any, _check_untyped)
            case Form.UNION:
                return self._of_union(arguments)
            case Form.ITEMS:
                return self._of_items(self.of(*arguments))
            case Form.MAPPING if arguments[0] is str:
                return self._of_values(self.of(arguments[1]))
            case Form.OBJECT:
                return self.of_class(*arguments)
        raise LeftToTheSDKError

    def of_class(self, cls: type) -> Mirror:
        fields = fields_of(cls)
        if fields is None or cls in self._under_way:
            raise LeftToTheSDKError
        self._under_way.append(cls)
        mirrors = {name: self.of(fields.hints[name]) for name in sorted(fields.names)}
        self._under_way.pop()
        # Copies are in no circle and live for a moment: nothing for the garbage collector.
        struct = msgspec.defstruct(cls.__name__, [(name, m.type) for name, m in mirrors.items()], gc=False)
        parts = [(attrgetter(name), mirror.check) for name, mirror in mirrors.items() if mirror.check]

        def check(objects: Collection[Any]) -> None:
            # Whatever has the fields would be copied, a subclass without its own ones too.
            if not set(map(type, objects)) <= {cls}:
                raise LeftToTheSDKError
            for value_of, check_values in parts:
                check_values(list(map(value_of, objects)))

        return Mirror(struct, check)

    def _of_union(self, members: tuple[Any, ...]) -> Mirror:
        if len(members) == 1:
            inner = self.of(*members)
            return Mirror(inner.type | None, _if_given(inner.check))
        if is_text_and_a_number(members) and float not in members:
            return Mirror(str | int | bool | None)
        raise LeftToTheSDKError

    def _of_items(self, item: Mirror) -> Mirror:
        def check(lists: Collection[Any]) -> None:
            if not set(map(type, lists)) <= {list, tuple, set, frozenset}:
                raise LeftToTheSDKError
            if item.check:
                item.check(list(chain.from_iterable(lists)))

        # Also of a set: another set with the same members could have them in another order.
        return Mirror(list[item.type], check)  # type: ignore[name-defined]  # made at run time

    def _of_values(self, value: Mirror) -> Mirror:
        def check(dicts: Collection[Any]) -> None:
            if not (set(map(type, dicts)) <= {dict} and set(map(type, chain.from_iterable(dicts))) <= {str}):
                raise LeftToTheSDKError
            if value.check:
                value.check(list(chain.from_iterable(map(dict.values, dicts))))

        return Mirror(dict[str, value.type], check)  # type: ignore[name-defined]  # made at run time


def _only(*kinds: type) -> Check:
    allowed = set(kinds)

    def check(objects: Collection[Any]) -> None:
        if not set(map(type, objects)) <= allowed:
            raise LeftToTheSDKError

    return check


def _if_given(check: Check | None) -> Check | None:
    if check is None:
        return None
    return lambda objects: check([each for each in objects if each is not None])


def _check_untyped(objects: Collection[Any]) -> None:
    census = Census()
    census.take(objects)
    if not census.is_native:
        raise LeftToTheSDKError
