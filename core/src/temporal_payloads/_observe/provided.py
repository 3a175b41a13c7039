"""What is made of one of OpenTelemetry's providers, once there is one that does something."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Provider = TypeVar("Provider")
Made = TypeVar("Made")

logger = logging.getLogger("temporal_payloads")

DOES_NOTHING = ("opentelemetry.metrics", "opentelemetry.trace")
"""Where the API has providers of its own: those that stand for one that is not set yet, and the no-ops."""
LOOK_EVERY = 0.1
"""Seconds. OpenTelemetry looks into the environment for a provider each time it is asked, which would be a
good part of what is done around a small payload."""


class Provided(Generic[Provider, Made]):
    """Asks for the provider until there is one, for the application may set it at any time, and only once.

    Args:
        what: What is not to be had if nothing can be made of the provider: `metrics`.
        find: Returns the provider that there is.
        make: Makes of it what is wanted.
    """

    def __init__(self, what: str, find: Callable[[], Provider], make: Callable[[Provider], Made]) -> None:
        self._what = what
        self._find = find
        self._make = make
        self._made: Made | None = None
        self._failed = False
        self._looked = -math.inf

    def get(self) -> Made | None:
        """Return what was made, or None as long as the provider does nothing, or if it has failed.

        A provider is found a tenth of a second after it was set, or sooner.
        """
        if self._made is None and not self._failed:
            now = time.monotonic()
            if now - self._looked >= LOOK_EVERY:
                self._looked = now
                self._look()
        return self._made

    def _look(self) -> None:
        try:
            provider = self._find()
            if not type(provider).__module__.startswith(DOES_NOTHING):
                self._made = self._make(provider)
        except Exception:
            # A provider's code may raise anything.
            self._failed = True
            logger.warning(
                "OpenTelemetry's provider cannot be used, so that there are no %s of payloads. Payloads are "
                "not affected",
                self._what,
                exc_info=True,
            )
