"""The key providers that codecs ask for, each made once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.credentials import check_destination
from temporal_payloads._build.findings import Findings
from temporal_payloads._build.opening import import_in_thread
from temporal_payloads._codecs.key_provider import ManagedKeyProvider
from temporal_payloads._concurrency.per_loop import PerLoop
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._plugins.keys import KeyProviderContext
from temporal_payloads._settings.models import KeyProviderTable
from temporal_payloads._settings.problems import Place, dotted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import BaseModel

    from temporal_payloads._plugins.keys import KeyProvider, KeyProviderPlugin
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.root import RootTable


class ToldElsewhereError(ConfigurationError):
    """A key's provider cannot be used, for reasons that are reported where it is configured."""


class KeyProviders:
    """The providers of one build; none is opened.

    Codecs may ask later too, when their keys have changed. Then all that is wrong is in the error.
    """

    def __init__(self, settings: RootTable, registry: PluginRegistry, findings: Findings) -> None:
        self._settings = settings
        self._registry = registry
        self._findings: Findings | None = findings
        self._asked_for: dict[str, tuple[KeyProviderPlugin[Any], BaseModel, ManagedKeyProvider] | None] = {}

    @property
    def all(self) -> dict[str, ManagedKeyProvider]:
        """Those that were asked for, by the scheme of their keys."""
        return {scheme: made[2] for scheme, made in self._asked_for.items() if made is not None}

    def provider_of(self, key: str) -> ManagedKeyProvider:
        """Return the provider of a key by its URI; see `CodecContext.key_provider`.

        Raises:
            ConfigurationError: Nobody knows such keys, or the provider cannot be made.
        """
        scheme = key.partition("://")[0]
        made = self._asked_for.get(scheme)
        if made is None and (scheme not in self._asked_for or self._findings is None):
            self._asked_for[scheme] = None
            try:
                made = self._asked_for[scheme] = self._make(scheme)
            except ConfigurationError as error:
                problems = [
                    replace(problem, message=f"the key {key!r} has no provider: {problem.message}")
                    for problem in error.problems
                ]
                raise type(error)(problems) from error.__cause__
        if made is None:
            raise ToldElsewhereError(Problem(f"the key provider {scheme!r} cannot be used"))
        plugin, options, provider = made
        try:
            plugin.check_key(options, key)
        except ValueError as error:
            raise ConfigurationError(
                Problem(f"{key!r} is no key of the provider {scheme!r}: {error}")
            ) from error
        return provider

    def end_of_build(self, *, keys_may_change: bool) -> None:
        """Report the tables of providers that nobody asked for.

        Args:
            keys_may_change: Somebody may do so yet. Then they are not wrong, but their settings may be.
        """
        assert self._findings is not None  # it ends once
        for scheme in self._settings.key_providers:
            if scheme in self._asked_for:
                continue
            if not keys_may_change:
                self._findings.add(
                    ("key_providers", scheme),
                    f"no codec has a key whose URI begins with {scheme}://. Name one, or remove the table",
                )
                continue
            try:
                self._asked_for[scheme] = self._make(scheme)
            except ConfigurationError as error:
                self._findings.add_error(error, ("key_providers", scheme))
        self._findings = None

    def _make(self, scheme: str) -> tuple[KeyProviderPlugin[Any], BaseModel, ManagedKeyProvider] | None:
        findings = self._findings or Findings(self._settings)
        made = self._found(scheme, findings)
        if findings is not self._findings:
            findings.raise_all()
        return made

    def _found(
        self, scheme: str, findings: Findings
    ) -> tuple[KeyProviderPlugin[Any], BaseModel, ManagedKeyProvider] | None:
        place: Place = ("key_providers", scheme)
        if findings.left_out(*map(str, place)):
            return None
        table = self._settings.key_providers.get(scheme, KeyProviderTable())
        try:
            plugin = self._registry.key_provider(table.type or scheme)
        except ConfigurationError as error:
            if not table.type:
                raise
            findings.add_error(error, (*place, "type"))
            return None
        check_destination(place, table, plugin, findings)
        options = findings.validated(place, table, plugin.settings)
        if options is None:
            return None
        context = KeyProviderContext(place=dotted(place))
        inner = PerLoop(partial(_open, plugin, options, context))
        return plugin, options, ManagedKeyProvider(scheme, dotted(place), inner, table.timeout)


@asynccontextmanager
async def _open(
    plugin: KeyProviderPlugin[Any], options: BaseModel, context: KeyProviderContext
) -> AsyncIterator[KeyProvider]:
    await import_in_thread(plugin.imports)
    async with plugin.open(options, context) as provider:
        yield provider
