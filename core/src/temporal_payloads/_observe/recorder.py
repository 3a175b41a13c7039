"""Where measurements go: one recorder for each way out of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads._observe.catalogue import Metric


class Recorder(Protocol):
    """Takes measurements of the metrics of the catalogue."""

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Take a measurement; a counter grows by the value, a gauge has it, a histogram counts it.

        Args:
            metric: What was measured.
            value: In the metric's unit.
            attributes: Some of the metric's; those that are not known are left out.
        """
