"""Where measurements go: one recorder for each way out of the process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from temporal_payloads._observe.catalogue import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from temporal_payloads._observe.catalogue import Metric

Instrument = TypeVar("Instrument")

logger = logging.getLogger("temporal_payloads")


class Recorder(Protocol):
    """Takes measurements of the metrics of the catalogue."""

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Take a measurement; a counter grows by the value, a gauge has it, a histogram counts it.

        Args:
            metric: What was measured.
            value: In the metric's unit.
            attributes: Some of the metric's; those that are not known are left out.
        """


def instruments(meter: object, make: Callable[[Metric], Instrument]) -> dict[str, Instrument]:
    """Return what takes the measurements of each metric, by the metric's name.

    What cannot be made is left out, and is logged once: a meter of the application's may be of another
    version, or have an instrument of the same name.

    Args:
        meter: What makes them.
        make: Makes one of them; may raise anything.
    """
    made: dict[str, Instrument] = {}
    failures: dict[str, Exception] = {}
    for metric in METRICS:
        try:
            made[metric.name] = make(metric)
        except Exception as error:  # noqa: BLE001  # as above
            failures[metric.name] = error
    if failures:
        logger.warning(
            "%s.%s does not make the instruments of %s, which are not recorded. Payloads are not affected",
            type(meter).__module__,
            type(meter).__qualname__,
            ", ".join(failures),
            exc_info=next(iter(failures.values())),
        )
    return made
