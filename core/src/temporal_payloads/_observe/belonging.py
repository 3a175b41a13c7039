"""Whose payloads are being handled, as far as the SDK says."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverActivityInfo, StorageDriverWorkflowInfo

if TYPE_CHECKING:
    from contextvars import Token

    from temporalio.converter import SerializationContext

    Target = StorageDriverActivityInfo | StorageDriverWorkflowInfo | None


@dataclass(frozen=True, slots=True)
class Belonging:
    """What payloads belong to. Each part is None where it is not known."""

    namespace: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    """Of the workflow; of the activity, if no workflow started it."""
    activity_id: str | None = None

    @classmethod
    def of(cls, context: SerializationContext | None, target: Target = None) -> Belonging:
        """Return what the SDK's two contexts say together.

        Args:
            context: What the converter was bound to.
            target: Whose payload the external storage stores.
        """
        if context is None and target is None:
            return UNKNOWN
        workflow_id = getattr(context, "workflow_id", None)
        activity_id = getattr(context, "activity_id", None)
        if isinstance(target, StorageDriverWorkflowInfo):
            workflow_id = target.id
        elif isinstance(target, StorageDriverActivityInfo):
            activity_id = target.id
        return cls(
            namespace=getattr(context, "namespace", None) or (target.namespace if target else None) or None,
            workflow_id=workflow_id or None,
            run_id=target.run_id if target else None,
            activity_id=activity_id or None,
        )

    def within(self, outer: Belonging) -> Belonging:
        """Return the same, with what is known of the same workflow or activity around it."""
        if outer is UNKNOWN:
            return self
        same_workflow = self.workflow_id in (None, outer.workflow_id)
        if not same_workflow or self.activity_id not in (None, outer.activity_id):
            return self
        return Belonging(
            namespace=self.namespace or outer.namespace,
            workflow_id=outer.workflow_id,
            run_id=self.run_id or outer.run_id,
            activity_id=outer.activity_id,
        )


UNKNOWN = Belonging()
"""What payloads belong to of which the SDK tells nothing."""
_current: ContextVar[Belonging] = ContextVar("belonging", default=UNKNOWN)


def current_belonging() -> Belonging:
    """Return whose payloads are being handled here."""
    return _current.get()


def begin_task(context: SerializationContext | None, target: Target) -> bool:
    """Let all that is done from here on be done for these, if this is the beginning of a worker's task.

    The SDK's worker binds a converter to the task at first, in the asyncio task that is for it alone.

    Args:
        context: What the converter was bound to.
        target: Whose payloads it stores.

    Returns:
        Whether a task begins here.
    """
    # Only a worker knows both the run and the type. In a task, converters are bound for what it starts, too.
    if target is None or not target.run_id or not target.type or _current.get().run_id is not None:
        return False
    _current.set(Belonging.of(context, target))
    return True


class belonging_to:  # noqa: N801  # it is used as a function
    """Let what is done in this block, and in the tasks that are begun in it, be done for these."""

    # Not a generator, which costs several times as much: every call of a codec has one of these.
    __slots__ = ("_belonging", "_token")

    def __init__(self, belonging: Belonging) -> None:
        self._belonging = belonging

    def __enter__(self) -> None:
        self._token: Token[Belonging] = _current.set(self._belonging)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


_AS_BEFORE = nullcontext()


def belonging_here_to(belonging: Belonging) -> AbstractContextManager[None]:
    """Let the same be done for these, and for what is known of the same workflow or activity around them."""
    outer = _current.get()
    if belonging is UNKNOWN or belonging is outer:
        return _AS_BEFORE
    return belonging_to(belonging.within(outer))
