"""Temporal's `DataConverter` from declarative settings; drivers, codecs and payload converters are plugins.

The promise is the names below, those of `temporal_payloads.plugin` for plugin authors, and those of
`temporal_payloads.testing`. Everything else is private.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from temporal_payloads._errors import (
    ConfigurationError,
    PayloadsError,
    PluginConflictError,
    PluginLoadError,
    Problem,
    UnknownPluginError,
)

if TYPE_CHECKING:
    from temporal_payloads._build.assembly import build_data_converter, open_data_converter
    from temporal_payloads._build.fingerprint import settings_fingerprint
    from temporal_payloads._sdk_plugin import PayloadsPlugin
    from temporal_payloads._settings.settings import PayloadSettings
    from temporal_payloads._storage.cache.payload_cache import (
        CacheStatistics,
        TierStatistics,
        cache_statistics,
    )

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
    "settings_fingerprint",
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


# Where the others come from, imported when they are asked for: the SDK takes most of a second, which the
# command line's help and completion need not wait for, and nobody but a worker needs its worker.
_FROM = {
    "CacheStatistics": "_storage.cache.payload_cache",
    "PayloadSettings": "_settings.settings",
    "PayloadsPlugin": "_sdk_plugin",
    "TierStatistics": "_storage.cache.payload_cache",
    "build_data_converter": "_build.assembly",
    "cache_statistics": "_storage.cache.payload_cache",
    "open_data_converter": "_build.assembly",
    "settings_fingerprint": "_build.fingerprint",
}


def __getattr__(name: str) -> object:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
