"""What a worker keeps in memory while all around it fails."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from statistics import linear_regression
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from support.storm.worker import WorkerProcess

EVERY = 0.5
"""Seconds between two looks."""
WARM_UP = 0.4
"""Part of the time in which caches, pools and the allocator's own reserves fill."""
TEN_MINUTES = 600
MIB = 1024 * 1024


class MemoryWatch:
    """Looks at the resident memory of a worker's process for the length of a block."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._samples: list[tuple[float, float]] = []
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._looking
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)

    @property
    def peak(self) -> float:
        """MiB at most."""
        return max((size for _, size in self._samples), default=0)

    @property
    def seconds(self) -> float:
        """How long memory was looked at after the warm-up."""
        settled = self._settled()
        return settled[-1][0] - settled[0][0] if settled else 0

    @property
    def growth(self) -> float:
        """MiB in ten minutes, as far as the time after the warm-up shows it."""
        settled = self._settled()
        if len(settled) < 2:  # a line takes two points
            return 0
        times, sizes = zip(*settled, strict=True)
        return linear_regression(times, sizes).slope * TEN_MINUTES

    def write(self, file: Path) -> None:
        """Write down seconds and MiB."""
        file.write_text("".join(f"{seconds:.1f},{size:.1f}\n" for seconds, size in self._samples))

    def _settled(self) -> list[tuple[float, float]]:
        return self._samples[int(len(self._samples) * WARM_UP) :]

    async def _look(self) -> None:
        while True:
            if (pid := self._worker.pid) is not None:
                with suppress(psutil.Error):
                    size = psutil.Process(pid).memory_info().rss / MIB
                    self._samples.append((time.monotonic(), size))
            await asyncio.sleep(EVERY)
