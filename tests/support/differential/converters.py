"""Which converter is held against the SDK's."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.converter import PayloadConverter

VARIABLE = "DIFFERENTIAL_CONVERTER"
"""Names another converter as `module:Class`, for instance one that is wrong, on which the tests must fail."""
OURS = "temporal_payloads_msgspec_converter:MsgspecPayloadConverter"


def converter_under_test() -> type[PayloadConverter]:
    """Import the converter's class."""
    module, _, name = os.environ.get(VARIABLE, OURS).partition(":")
    kind: type[PayloadConverter] = getattr(importlib.import_module(module), name)
    return kind
