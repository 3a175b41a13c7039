"""From values to the JSON that the SDK's converter writes of them."""

from __future__ import annotations

from typing import Any

import msgspec
from temporalio.converter import AdvancedJSONEncoder

from temporal_payloads_msgspec_converter._census import Census, is_plain
from temporal_payloads_msgspec_converter._dataclasses import fields_of
from temporal_payloads_msgspec_converter._mirrors import write_objects

SMALL = 1024
"""Bytes of JSON up to which one object after the other is looked at sooner than many at a time."""
_SCALARS = frozenset({str, int, bool})
_msgspec_encoder = msgspec.json.Encoder(order="sorted")


class _ShallowJSONEncoder(AdvancedJSONEncoder):
    """Writes what the SDK's encoder writes, without first making a deep copy of each dataclass."""

    def default(self, o: Any) -> Any:
        fields = fields_of(type(o))
        return dict(zip(fields.names, fields.values(o), strict=True)) if fields else super().default(o)


_json_encoder = _ShallowJSONEncoder(separators=(",", ":"), sort_keys=True)


def write_json(value: object) -> bytes | None:
    """Return the JSON that the SDK's converter writes of the value, or None to leave it to the SDK.

    msgspec writes the type that it finds, whatever the field is annotated with, and some it writes otherwise
    than the SDK or where the SDK refuses. So objects are copied into classes whose fields are checked, or the
    types of everything in the value are looked at.
    """
    kind = type(value)
    try:
        if kind in _SCALARS:
            return _msgspec_encoder.encode(value)
        if kind is not dict:
            kinds = set(map(type, value)) if kind is list else {kind}  # type: ignore[call-overload]  # a list
            if len(kinds) == 1 and (data := write_objects(kinds.pop(), value, alone=kind is not list)):
                return data
    except Exception:  # noqa: BLE001, S110  # not what it is annotated with, or code of its own that fails
        pass
    return _write_what_is_known(value)


def _write_what_is_known(value: object) -> bytes | None:
    data = _written(value)
    # What is not finite is written as null, so where there is no null there is none.
    census = Census(numbers_are_finite=data is not None and b"null" not in data, value_ends=data is not None)
    try:
        if data and len(data) < SMALL and is_plain(value):
            return data
        census.take((value,))
        return data if data and census.is_native else _json_encoder.encode(value).encode()
    except Exception:  # noqa: BLE001  # the SDK's converter tells it in its own words
        return None


def _written(value: object) -> bytes | None:
    try:
        return _msgspec_encoder.encode(value)
    except Exception:  # noqa: BLE001  # msgspec calls what the value defines, which may raise anything
        return None
