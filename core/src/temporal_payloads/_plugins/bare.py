"""Classes of the SDK's that somebody has already, as plugins without settings."""

from __future__ import annotations

import inspect
from typing import get_args

from pydantic import BaseModel, ConfigDict
from temporalio.converter import PayloadCodec

from temporal_payloads._plugins.contract import PLUGIN_API_VERSION, CodecPlugin, CodecRole


class NoSettings(BaseModel):
    """The settings of what has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
        try:
            inspect.signature(named).bind()
        except TypeError as error:
            raise TypeError(
                f"{error}. A class that is named by its import path is made without arguments. Name an "
                "object that was made with them, or a CodecPlugin to give it settings"
            ) from error
        except ValueError:
            pass  # it has no signature to tell beforehand
        codec: PayloadCodec = named()
        return codec

    return CodecPlugin(
        api_version=PLUGIN_API_VERSION,
        settings=NoSettings,
        encodings=tuple(e.decode() if isinstance(e, bytes) else e for e in encodings),
        create=create,
        role=role,
    )
