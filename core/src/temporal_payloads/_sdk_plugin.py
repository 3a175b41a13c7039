"""The converter as a plugin of the SDK's clients, workers and replayers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING
from weakref import WeakSet

import temporalio
from temporalio.common import MetricMeter
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from temporal_payloads._build.assembly import Assembly, assemble
from temporal_payloads._build.fingerprint import announce_fingerprint
from temporal_payloads._observe.metrics import Metrics
from temporal_payloads._observe.runtime_metrics import RuntimeRecorder
from temporal_payloads._observe.worker import TaskInterceptor, traced
from temporal_payloads._operate.collection.update_limit import UpdateLimit
from temporal_payloads._operate.fetching_ahead import fetching_ahead
from temporal_payloads._operate.replay_reads import ReplayReads
from temporal_payloads._settings.settings import PayloadSettings
from temporal_payloads._storage.routing import nothing_is_stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from temporalio.client import WorkflowHistory
    from temporalio.service import ConnectConfig, ServiceClient
    from temporalio.worker import Replayer, Worker, WorkerConfig, WorkflowReplayResult, WorkflowRunner

    from temporal_payloads._plugins.registry import PluginRegistry

logger = logging.getLogger("temporal_payloads")

FETCHED_AHEAD = 1 / 4
"""Part of the cache that may be fetched ahead of a replay. As much again is taken by what the replay has just
read; the rest is for another replay at the same time, or a worker."""
SDK_DEFAULT_CONCURRENCY = 3
"""The SDK's default for storage operations at once in a workflow task; it hands us its default as a value."""


