"""Everybody who is told of events: the observers of the registry, metrics and spans."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from temporal_payloads._plugins.events import Event

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload
    from temporalio.converter import SerializationContext

    from temporal_payloads._observe.belonging import Target
    from temporal_payloads._plugins.registry import PluginRegistry

logger = logging.getLogger("temporal_payloads")

FAILURE_TOLD_SECONDS = 60.0
Sink = Callable[[Event], None]


def _always() -> bool:
    return True


class TaskTraces(Protocol):
    """What puts spans where they belong, and for that must know of a worker's tasks."""

    def begin(self, context: SerializationContext | None, target: Target) -> None:
        """Note that a worker's task begins here; see `begin_task`."""

    def workflow_task(self, run_id: str, headers: Mapping[str, Payload], *, replaying: bool) -> None:
        """Tell where a workflow task belongs, after its payloads were decoded and before the workflow runs.

        Args:
            run_id: The run's id.
            headers: Those that the workflow was started with.
            replaying: Whether the task repeats what happened before.
        """

    def activity(self, headers: Mapping[str, Payload]) -> None:
        """Tell where the activity that begins here belongs, by its headers."""


class Observers:
    """Tells of events. Nobody who fails keeps others from hearing, nor the payloads from going on.

    Args:
        registry: Whose observers are told.
        traces: What makes spans, if anything does.
    """

    def __init__(self, registry: PluginRegistry, traces: TaskTraces | None = None) -> None:
        self._registry = registry
        self._traces = traces
        self._sinks: dict[object, tuple[Sink, Callable[[], bool]]] = {}
        self._told = -math.inf

    def add(self, sink: Sink, key: object = None, *, is_heard: Callable[[], bool] = _always) -> None:
        """Tell one more.

        Args:
            sink: Who is told.
            key: Something by which it is known that it was added.
            is_heard: Whether what it makes of an event gets anywhere now. It is asked at each event.
        """
        # Anew, for another thread may be going through it.
        self._sinks = {**self._sinks, sink if key is None else key: (sink, is_heard)}

    def has(self, key: object) -> bool:
        """Whether somebody was added for the key."""
        return key in self._sinks

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody is told of such events now: if not, they need not be made."""
        for _, is_heard in self._sinks.values():
            try:
                if is_heard():
                    return True
            except Exception as error:  # noqa: BLE001  # the application's code, which may raise anything
                self._tell_failure(error)
        return self._registry.observes(kind)

    def notify(self, event: Event) -> None:
        """Tell of an event."""
        for sink, is_heard in self._sinks.values():
            try:
                if is_heard():
                    sink(event)
            except Exception as error:  # noqa: BLE001  # as above
                self._tell_failure(error)
        self._registry.notify(event)

    @property
    def makes_spans(self) -> bool:
        """Whether something wants to know of a worker's tasks."""
        return self._traces is not None

    def begin(self, context: SerializationContext | None, target: Target) -> None:
        """Tell of a task; see `TaskTraces.begin`."""
        if self._traces is not None:
            with self._safely():
                self._traces.begin(context, target)

    def workflow_task(self, run_id: str, headers: Mapping[str, Payload], *, replaying: bool) -> None:
        """Tell of a workflow task; see `TaskTraces.workflow_task`."""
        if self._traces is not None:
            with self._safely():
                self._traces.workflow_task(run_id, headers, replaying=replaying)

    def activity(self, headers: Mapping[str, Payload]) -> None:
        """Tell of an activity; see `TaskTraces.activity`."""
        if self._traces is not None:
            with self._safely():
                self._traces.activity(headers)

    @contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  # as above
            self._tell_failure(error)

    def _tell_failure(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told >= FAILURE_TOLD_SECONDS:
            self._told = now
            logger.error(
                "Metrics or spans could not be recorded. Payloads are not affected. This is logged every "
                "%d seconds at most",
                FAILURE_TOLD_SECONDS,
                exc_info=error,
            )
