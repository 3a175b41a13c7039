"""Plugins by name: found through entry points, loaded when they are asked for and not before."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from temporal_payloads._errors import (
    PluginConflictError,
    PluginLoadError,
    Problem,
    UnknownPluginError,
    did_you_mean,
)
from temporal_payloads._plugins.contract import (
    PLUGIN_API_VERSION,
    PROJECT,
    CodecPlugin,
    DriverPlugin,
    Hooks,
    PayloadConverterPlugin,
)
from temporal_payloads._plugins.events import (
    CircuitEvent,
    CodecEvent,
    CollectionEvent,
    Event,
    InlineEvent,
    StorageEvent,
)
from temporal_payloads._plugins.import_path import ImportPath, is_import_path
from temporal_payloads._plugins.keys import KeyProviderPlugin
from temporal_payloads._plugins.kinds import KINDS, AnyPlugin, Kind, KindName

logger = logging.getLogger("temporal_payloads")

KNOWN_ENCODINGS = {
    "binary/gzip": "gzip",
    "binary/zlib": "zlib",
    "binary/zstd": "zstd",
    "binary/encrypted": "encryption",
}
"""Encodings that codecs are known to write, so that an error can say which codec is missing."""

EVENT_HOOKS = {
    StorageEvent: "temporal_payloads_storage_event",
    CodecEvent: "temporal_payloads_codec_event",
    InlineEvent: "temporal_payloads_inline_event",
    CircuitEvent: "temporal_payloads_circuit_event",
    CollectionEvent: "temporal_payloads_collection_event",
}
"""What tells observers of each kind of event."""

FAILURE_TOLD_SECONDS = 60.0
"""How often an observer that fails is logged, for an observer is called for each operation."""


@dataclass(frozen=True)
class Offer:
    """A plugin that can be had under a name, without its having been imported."""

    kind: Kind
    name: str
    provider: str
    """The distribution and its version, or `the application` for a plugin registered in code."""
    distribution: str
    source: EntryPoint | ImportPath | object
    """What to load: an entry point or an import path; or the plugin object itself."""

    def __str__(self) -> str:
        if isinstance(self.source, EntryPoint):
            return f"{self.provider} ({self.source.value})"
        return f"{self.provider} ({self.source!r})"


class PluginRegistry:
    """The plugins that settings can name: those of installed distributions, and those registered in code.

    Making one is cheap: nothing is looked up before the first question, and nothing is imported before a
    plugin is asked for by name. Registries share nothing with each other.

    Example::

        registry = PluginRegistry()
        registry.register_driver("shelf", my_shelf_plugin)
        settings = PayloadSettings(storage={"drivers": {"shelf": {"url": "shelf://main"}}})
        converter = build_data_converter(settings, registry=registry)
    """

    def __init__(self) -> None:
        self._plugins = pluggy.PluginManager(PROJECT)
        self._plugins.add_hookspecs(Hooks)
        self._found: dict[KindName, list[Offer]] = {}
        self._registered: dict[tuple[KindName, str], Offer] = {}
        self._loaded: dict[tuple[KindName, str], AnyPlugin] = {}
        self._observing: dict[type[Event], list[pluggy.HookImpl]] = {}
        self._failures_told: dict[str, float] = {}

    def register_driver(self, name: str, plugin: object) -> None:
        """Offer a module or object with a `temporal_payloads_driver` hook as the driver type `name`."""
        self._register("driver", name, plugin)

    def register_codec(self, name: str, plugin: object) -> None:
        """Offer a module or object with a `temporal_payloads_codec` hook as the codec type `name`."""
        self._register("codec", name, plugin)

    def register_payload_converter(self, name: str, plugin: object) -> None:
        """Offer a module or object with a `temporal_payloads_payload_converter` hook as `name`."""
        self._register("payload_converter", name, plugin)

    def register_key_provider(self, name: str, plugin: object) -> None:
        """Offer a module or object with a `temporal_payloads_key_provider` hook for the scheme `name`."""
        self._register("key_provider", name, plugin)

    def _register(self, kind: KindName, name: str, plugin: object) -> None:
        self._registered[kind, name] = Offer(KINDS[kind], name, "the application", "", plugin)
        self._loaded.pop((kind, name), None)

    def register_observer(self, observer: object) -> None:
        """Call the observer's hooks, such as `temporal_payloads_storage_event`, for what they observe.

        Raises:
            PluginLoadError: It has none of these hooks, or one with other arguments.
        """
        try:
            self._adopt(observer, *EVENT_HOOKS.values())
        except (pluggy.PluginValidationError, LookupError) as error:
            raise PluginLoadError(Problem(f"{observer!r} is no observer: {error}")) from error

    def observes(self, kind: type[Event]) -> bool:
        """Tell whether somebody is told of such events."""
        return bool(self._observers(kind))

    def notify(self, event: Event) -> None:
        """Call every observer. One that fails is logged, once a minute, and keeps no other from hearing."""
        # Not through pluggy's call of all, which ends at the first exception.
        for observer in reversed(self._observers(type(event))):
            try:
                observer.function(*[event for _ in observer.argnames])
            except Exception as error:  # noqa: BLE001  # an observer's code may raise anything
                self._tell_failure(observer, error)

    def _observers(self, kind: type[Event]) -> list[pluggy.HookImpl]:
        # Asked at each operation, and pluggy makes a new list each time.
        known = self._observing
        if kind not in known:
            known[kind] = getattr(self._plugins.hook, EVENT_HOOKS[kind]).get_hookimpls()
        return known[kind]

    def _tell_failure(self, observer: pluggy.HookImpl, error: Exception) -> None:
        now = time.monotonic()
        if now - self._failures_told.get(observer.plugin_name, -math.inf) < FAILURE_TOLD_SECONDS:
            return
        self._failures_told[observer.plugin_name] = now
        logger.error(
            "The observer %s.%s failed. Payloads are not affected. Its failures are logged "
            "every %d seconds at most",
            observer.function.__module__,
            getattr(observer.function, "__qualname__", observer.function),
            FAILURE_TOLD_SECONDS,
            exc_info=error,
        )

    def offers(self, kind: KindName) -> list[Offer]:
        """Return everything that can be had, sorted by name. A name stands twice if two offer it."""
        registered = [offer for (its_kind, _), offer in self._registered.items() if its_kind == kind]
        installed = self._installed(KINDS[kind])
        return sorted([*installed, *registered], key=lambda offer: (offer.name, offer.provider))

    def driver(self, name: str) -> DriverPlugin[Any]:
        """Load the driver plugin of this name.

        Raises:
            UnknownPluginError: Nobody offers it.
            PluginConflictError: Two distributions offer it.
            PluginLoadError: It fails on import or breaks the contract.
        """
        plugin = self._load("driver", name)
        assert isinstance(plugin, DriverPlugin)
        return plugin

    def codec(self, name: str) -> CodecPlugin[Any]:
        """Load the codec plugin of this name; raises as `driver` does."""
        plugin = self._load("codec", name)
        assert isinstance(plugin, CodecPlugin)
        return plugin

    def payload_converter(self, name: str) -> PayloadConverterPlugin[Any]:
        """Load the payload converter plugin of this name; raises as `driver` does."""
        plugin = self._load("payload_converter", name)
        assert isinstance(plugin, PayloadConverterPlugin)
        return plugin

    def key_provider(self, name: str) -> KeyProviderPlugin[Any]:
        """Load the key provider plugin of this name; raises as `driver` does."""
        plugin = self._load("key_provider", name)
        assert isinstance(plugin, KeyProviderPlugin)
        return plugin

    def _installed(self, kind: Kind) -> list[Offer]:
        if kind.name not in self._found:
            # All of the group are listed, never looked up by name: pluggy's own loader would take the first
            # of two that share a name, and say nothing.
            found = entry_points(group=kind.group)
            self._found[kind.name] = [_installed_offer(kind, entry_point) for entry_point in found]
        return self._found[kind.name]

    def is_import_path(self, kind: KindName, name: str) -> bool:
        """Tell whether the name is an import path, and not that of a plugin which somebody offers."""
        try:
            return isinstance(self._find(KINDS[kind], name).source, ImportPath)
        except (UnknownPluginError, PluginConflictError):
            return False

    def _load(self, kind: KindName, name: str) -> AnyPlugin:
        if (kind, name) not in self._loaded:
            offer = self._find(KINDS[kind], name)
            self._loaded[kind, name] = self._describe(offer)
        return self._loaded[kind, name]

    def _find(self, kind: Kind, name: str) -> Offer:
        if (kind.name, name) in self._registered:
            return self._registered[kind.name, name]
        distribution, _, short_name = name.rpartition(":")
        found = [
            offer
            for offer in self._installed(kind)
            if offer.name == short_name
            and (not distribution or _normalized(distribution) == _normalized(offer.distribution))
        ]
        if not found and kind.bare is not None and is_import_path(name):
            return Offer(kind, name, "the import path", "", ImportPath(name))
        if not found:
            raise UnknownPluginError(Problem(self._unknown(kind, name)))
        if len(found) > 1:
            providers = " and ".join(str(offer) for offer in found)
            choices = " or ".join(repr(f"{offer.distribution}:{name}") for offer in found)
            raise PluginConflictError(
                Problem(
                    f"the {kind} {name!r} is offered by {providers}. Uninstall one of them, or choose one "
                    f"in its table, [{kind.table}.NAME], with type = {choices}"
                )
            )
        return found[0]

    def _unknown(self, kind: Kind, name: str) -> str:
        names = list(dict.fromkeys(offer.name for offer in self.offers(kind.name)))
        installed = f"installed: {', '.join(names)}" if names else f"no {kind} plugin is installed"
        known = kind.distributions
        if name in known:
            return f"the {kind} {name!r} is not installed ({installed}). Run: pip install {known[name]}"
        hint = did_you_mean(name, {*names, *known}) or kind.otherwise
        return f"there is no {kind} {name!r} ({installed}).{hint}"

    def _describe(self, offer: Offer) -> AnyPlugin:
        source = offer.source
        try:
            plugin = source.load() if isinstance(source, EntryPoint | ImportPath) else source
        except Exception as error:
            ours = isinstance(source, ImportPath) and type(error) is ImportError
            why = f"cannot be imported: {'' if ours else f'{type(error).__name__}: '}{error}"
            if not isinstance(source, ImportPath):
                why += ". Reinstall or update that distribution"
            raise _unusable(offer, why) from error
        hook, expected = offer.kind.hook, offer.kind.description
        try:
            description = self._described_bare(offer, plugin) or self._adopt(plugin, hook)()
        except Exception as error:
            raise _unusable(offer, f"is no valid plugin: {error}") from error
        if not isinstance(description, expected):
            returned = type(description).__name__
            raise _unusable(
                offer, f"is no valid plugin: its hook {hook} returns {returned}, not {expected.__name__}"
            )
        version: object = description.api_version
        if version != PLUGIN_API_VERSION:
            newer = isinstance(version, int) and version > PLUGIN_API_VERSION
            raise _unusable(
                offer,
                f"is written for plugin API {version!r}, this temporal-payloads speaks {PLUGIN_API_VERSION}. "
                f"Update {'temporal-payloads' if newer else offer.distribution or 'the plugin'}",
            )
        return description

    def _described_bare(self, offer: Offer, named: object) -> AnyPlugin | None:
        """Describe what an import path may lead to beside a plugin, if it does."""
        if not isinstance(offer.source, ImportPath):
            return None
        if isinstance(named, offer.kind.description):
            return named
        bare = offer.kind.bare(named, offer.source.text) if offer.kind.bare is not None else None
        if bare is None and not hasattr(named, offer.kind.hook):
            raise TypeError(
                f"it is of type {type(named).__name__}. An import path leads to {offer.kind.bare_is}, to a "
                f"{offer.kind.description.__name__}, or to an object with the hook {offer.kind.hook}"
            )
        return bare

    def _adopt(self, plugin: object, *hooks: str) -> Callable[[], object]:
        """Register with pluggy, which validates the plugin's hooks; return its function for one of these."""
        if not self._plugins.is_registered(plugin):
            try:
                # By identity: pluggy's own name for a class would be the same for each class of that name.
                self._plugins.register(plugin, name=str(id(plugin)))
                self._plugins.check_pending()
            except pluggy.PluginValidationError:
                # A hook that does not exist is a misspelt one; it must not disturb the plugins to come.
                if self._plugins.is_registered(plugin):
                    self._plugins.unregister(plugin)
                raise
            finally:
                self._observing = {}
        for hook in hooks:
            for implementation in getattr(self._plugins.hook, hook).get_hookimpls():
                wraps = implementation.wrapper or implementation.hookwrapper
                if implementation.plugin is plugin and not wraps:
                    function: Callable[[], object] = implementation.function
                    return function
        names = " or ".join(hooks)
        raise LookupError(f"it has no function {names} that is marked @hookimpl, and no wrapper")


def _installed_offer(kind: Kind, entry_point: EntryPoint) -> Offer:
    dist = entry_point.dist
    assert dist is not None  # entry_points() goes through distributions
    # The standard library's, whatever finds distributions: once somebody imports the backport
    # `importlib_metadata`, as older releases of OpenTelemetry's API do, they come as objects of its own.
    source = EntryPoint(entry_point.name, entry_point.value, entry_point.group)
    return Offer(kind, entry_point.name, f"{dist.name} {dist.version}", dist.name, source)


def _unusable(offer: Offer, why: str) -> PluginLoadError:
    whose = "" if isinstance(offer.source, ImportPath) else f" of {offer}"
    return PluginLoadError(Problem(f"the {offer.kind} {offer.name!r}{whose} {why}"))


def _normalized(distribution: str) -> str:
    # As package indexes do it: https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", distribution).lower()