class PayloadsPlugin(SimplePlugin):
    """Sets up clients, their workers, and replayers from the settings.

    On a client or replayer it builds the data converter, on top of the one they were given. Around a worker
    or a replay it opens the drivers, checks them, and closes them. A worker's storage concurrency is set
    to `storage.concurrency`, unless the worker sets another than the SDK's default of 3. The modules that the
    payload converter's plugin names are passed through the workflow sandbox, beside all that the worker's own
    `SandboxedWorkflowRunner` passes through; other runners are left alone.

    A replayer's payloads are fetched ahead, in parallel, into the cache: at most a quarter of
    `storage.cache.max_size` before they are asked for. While one history is replayed, the next one is taken
    and fetched for. Without a cache (`max_size = 0`) payloads are fetched one at a time, when asked for. A
    replay stores nothing.

    Metrics go to the SDK runtime of the client too, if that exports any, and spans of a worker's tasks are
    put below those of the SDK's OpenTelemetry interceptors; `[observability]` in the settings turns that off.

    A client's call of an update ends after half of `gc.grace`, with the SDK's
    `WorkflowUpdateRPCTimeoutOrCancelledError`: until a worker has accepted the update nothing shows what it
    refers to, and a garbage collection would take it for garbage.

    Give it to `Client.connect(..., plugins=[PayloadsPlugin()])`; workers of that client take it over.

    A store that cannot be used keeps a worker from starting: `async with Worker(...)` and
    `await worker.run()` raise the `StorageError` that says why, when each store has had `storage.timeout` to
    answer. That worker has ended then; to try again, make another one. A store that is only retrieved from
    (`retrieve_only`) may be down, and one that has a `fallback` may be out of reach: that is logged as a
    warning.

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
        """Read the settings and build the converter; nothing is opened. The class tells of the arguments."""
        # A wrong configuration shows where the plugin is made, not at some connection later.
        self._first = assemble(settings, registry=registry, required=required)
        self._settings = self._first.settings
        self._registry = registry
        self._assemblies: list[Assembly] = []
        self._never_started: WeakSet[Worker] = WeakSet()
        observers = self._first.observers
        super().__init__(
            "temporal_payloads.PayloadsPlugin",
            data_converter=self._convert,
            interceptors=[
                UpdateLimit(self._settings.gc.grace / 2),
                *([TaskInterceptor(observers)] if observers.makes_spans else ()),
            ],
            workflow_runner=self._prepare_runner,
            run_context=self._drivers_open,
        )

    async def connect_service_client(
        self,
        config: ConnectConfig,
        next: Callable[[ConnectConfig], Awaitable[ServiceClient]],  # noqa: A002  # the SDK's name for it
    ) -> ServiceClient:
        """Connect, and record metrics with the client's runtime; see `temporalio.client.Plugin`."""
        client = await super().connect_service_client(config, next)
        # A client that connects later leaves it open which runtime will be the default one.
        if config.runtime is not None or not config.lazy:
            self._measure(config.runtime)
        return client

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Set the worker's storage concurrency, and record its metrics; see `temporalio.worker.Plugin`."""
        config = super().configure_worker(config)
        self._measure(config["client"].service_client.config.runtime)
        given = config.get("max_workflow_task_external_storage_concurrency", SDK_DEFAULT_CONCURRENCY)
        if given == SDK_DEFAULT_CONCURRENCY:
            config["max_workflow_task_external_storage_concurrency"] = self._settings.storage.concurrency
        return config

    async def run_worker(
        self,
        worker: Worker,
        next: Callable[[Worker], Awaitable[None]],  # noqa: A002  # the SDK's name for it
    ) -> None:
        """Run the worker with the drivers open; see `temporalio.worker.Plugin`.

        Raises:
            StorageError: Why a store cannot be used; the worker was not started.
            RuntimeError: The worker is run again after that.
        """
        if worker in self._never_started:
            raise RuntimeError("This worker has ended, for it could not be started; make another one")
        announce_fingerprint(self._first)
        try:
            await super().run_worker(worker, next)
        except BaseException:
            if not worker.is_running and not worker.is_shutdown:
                self._never_started.add(worker)
                _end(worker)
                # `async with` may be waiting for that end. Let it notice: a failure that comes while it still
                # waits would cancel it, and it would raise the cancellation and not the reason.
                await asyncio.sleep(0)
            raise

    @asynccontextmanager
    async def run_replayer(
        self,
        replayer: Replayer,
        histories: AsyncIterator[WorkflowHistory],
        next: Callable[  # noqa: A002  # the SDK's name for it
            [Replayer, AsyncIterator[WorkflowHistory]],
            AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]],
        ],
    ) -> AsyncIterator[AsyncIterator[WorkflowReplayResult]]:
        """Replay with the drivers open, and with payloads fetched ahead; see `temporalio.worker.Plugin`.

        Raises:
            StorageError: Why a store cannot be used; nothing was replayed.
        """
        config = replayer.config(active_config=True)
        storage = self._settings.storage

        @asynccontextmanager
        async def fetching(
            replayer: Replayer, histories: AsyncIterator[WorkflowHistory]
        ) -> AsyncIterator[AsyncIterator[WorkflowReplayResult]]:
            async with AsyncExitStack() as stack:
                ahead = await stack.enter_async_context(
                    fetching_ahead(
                        histories,
                        ReplayReads(config["data_converter"], config["namespace"]),
                        concurrency=storage.concurrency,
                        max_size=int(storage.cache.max_size * FETCHED_AHEAD),
                    )
                )
                # What a replay makes goes nowhere. The tasks that make it begin here.
                with nothing_is_stored():
                    results = await stack.enter_async_context(next(replayer, ahead))
                yield results

        # Nothing is encoded for good: whoever replays need not be able to.
        async with self._drivers_open(encodes=False), fetching(replayer, histories) as results:
            yield results

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

    def _measure(self, runtime: Runtime | None) -> None:
        """Record metrics with a runtime, by default the SDK's default one, if it exports any."""
        if not self._settings.observability.runtime_metrics:
            return
        runtime = runtime or Runtime.default()
        if runtime.metric_meter is MetricMeter.noop:
            return
        for assembly in self._assemblies:
            if not assembly.observers.has(runtime):
                assembly.observers.add(Metrics(RuntimeRecorder(runtime.metric_meter)), key=runtime)

    def _prepare_runner(self, existing: WorkflowRunner | None) -> WorkflowRunner:
        """Return the runner; if it has a sandbox, with the payload converter's modules passed through it.

        With spans, it also reads the trace of each workflow.
        """
        runner = existing or SandboxedWorkflowRunner()  # the SDK's default
        modules = self._first.sandbox_passthrough
        if modules and isinstance(runner, SandboxedWorkflowRunner):
            # A copy, for the user's object may serve other workers. It keeps what a subclass has beside.
            runner = copy(runner)
            restrictions = runner.restrictions.with_passthrough_modules(*modules)
            object.__setattr__(runner, "restrictions", restrictions)  # the class is frozen
        observers = self._first.observers
        return traced(runner, observers) if observers.makes_spans else runner

    @asynccontextmanager
    async def _drivers_open(self, *, encodes: bool = True) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                for assembly in self._assemblies:
                    await stack.enter_async_context(assembly.drivers_open(check=True, encodes=encodes))
            except Exception as error:
                # Whoever waits for the worker is told; whether anybody does is not known here.
                reasons = "; ".join([str(error), *getattr(error, "__notes__", ())])
                logger.error("A worker or replay does not start: %s", reasons)  # noqa: TRY400  # raised as well
                raise
            yield


def _end(worker: Worker) -> None:
    """End a worker that was never started.

    `worker.shutdown()`, and with it `async with`, waits until a run has ended, also where none began. And the
    client refuses another worker on the same task queue while this one counts as running. The SDK has no
    public way to tell it: running a worker only to shut it down takes tasks from the queue, which are lost.
    """
    try:
        worker._shutdown_complete_event.set()  # noqa: SLF001  # see above
        worker._bridge_worker.initiate_shutdown()  # noqa: SLF001  # see above
    except AttributeError as error:
        logger.warning(
            "temporalio %s is not as temporal-payloads knows it (%s): a worker that could not be started may "
            "not end",
            temporalio.__version__,
            error,
        )
