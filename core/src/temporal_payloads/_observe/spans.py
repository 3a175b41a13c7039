"""From events to OpenTelemetry spans, each below the span of the SDK's that it belongs to.

A client encodes while the span of its call is the current one. A worker decodes a task's payloads before the
SDK's interceptors see the task, and encodes its results after they have left it: no span is current then. But
the trace stands in the task's headers. What is done before those are known is held until they are.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.converter import PayloadConverter, WorkflowSerializationContext

from temporal_payloads._observe.belonging import Belonging, current_belonging
from temporal_payloads._observe.provided import Provided
from temporal_payloads._plugins.events import CodecEvent, StorageEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue
    from temporalio.api.common.v1 import Payload
    from temporalio.converter import SerializationContext

    from temporal_payloads._observe.belonging import Target
    from temporal_payloads._plugins.events import Event

SCOPE = "temporal_payloads"
HEADER = "_tracer-data"
"""The header in which the SDK's interceptors hand the trace on, both the older one and the newer one."""
MOST_HELD = 1000
"""Events of one task that wait for its trace; of more there are no spans."""
LONGEST_HEADER = 8192
"""Bytes; the W3C's headers have a few hundred."""
NANOSECONDS = 1_000_000_000


@dataclass(eq=False)
class WorkerTask:
    """A workflow task or an activity on a worker, and where in a trace it belongs once that is known."""

    ambient: trace.SpanContext
    """The span that was current already when it began: the worker's, if anybody's, and not the task's."""
    known: bool = False
    parent: trace.SpanContext | None = None
    """The span of whoever started the workflow or scheduled the activity; None if nobody traces it."""
    replaying: bool = False
    held: list[tuple[StorageEvent | CodecEvent, Belonging]] = field(default_factory=list)


_current_task: ContextVar[WorkerTask | None] = ContextVar("worker_task", default=None)
_workflow_tasks: WeakValueDictionary[str, WorkerTask] = WeakValueDictionary()
"""The workflow tasks under way, by the run's id. A task lives as long as the asyncio task that does it."""


class Spans:
    """Makes the spans, by the application's tracer provider. It may be set later than this is made."""

    def __init__(self) -> None:
        self._tracer = Provided(
            "spans", trace.get_tracer_provider, lambda provider: provider.get_tracer(SCOPE)
        )

    def is_heard(self) -> bool:
        """Whether what happens here may have a span: there is one to put it below, or may turn out to be."""
        if self._tracer.get() is None:
            return False
        return _current_task.get() is not None or trace.get_current_span().get_span_context().is_valid

    def __call__(self, event: Event) -> None:
        """Make the span of an event, or hold the event until its task's trace is known."""
        if not isinstance(event, StorageEvent | CodecEvent):
            return
        current = trace.get_current_span().get_span_context()
        task = _current_task.get()
        if task is None or (current.is_valid and current != task.ambient):
            if current.is_valid:
                self._make(event, current_belonging(), current, replaying=False)
        elif not task.known:
            if len(task.held) < MOST_HELD:
                task.held.append((event, current_belonging()))
        elif task.parent is not None:
            self._make(event, current_belonging(), task.parent, replaying=task.replaying)

    # -- tasks

    def begin(self, context: SerializationContext | None, target: Target) -> None:
        """Begin a task; see `TaskTraces.begin`."""
        if self._tracer.get() is None:
            return
        task = WorkerTask(trace.get_current_span().get_span_context())
        _current_task.set(task)
        # An activity has its workflow for a target too, and does not come here for its headers.
        if isinstance(context, WorkflowSerializationContext) and target is not None and target.run_id:
            _workflow_tasks[target.run_id] = task

    def workflow_task(self, run_id: str, headers: Mapping[str, Payload], *, replaying: bool) -> None:
        """Put a workflow task where it belongs; see `TaskTraces.workflow_task`."""
        task = _workflow_tasks.get(run_id)
        if task is not None:
            self._known(task, headers, replaying=replaying)

    def activity(self, headers: Mapping[str, Payload]) -> None:
        """Put the activity that begins here where it belongs; see `TaskTraces.activity`."""
        task = _current_task.get()
        if task is not None:
            self._known(task, headers, replaying=False)

    def _known(self, task: WorkerTask, headers: Mapping[str, Payload], *, replaying: bool) -> None:
        task.known, task.replaying, task.parent = True, replaying, _trace_of(headers)
        held, task.held = task.held, []
        if task.parent is not None:
            for event, belonging in held:
                self._make(event, belonging, task.parent, replaying=replaying)

    # -- spans

    def _make(
        self,
        event: StorageEvent | CodecEvent,
        belonging: Belonging,
        parent: trace.SpanContext,
        *,
        replaying: bool,
    ) -> None:
        tracer = self._tracer.get()
        if tracer is None:
            return
        attributes: dict[str, AttributeValue] = {
            "temporal_payloads.payloads": event.payloads,
            "temporal_payloads.replaying": replaying,
        }
        known = {
            "temporal_payloads.namespace": event.namespace,
            # As the SDK's interceptors name them.
            "temporalWorkflowID": belonging.workflow_id,
            "temporalRunID": belonging.run_id,
            "temporalActivityID": belonging.activity_id,
            "error.type": event.error,
        }
        attributes |= {name: value for name, value in known.items() if value is not None}
        if isinstance(event, StorageEvent):
            what, kind = event.driver, trace.SpanKind.CLIENT
            attributes |= {
                "temporal_payloads.driver": event.driver,
                "temporal_payloads.size": event.size,
                "temporal_payloads.keys": list(event.keys),
                "temporal_payloads.cache_hits": event.cache_hits,
                "temporal_payloads.dedupe_hits": event.dedupe_hits,
                "temporal_payloads.retries": event.retries,
            }
        else:
            what, kind = event.codec, trace.SpanKind.INTERNAL
            attributes |= {
                "temporal_payloads.codec": event.codec,
                "temporal_payloads.size_before": event.size_before,
                "temporal_payloads.size_after": event.size_after,
            }
        span = tracer.start_span(
            f"{event.operation} {what}",
            context=trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            kind=kind,
            attributes=attributes,
            start_time=event.started,
        )
        if event.error is not None:
            span.set_status(trace.StatusCode.ERROR, event.error)
        span.end(end_time=event.started + int(event.duration * NANOSECONDS))


def _trace_of(headers: Mapping[str, Payload]) -> trace.SpanContext | None:
    """Return the span that headers name, or None. They are input, and may hold anything."""
    payload = headers.get(HEADER)
    if payload is None or len(payload.data) > LONGEST_HEADER:
        return None
    with suppress(Exception):
        [carrier] = PayloadConverter.default.from_payloads([payload])
        span = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier))
        context = span.get_span_context()
        return context if context.is_valid else None
    return None
