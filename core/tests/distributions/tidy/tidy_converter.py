"""A working payload converter plugin: JSON with spaces, for people to read."""

import copyreg
import json
from abc import ABCMeta
from functools import cache

from pydantic import BaseModel, ConfigDict, Field
from temporal_payloads.plugin import PayloadConverterPlugin, hookimpl
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)


class TidySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    indent: bool = Field(False, description="Whether each key has a line of its own.")


class TidyJSON(JSONPlainPayloadConverter):
    indent = None

    def to_payload(self, value):
        text = json.dumps(value, cls=AdvancedJSONEncoder, indent=self.indent, sort_keys=True)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=text.encode())


class IndentedJSON(TidyJSON):
    indent = 2


class TidyPayloadConverter(CompositePayloadConverter):
    json = TidyJSON

    def __init__(self):
        *others, _ = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*others, self.json())


class IndentedPayloadConverter(TidyPayloadConverter):
    json = IndentedJSON


def create(settings):
    return IndentedPayloadConverter if settings.indent else TidyPayloadConverter


class ExtendedClass(ABCMeta):
    """The class of classes that no module has; they are pickled by how they were made."""


copyreg.pickle(ExtendedClass, lambda extended: (extend, extended.made_of))


@cache
def extend(settings, base):
    if not issubclass(base, CompositePayloadConverter):
        raise ValueError(f"{base.__name__} has no part that could be replaced. Leave one of the two out")
    tidy = create(settings)

    class Extended(base, metaclass=ExtendedClass):
        made_of = settings, base

        def __init__(self):
            super().__init__()
            self._set_converters(*{**self.converters, b"json/plain": tidy.json()}.values())

    return Extended


@hookimpl
def temporal_payloads_payload_converter():
    return PayloadConverterPlugin(
        api_version=1,
        settings=TidySettings,
        create=create,
        extend=extend,
        sandbox_passthrough=("tidy_converter",),
    )
