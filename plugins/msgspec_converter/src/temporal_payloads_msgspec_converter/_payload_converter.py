"""The payload converter: the SDK's, with another way to the same JSON."""

from __future__ import annotations

import copyreg
from abc import ABCMeta
from collections.abc import Iterable
from functools import cache
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
)

from temporal_payloads_msgspec_converter._reading import reader_for
from temporal_payloads_msgspec_converter._writing import write_json


class MsgspecJSONPlainPayloadConverter(EncodingPayloadConverter):
    """Converts as the SDK's `JSONPlainPayloadConverter` does, to the same values, and faster.

    Text beyond ASCII is written as UTF-8 and not escaped, and exponents are written shorter.

    Args:
        sdk: The SDK's converter, which does all that can only be done its way. What it does with an encoder,
            a decoder or type converters of its own is left to it.
    """

    def __init__(self, sdk: JSONPlainPayloadConverter | None = None) -> None:
        self._sdk = sdk or JSONPlainPayloadConverter()
        self._writes = self._sdk._encoder is AdvancedJSONEncoder  # noqa: SLF001  # there is no public way to know
        self._reads = self._sdk._decoder is None and not self._sdk._custom_type_converters  # noqa: SLF001  # likewise

    @property
    def encoding(self) -> str:
        """`json/plain`."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        """Convert a value; raises what the SDK's converter raises."""
        data = write_json(value) if self._writes else None
        if data is None:
            return self._sdk.to_payload(value)
        return Payload(metadata={"encoding": b"json/plain"}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Convert a payload to what the hint says; raises what the SDK's converter raises."""
        reader = reader_for(type_hint or Any) if self._reads else None
        if reader is not None:
            data = payload.data
            try:
                if not data.isascii():
                    data.decode()  # msgspec does not look into text that it skips
                return reader(data)
            except Exception:  # noqa: BLE001, S110  # the SDK may know better, or tells it in its own words
                pass
        return self._sdk.from_payload(payload, type_hint)


def _with_msgspec(converters: Iterable[EncodingPayloadConverter]) -> list[EncodingPayloadConverter]:
    return [
        MsgspecJSONPlainPayloadConverter(each) if type(each) is JSONPlainPayloadConverter else each
        for each in converters
    ]


class MsgspecPayloadConverter(CompositePayloadConverter):
    """The SDK's `DefaultPayloadConverter`, many times faster with dataclasses and plain JSON.

    A drop-in for it: payloads that either writes are read by the other to the same values. What msgspec would
    do otherwise than the SDK is done the SDK's way.
    """

    def __init__(self) -> None:
        super().__init__(*_with_msgspec(DefaultPayloadConverter.default_encoding_payload_converters))


class _OnBase(ABCMeta):
    """The class of classes that no module has: they are pickled as what makes them."""

    base: type[PayloadConverter]


@cache
def msgspec_converter_on(base: type[PayloadConverter]) -> type[PayloadConverter]:
    """Return a class that converts as the base does, but `json/plain` faster.

    Raises:
        ValueError: The base has no `json/plain` of the SDK's kind.
    """
    made = base()
    its_json = made.converters.get(b"json/plain") if isinstance(made, CompositePayloadConverter) else None
    if type(its_json) is not JSONPlainPayloadConverter:
        has = type(its_json).__name__ if its_json else "none that is known"
        raise ValueError(
            f"it replaces the SDK's JSONPlainPayloadConverter, and the base's JSON converter is {has}, which "
            "may write and read JSON in other ways. Give one of the two"
        )

    def init(self: CompositePayloadConverter) -> None:
        base.__init__(self)
        self._set_converters(*_with_msgspec(self.converters.values()))

    made_on_base: Any = _OnBase(f"Msgspec{base.__name__}", (base,), {"__init__": init, "base": base})
    extended: type[PayloadConverter] = made_on_base
    return extended


def _how_to_make(extended: _OnBase) -> tuple[object, tuple[type[PayloadConverter]]]:
    return msgspec_converter_on, (extended.base,)


copyreg.pickle(_OnBase, _how_to_make)  # type: ignore[arg-type]  # typeshed knows no metaclasses here
