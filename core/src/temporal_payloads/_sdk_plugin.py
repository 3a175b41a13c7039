"""The converter as a plugin of the SDK's clients, workers and replayers."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin

from temporal_payloads._build.assembly import Assembly, assemble
from temporal_payloads._settings.settings import PayloadSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporalio.worker import WorkerConfig

    from temporal_payloads._plugins.registry import PluginRegistry

SDK_DEFAULT_CONCURRENCY = 3
"""The SDK's default for storage operations at once in a workflow task; it hands us its default as a value."""


class PayloadsPlugin(SimplePlugin):
    """Sets up clients, their workers, and replayers from the settings.

    On a client or replayer it builds the data converter, on top of the one they were given. Around a worker
    or a replay it opens the drivers, checks them, and closes them. A worker's storage concurrency is set
    to `storage.concurrency`, unless the worker sets another than the SDK's default of 3.

    Give it to `Client.connect(..., plugins=[PayloadsPlugin()])`; workers of that client take it over.

    Args:
        settings: By default `PayloadSettings.load()`, read when the plugin is made.
        registry: Where plugins are found; for plugins and observers that are registered in code.
        required: As of `build_data_converter`.

    Raises:
        ConfigurationError: As `build_data_converter` does.
    """

    def __init__(
        self,
        settings: PayloadSettings | None = None,
        *,
        registry: PluginRegistry | None = None,
        required: bool | None = None,
    ) -> None:
        # A wrong configuration shows where the plugin is made, not at some connection later.
        self._first = assemble(settings, registry=registry, required=required)
        self._settings = self._first.settings
        self._registry = registry
        self._assemblies: list[Assembly] = []
        super().__init__(
            "temporal_payloads.PayloadsPlugin",
            data_converter=self._convert,
            run_context=self._drivers_open,
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Set the worker's storage concurrency; see `temporalio.worker.Plugin`."""
        config = super().configure_worker(config)
        given = config.get("max_workflow_task_external_storage_concurrency", SDK_DEFAULT_CONCURRENCY)
        if given == SDK_DEFAULT_CONCURRENCY:
            config["max_workflow_task_external_storage_concurrency"] = self._settings.storage.concurrency
        return config

    def _convert(self, existing: DataConverter | None) -> DataConverter:
        base = existing or DataConverter.default
        if any(base is assembly.converter for assembly in self._assemblies):
            return base
        assembly = (
            self._first
            if base is DataConverter.default
            else assemble(self._settings, base=base, registry=self._registry)
        )
        if not any(assembly is known for known in self._assemblies):
            self._assemblies.append(assembly)
        return assembly.converter

    @asynccontextmanager
    async def _drivers_open(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for assembly in self._assemblies:
                await stack.enter_async_context(assembly.drivers_open(check=True))
            yield
