"""Temporal's `DataConverter` from declarative settings; drivers, codecs and payload converters are plugins.

The promise is the names below, those of `temporal_payloads.plugin` for plugin authors, and those of
`temporal_payloads.testing`. Everything else is private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._build.assembly import build_data_converter, open_data_converter
from temporal_payloads._errors import (
    ConfigurationError,
    PayloadsError,
    PluginConflictError,
    PluginLoadError,
    Problem,
    UnknownPluginError,
)
from temporal_payloads._settings.settings import PayloadSettings
from temporal_payloads._storage.cache.payload_cache import CacheStatistics, TierStatistics, cache_statistics

if TYPE_CHECKING:
    from temporal_payloads._sdk_plugin import PayloadsPlugin

__all__ = [
    "CacheStatistics",
    "ConfigurationError",
    "PayloadSettings",
    "PayloadsError",
    "PayloadsPlugin",
    "PluginConflictError",
    "PluginLoadError",
    "Problem",
    "TierStatistics",
    "UnknownPluginError",
    "build_data_converter",
    "cache_statistics",
    "open_data_converter",
]

for _error in (
    ConfigurationError,
    PayloadsError,
    PluginConflictError,
    PluginLoadError,
    UnknownPluginError,
):
    # A traceback names an error as it is imported, not by the module that happens to hold it.
    _error.__module__ = __name__


def __getattr__(name: str) -> object:
    # It needs the SDK's worker; a starter or a codec server does not.
    if name == "PayloadsPlugin":
        from temporal_payloads._sdk_plugin import PayloadsPlugin  # noqa: PLC0415  # the point of it

        return PayloadsPlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
