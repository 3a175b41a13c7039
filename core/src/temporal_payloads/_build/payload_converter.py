"""The converter's payload converter, from the setting that names one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from temporalio.converter import DataConverter, PayloadConverter

if TYPE_CHECKING:
    from temporal_payloads._build.findings import Findings
    from temporal_payloads._settings.problems import Place


def payload_converter(path: str, base: DataConverter, findings: Findings) -> type[PayloadConverter] | None:
    """Return the class that the import path names, or None if there is a problem with it."""
    place: Place = ("payload_converter",)
    if base.payload_converter_class is not DataConverter.default.payload_converter_class:
        findings.add(place, "the base converter has a payload converter of its own; give one of the two")
        return None
    module, _, name = path.partition(":")
    if not module or not name:
        findings.add(place, "must be an import path of the form module:name")
        return None
    try:
        named = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001  # importing runs code that may raise anything
        findings.add(place, f"{path!r} cannot be imported: {type(error).__name__}: {error}")
        return None
    if isinstance(named, DataConverter):
        named = named.payload_converter_class
    if not (isinstance(named, type) and issubclass(named, PayloadConverter)):
        findings.add(place, f"{path!r} is neither a PayloadConverter class nor a DataConverter")
        return None
    return named
