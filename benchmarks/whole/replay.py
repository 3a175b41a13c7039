"""A replay, the first in a process of its own: `python -m benchmarks.whole.replay TASK`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from benchmarks.whole.contestants import set_up
from benchmarks.whole.pieces import PIECE_THRESHOLD, ManyPieces
from benchmarks.whole.usage import keep_standard_output, usage


@dataclass(frozen=True)
class ReplayTask:
    """What the process is told."""

    contestant: str
    store: str
    access: dict[str, str]
    directory: str
    history: str
    """A file."""


@dataclass(frozen=True)
class Replayed:
    """What it took, with everything that is imported and opened for it."""

    seconds: float
    cpu: float
    memory: int


async def replay(task: ReplayTask, history: WorkflowHistory) -> Replayed:
    """Time a replay."""
    before, start = usage(), time.perf_counter()
    async with set_up(
        task.contestant, task.store, task.access, Path(task.directory), PIECE_THRESHOLD
    ) as connection:
        # Without an identifier the SDK compiles all modules of the process to make one, for a second or more.
        replayer = Replayer(workflows=[ManyPieces], build_id="benchmark", **connection)
        await replayer.replay_workflow(history)
    seconds, after = time.perf_counter() - start, usage()
    return Replayed(seconds, after.cpu - before.cpu, after.peak - before.memory)


def main(argument: str) -> None:
    """Replay what the task names, and say what it took."""
    task = ReplayTask(**json.loads(argument))
    history = WorkflowHistory.from_json("replayed", Path(task.history).read_text())
    with keep_standard_output() as answers:
        answers.write(json.dumps(asdict(asyncio.run(replay(task, history)))))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main(sys.argv[1])
