"""Which driver a new payload goes to."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverActivityInfo, StorageDriverWorkflowInfo

from temporal_payloads._storage.attempt import current_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import StorageDriver, StorageDriverSelectContext

    from temporal_payloads._settings.models import Route


_storing: ContextVar[bool] = ContextVar("storing", default=True)


@contextmanager
def nothing_is_stored() -> Iterator[None]:
    """Keep all new payloads where they are, in this block and in the tasks that are begun in it."""
    token = _storing.set(False)
    try:
        yield
    finally:
        _storing.reset(token)


def something_is_stored() -> bool:
    """Tell whether new payloads may be stored here."""
    return _storing.get()


@dataclass(frozen=True)
class Router:
    """The SDK's driver selector, from the settings' routes; the first match wins."""

    routes: Sequence[tuple[Route, StorageDriver | None]]
    """Each route and its driver; None keeps the payload in the history."""
    default: StorageDriver | None
    """For payloads that no route matches."""
    fallbacks: Mapping[str, StorageDriver] = field(default_factory=dict)
    """What stores in a driver's place while it cannot, by that driver's recorded name."""

    def __call__(self, context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        """Return the driver to store this payload with, or None to keep it in the history."""
        if not _storing.get():
            return None
        driver = self._routed(context, payload)
        attempt = current_attempt()
        while driver is not None and attempt is not None and driver.name() in attempt.passed_over:
            driver = self.fallbacks[driver.name()]
        return driver

    def _routed(self, context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        for route, driver in self.routes:
            if _matches(route, context, payload):
                return driver
        return self.default


def _matches(route: Route, context: StorageDriverSelectContext, payload: Payload) -> bool:
    target = context.target
    workflow_type = target.type if isinstance(target, StorageDriverWorkflowInfo) else None
    activity_type = target.type if isinstance(target, StorageDriverActivityInfo) else None
    namespace = target.namespace if target is not None else None
    return (
        _any_matches(route.workflow_type, workflow_type)
        and _any_matches(route.activity_type, activity_type)
        and _any_matches(route.namespace, namespace)
        and (route.min_size is None or payload.ByteSize() >= route.min_size)
        and (route.max_size is None or payload.ByteSize() <= route.max_size)
    )


def _any_matches(patterns: Sequence[str], name: str | None) -> bool:
    return not patterns or any(fnmatchcase(name or "", pattern) for pattern in patterns)
