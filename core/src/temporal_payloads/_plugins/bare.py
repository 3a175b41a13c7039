"""Classes of the SDK's that somebody has already, as plugins without settings."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict
from temporalio.converter import DataConverter, PayloadCodec, PayloadConverter

from temporal_payloads._plugins.contract import (
    PLUGIN_API_VERSION,
    CodecPlugin,
    CodecRole,
    PayloadConverterPlugin,
)

T = TypeVar("T")


class NoSettings(BaseModel):
    """The settings of what has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def made_without_arguments(named: type[T], plugin: str) -> T:
    """Make an object of a class that an import path names.

    Args:
        named: The class.
        plugin: What describes those that have settings, for the error.

    Raises:
        TypeError: It needs arguments.
        Exception: What its constructor raised.
    """
    try:
        inspect.signature(named).bind()
    except TypeError as error:
        raise TypeError(
            f"{error}. A class that is named by its import path is made without arguments. Name an "
            f"object that was made with them, or a {plugin} to give it settings"
        ) from error
    except ValueError:
        pass  # it has no signature to tell beforehand
    return named()


def bare_codec(named: object) -> CodecPlugin[NoSettings] | None:
    """Describe a `PayloadCodec` class, which is made without arguments, or such an object; None for others.

    What a plugin would tell, it may tell by attributes: `encodings` (or `encoding`), and `role`.

    Raises:
        TypeError: One of the attributes is not what a plugin tells.
    """
    is_class = isinstance(named, type) and issubclass(named, PayloadCodec)
    if not is_class and not isinstance(named, PayloadCodec):
        return None
    encodings = getattr(named, "encodings", None) or getattr(named, "encoding", None) or ()
    if isinstance(encodings, str | bytes):
        encodings = (encodings,)
    if not all(isinstance(encoding, str | bytes) for encoding in encodings):
        raise TypeError("its attribute encodings must be a list of texts")
    role: CodecRole = getattr(named, "role", "transform")
    if role not in get_args(CodecRole):
        raise TypeError(f"its attribute role must be one of {', '.join(get_args(CodecRole))}")

    def create(_: NoSettings) -> PayloadCodec:
        if isinstance(named, PayloadCodec):
            return named
        assert isinstance(named, type)  # see above
        codec: PayloadCodec = made_without_arguments(named, "CodecPlugin")
        return codec

    return CodecPlugin(
        api_version=PLUGIN_API_VERSION,
        settings=NoSettings,
        encodings=tuple(e.decode() if isinstance(e, bytes) else e for e in encodings),
        create=create,
        role=role,
    )


def tells_nothing(plugin: CodecPlugin[Any], codec: PayloadCodec) -> bool:
    """Whether a codec is described by `bare_codec` alone, and tells neither encodings nor role."""
    return plugin.settings is NoSettings and not plugin.encodings and not hasattr(codec, "role")


def bare_payload_converter(named: object) -> PayloadConverterPlugin[NoSettings] | None:
    """Describe a `PayloadConverter` class, or that of a `DataConverter`; None for others.

    What a plugin would tell, the class may tell by an attribute: `sandbox_passthrough`.

    Raises:
        TypeError: The attribute is not what a plugin tells.
    """
    converter = named.payload_converter_class if isinstance(named, DataConverter) else named
    if not isinstance(converter, type) or not issubclass(converter, PayloadConverter):
        return None
    modules: object = getattr(converter, "sandbox_passthrough", ())
    if isinstance(modules, str) or not isinstance(modules, Sequence):
        raise TypeError("its attribute sandbox_passthrough must be a list of modules")
    return PayloadConverterPlugin(
        api_version=PLUGIN_API_VERSION,
        settings=NoSettings,
        create=lambda _: converter,
        sandbox_passthrough=tuple(modules),
    )
