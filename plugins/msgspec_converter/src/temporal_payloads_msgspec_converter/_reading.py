"""From JSON to the values that the SDK's converter makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._hints import Form, form_of, is_text_and_a_number

Reader = Callable[[bytes], Any]

# Each begins with what is searched for fast, and then looks back.
_ROUNDED_TIME = re.compile(rb"\.\d{7}(?<=\d:\d\d\.\d{7})")
_LOWER_CASE_UTC = re.compile(rb'z"(?<=\dz")')


def reader_for(hint: Any) -> Reader | None:
    """Return what reads JSON for the hint as the SDK's converter does, or None if nothing here does.

    What the reader returns is what the SDK returns. Where it raises, that means nothing: ask the SDK.
    """
    plan = _Plan()
    try:
        if not plan.covers(hint):
            return None
        decode = msgspec.json.Decoder(hint).decode
    except Exception:  # noqa: BLE001  # hints are evaluated, and classes may do anything
        return None
    return _without_odd_times(decode) if plan.has_times else decode


def _without_odd_times(decode: Reader) -> Reader:
    def read(data: bytes) -> Any:
        # msgspec rounds a seventh digit where Python cuts it off, and takes a `z` that Python does not.
        if _ROUNDED_TIME.search(data) or _LOWER_CASE_UTC.search(data):
            raise ValueError("a time that is left to the SDK")
        return decode(data)

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
