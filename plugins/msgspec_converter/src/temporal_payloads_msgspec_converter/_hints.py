"""What a type hint says, as far as msgspec and the SDK agree on it."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin
from uuid import UUID

from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._enums import is_plain_enum

_SCALARS: tuple[Any, ...] = (str, int, float, bool, NoneType, UUID)
_LITERALS = (str, int, NoneType)


class Form(Enum):
    """What JSON of a hint looks like."""

    SCALAR = auto()
    """Text, a number, a boolean, null, a UUID."""
    LITERAL = auto()
    """One of some texts and numbers."""
    ENUM = auto()
    """A member of an enum, as text or number."""
    TIME = auto()
    UNTYPED = auto()
    """Anything that is JSON."""
    UNION = auto()
    """One of the arguments; null is not among them, and always allowed where it was only one."""
    ITEMS = auto()
    """A list of which all items are of the argument."""
    ROW = auto()
    """A list with one argument for each item."""
    MAPPING = auto()
    """An object whose keys and values are of the arguments."""
    OBJECT = auto()
    """A plain dataclass."""
    OTHER = auto()
    """What is left to the SDK."""


def form_of(hint: Any) -> tuple[Form, tuple[Any, ...]]:
    """Return the hint's form and arguments. A NewType is what it stands for."""
    if isinstance(hint, NewType):
        return form_of(hint.__supertype__)
    if any(hint is scalar for scalar in _SCALARS):
        return Form.SCALAR, (hint,)
    if hint is datetime:
        return Form.TIME, ()
    if hint is Any or hint is dict or hint is list:
        return Form.UNTYPED, (hint,)
    origin = get_origin(hint)
    if origin is None:
        return _form_of_class(hint) if isinstance(hint, type) else (Form.OTHER, ())
    return _form_of_generic(origin, get_args(hint))


def _form_of_class(cls: type) -> tuple[Form, tuple[Any, ...]]:
    if issubclass(cls, Enum):
        return (Form.ENUM if is_plain_enum(cls) else Form.OTHER), (cls,)
    return (Form.OBJECT if fields_of(cls) else Form.OTHER), (cls,)


def _form_of_generic(origin: Any, arguments: tuple[Any, ...]) -> tuple[Form, tuple[Any, ...]]:
    if origin is Literal:
        return (Form.LITERAL if all(type(each) in _LITERALS for each in arguments) else Form.OTHER), arguments
    if origin is Union or origin is UnionType:
        return Form.UNION, tuple(each for each in arguments if each is not NoneType)
    if origin is dict:
        return Form.MAPPING, arguments
    if origin in (list, set, frozenset):
        return Form.ITEMS, arguments
    if origin is tuple and arguments:
        return (Form.ITEMS, arguments[:1]) if arguments[-1] is Ellipsis else (Form.ROW, arguments)
    return Form.OTHER, ()


def is_text_and_a_number(members: tuple[Any, ...]) -> bool:
    """Whether a union is of `str` and one kind of number.

    The SDK takes the first member that accepts the JSON, and others accept more than what is written of them.
    """
    others = set(members) - {str}
    return str in members and len(members) == 2 and others <= {int, float, bool}  # noqa: PLR2004  # those two
