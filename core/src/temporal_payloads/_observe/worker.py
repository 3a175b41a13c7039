"""What a worker must be given so that the spans of its tasks belong to the right traces."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.worker import ActivityInboundInterceptor, Interceptor, WorkflowInstance, WorkflowRunner

if TYPE_CHECKING:
    from temporalio.bridge.proto.workflow_activation import WorkflowActivation
    from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
    from temporalio.worker import ExecuteActivityInput, WorkflowInstanceDetails

    from temporal_payloads._observe.observers import Observers

Runner = TypeVar("Runner", bound=WorkflowRunner)


class TaskInterceptor(Interceptor):
    """Reads the trace of each activity in its headers."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name for it
        """Return an interceptor of one activity."""
        return _ActivityTask(next, self._observers)


class _ActivityTask(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, observers: Observers) -> None:  # noqa: A002  # as above
        super().__init__(next)
        self._observers = observers

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # as above
        self._observers.activity(input.headers)
        return await super().execute_activity(input)


def traced(runner: Runner, observers: Observers) -> Runner:
    """Return a copy of a workflow runner that reads the trace of each workflow in its headers.

    Nothing is done inside the sandbox or by the workflow's clock: only what the worker hands over is read.
    The copy is of a subclass, which stays when another plugin makes a copy of it in turn.
    """
    its_class = type(runner)

    def create_instance(self: Runner, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = its_class.create_instance(self, det)
        activate, headers = instance.activate, det.info.headers

        def traced_activate(act: WorkflowActivation) -> WorkflowActivationCompletion:
            observers.workflow_task(act.run_id, headers, replaying=act.is_replaying)
            return activate(act)

        instance.activate = traced_activate  # type: ignore[method-assign]  # all else is the SDK's
        return instance

    members = {
        "create_instance": create_instance,
        "__module__": its_class.__module__,
        "__qualname__": its_class.__qualname__,
    }
    result = copy(runner)
    # The runner may be frozen.
    object.__setattr__(result, "__class__", type(its_class.__name__, (its_class,), members))
    return result
