"""Measurements to the SDK's own metrics, which a worker's Prometheus endpoint shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.common import MetricMeter

from temporal_payloads._observe.catalogue import Metric
from temporal_payloads._observe.recorder import instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Record = Callable[[float], None]


class RuntimeRecorder:
    """Records by the meter of an SDK runtime.

    Its Prometheus exporter takes no dots in names, adds `_total` if it is told to, and gives units other
    names than Prometheus; so it gets names that are made already, and no units.

    Args:
        meter: The runtime's.
    """

    def __init__(self, meter: MetricMeter) -> None:
        self._makers = instruments(meter, lambda metric: _maker(meter, metric))
        self._made: dict[tuple[str, tuple[str, ...]], Record] = {}

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Record a measurement; see `Recorder.record`."""
        if metric.name not in self._makers:
            return
        # A time series must have every label of its metric. Prometheus takes an empty one for none.
        labels = tuple(attributes.get(name, "") for name in metric.attributes)
        record = self._made.get((metric.name, labels))
        if record is None:
            record = self._makers[metric.name](dict(zip(metric.attributes, labels, strict=True)))
            self._made[metric.name, labels] = record
        record(value)


def _maker(meter: MetricMeter, metric: Metric) -> Callable[[Mapping[str, str]], Record]:
    name, description = metric.prometheus_base, metric.description
    match metric.kind:
        case "counter":
            counter = meter.create_counter(name, description)

            def add(labels: Mapping[str, str]) -> Record:
                series = counter.with_additional_attributes(labels)
                return lambda value: series.add(int(value))

            return add
        case "gauge":
            gauge = meter.create_gauge_float(name, description)
            return lambda labels: gauge.with_additional_attributes(labels).set
        case "histogram":
            histogram = meter.create_histogram_float(name, description)
            return lambda labels: histogram.with_additional_attributes(labels).record
