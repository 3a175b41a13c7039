"""Which dataclasses are plain: made of their fields and of nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Generic, get_type_hints

from temporal_payloads_msgspec_converter._remembering import remembered

_REMEMBERED = "__temporal_payloads_fields__"
_GENERATED = "<string>"
"""The file name of code that `dataclasses` generates."""
_MEANS_SOMETHING_ELSE = ("__supertype__", "__origin__", "__args__", "parse_obj")
"""What makes the SDK take a class for something else: a NewType, an alias, a model of pydantic."""


class Fields:
    """The fields of a plain dataclass."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._hints: dict[str, Any] | None = None
        self.names = tuple(field.name for field in dataclasses.fields(cls))
        slots = {name for base in cls.__mro__ for name in base.__dict__.get("__slots__", ())}
        self.defaulted = frozenset(name for name in self.names if name not in slots and hasattr(cls, name))
        """Fields that the class has a value for too, so that an object may lack its own."""
        self.values = _values(self.names)
        """Returns an object's values in the order of the names."""

    @property
    def hints(self) -> dict[str, Any]:
        """The fields' types, resolved as the SDK resolves them; raises what evaluating them raises."""
        # Not a cached property: that of Python 3.11 has a lock, which may be held while a process is forked.
        if self._hints is None:
            resolved = get_type_hints(self._cls)
            self._hints = {name: resolved[name] for name in self.names}
        return self._hints


def fields_of(cls: type) -> Fields | None:
    """Return the fields if the class is a plain dataclass, else None.

    An object of a plain one is made by setting its fields, and they are all that JSON has of it.
    """
    if not dataclasses.is_dataclass(cls):
        return None
    return remembered(cls, _REMEMBERED, lambda: Fields(cls) if _is_plain(cls) else None)


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    (name,) = names
    return lambda value: (getattr(value, name),)


def _is_plain(cls: type) -> bool:
    return (
        type(cls).__call__ is type.__call__
        and not any(hasattr(cls, name) or name in cls.__dataclass_fields__ for name in _MEANS_SOMETHING_ELSE)  # type: ignore[attr-defined]
        and not issubclass(cls, (Generic, Mapping))
        and all(base is object or base.__module__ != "builtins" for base in cls.__mro__)
        and cls.__new__ is object.__new__
        and _is_generated(cls, "__init__")
        and (cls.__setattr__ is object.__setattr__ or _is_generated(cls, "__setattr__"))
        and cls.__getattribute__ is object.__getattribute__
        and not hasattr(cls, "__getattr__")
        and all(_is_ordinary(cls, field) for field in cls.__dataclass_fields__.values())  # type: ignore[attr-defined]
    )


def _is_generated(cls: type, method: str) -> bool:
    code = getattr(getattr(cls, method), "__code__", None)
    return code is not None and code.co_filename == _GENERATED


def _is_ordinary(cls: type, field: dataclasses.Field[Any]) -> bool:
    kind = field._field_type.name  # type: ignore[attr-defined]  # noqa: SLF001  # InitVar and ClassVar show nowhere else
    if kind == "_FIELD_CLASSVAR":
        return True
    attribute = next((base.__dict__[field.name] for base in cls.__mro__ if field.name in base.__dict__), None)
    is_slot = type(attribute).__name__ == "member_descriptor"
    return (
        kind == "_FIELD"
        and field.init
        and not field.name.startswith("__")
        and (is_slot or not hasattr(type(attribute), "__get__"))
    )
