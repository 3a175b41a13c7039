"""On top of another payload converter: what composes does, what does not says why."""

import json
import re
from dataclasses import dataclass, replace

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter
from temporal_payloads_msgspec_converter import MsgspecPayloadConverter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
    PayloadConverter,
)

SETTINGS = PayloadSettings.model_validate({"payload_converter": "msgspec"})


@dataclass
class Money:
    cents: int


class CsvPayloadConverter(EncodingPayloadConverter):
    """A format of somebody's own, for tuples of text."""

    encoding = "text/csv"

    def to_payload(self, value):
        if not isinstance(value, tuple):
            return None
        return Payload(metadata={"encoding": b"text/csv"}, data=",".join(value).encode())

    def from_payload(self, payload, type_hint=None):
        return tuple(payload.data.decode().split(","))


class WithCsv(CompositePayloadConverter):
    def __init__(self):
        super().__init__(CsvPayloadConverter(), *DefaultPayloadConverter.default_encoding_payload_converters)


class CentsEncoder(AdvancedJSONEncoder):
    def default(self, o):
        return f"{o.cents} ct" if isinstance(o, Money) else super().default(o)


class MoneyFromText(JSONTypeConverter):
    def to_typed_value(self, hint, value):
        return Money(int(value.removesuffix(" ct"))) if hint is Money else JSONTypeConverter.Unhandled


class WithMoney(CompositePayloadConverter):
    def __init__(self):
        super().__init__(
            JSONPlainPayloadConverter(encoder=CentsEncoder, custom_type_converters=[MoneyFromText()])
        )


class JSONOfOnesOwn(JSONPlainPayloadConverter):
    def to_payload(self, value):
        return super().to_payload({"value": value})


class WithJSONOfOnesOwn(CompositePayloadConverter):
    def __init__(self):
        super().__init__(JSONOfOnesOwn())


class Opaque(PayloadConverter):
    def to_payloads(self, values):
        raise NotImplementedError

    def from_payloads(self, payloads, type_hints=None):
        raise NotImplementedError


def built_on(payload_converter_class):
    base = replace(DataConverter.default, payload_converter_class=payload_converter_class)
    return build_data_converter(SETTINGS, base=base).payload_converter


def test_without_a_base_it_is_the_plugins_own():
    assert build_data_converter(SETTINGS).payload_converter_class is MsgspecPayloadConverter


def test_encodings_of_the_base_stay_and_json_is_the_same_as_before():
    converter = built_on(WithCsv)
    csv, money = converter.to_payloads([("a", "b"), Money(5)])
    assert (csv.metadata["encoding"], csv.data) == (b"text/csv", b"a,b")
    assert (money.metadata["encoding"], money.data) == (b"json/plain", b'{"cents":5}')
    assert converter.from_payloads([csv, money], [tuple, Money]) == [("a", "b"), Money(5)]


def test_a_json_encoder_and_type_converters_of_the_base_keep_their_say():
    converter = built_on(WithMoney)
    payload = converter.to_payload([Money(5)])
    assert json.loads(payload.data) == ["5 ct"]
    assert converter.from_payload(payload, list[Money]) == [Money(5)]


def test_a_converter_that_was_built_before_is_a_base_like_any_other():
    built = build_data_converter(
        SETTINGS, base=replace(DataConverter.default, payload_converter_class=WithCsv)
    )
    again = build_data_converter(SETTINGS, base=built)
    assert again.payload_converter.to_payload(("a",)).metadata["encoding"] == b"text/csv"


@pytest.mark.parametrize(
    ("base", "its_json"),
    [
        (pydantic_data_converter.payload_converter_class, "PydanticJSONPlainPayloadConverter"),
        (WithJSONOfOnesOwn, "JSONOfOnesOwn"),
        (Opaque, "none that is known"),
    ],
)
def test_a_base_with_json_of_its_own_does_not_compose_and_the_error_says_so(base, its_json):
    expected = f"'msgspec' does not compose.*{base.__name__}.*{re.escape(its_json)}.*Give one of the two"
    with pytest.raises(ConfigurationError, match=expected):
        built_on(base)
