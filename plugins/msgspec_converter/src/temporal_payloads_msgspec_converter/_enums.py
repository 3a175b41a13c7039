"""Which enums are plain: text or numbers with names."""

from __future__ import annotations

from enum import Enum, EnumMeta, Flag


def is_plain_enum(cls: type[Enum]) -> bool:
    """Whether each member is written and read as the text or number that it is.

    Others have no JSON of their own, for the SDK writes an enum only where it mixes in `str` or `int`, or
    have members whose value is not what they are written as.
    """
    if type(cls) is not EnumMeta or issubclass(cls, Flag):
        return False
    kind = mixed_in(cls)
    return kind is not None and all(is_plain_member(member, kind) for member in cls)


def mixed_in(cls: type[Enum]) -> type | None:
    """Return `str` or `int` if the enum's members are that too."""
    if issubclass(cls, str):
        return str
    return int if issubclass(cls, int) else None


def is_plain_member(member: Enum, kind: type) -> bool:
    """Whether the member's value is exactly the text or number that it is itself."""
    value: object = member._value_
    return type(value) is kind and kind.__eq__(member, value) is True
