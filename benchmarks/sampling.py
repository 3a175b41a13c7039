"""Where a process's time goes: its threads are looked at every few milliseconds.

What a thread has used of a processor since the last look is put down to the code that it is in now, and a
function written in C to the Python line that calls it. What no Python thread has used is the Rust core's.
"""

from __future__ import annotations

import gc
import linecache
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

INTERVAL = 0.002
COLLECTOR = "garbage collector"
IDLE = "idle"
WAITING = {("selectors.py", "select"), ("thread.py", "_worker")}
"""Where threads are that have nothing to do: the event loop's, and those of a pool."""

Layers = Sequence[tuple[str, str, str]]
"""A layer, a pattern of the file that a frame is in, and one of its current line. The first match counts."""


Seconds = defaultdict[str, float]


def _seconds() -> Seconds:
    return defaultdict(float)


@dataclass
class Profile:
    """Seconds by layer."""

    cpu: Seconds = field(default_factory=_seconds)
    """Of processors: more than the time that has passed if several threads were at work."""
    wall: Seconds = field(default_factory=_seconds)
    """Of the time that has passed: what was used of processors, and what was waited for."""


class Sampler:
    """Profiles the process while the block runs.

    Args:
        layers: Which code is whose, from the innermost frame outwards.
        elsewhere: The layer of Python code that none of them claims.
        outside: The layer of what is not Python.
        waiting: Tells what is waited for now, if no thread is at work.
    """

    def __init__(self, layers: Layers, *, elsewhere: str, outside: str, waiting: Callable[[], str]) -> None:
        self._layers = [(layer, re.compile(file), re.compile(line)) for layer, file, line in layers]
        self._elsewhere = elsewhere
        self._outside = outside
        self._waiting = waiting
        self._known: dict[tuple[str, int], str | None] = {}
        self._seen: defaultdict[int, Seconds] = defaultdict(_seconds)
        self._collected: defaultdict[int, float] = defaultdict(float)
        self._collections: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.profile = Profile()

    def __enter__(self) -> Profile:
        self._switch_interval = sys.getswitchinterval()
        # The sampler must get its turn soon, or it finds threads where they are no longer at work.
        sys.setswitchinterval(INTERVAL / 2)
        gc.callbacks.append(self._collecting)
        self._thread.start()
        return self.profile

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        gc.callbacks.remove(self._collecting)
        sys.setswitchinterval(self._switch_interval)
        self._share_out()

    def _run(self) -> None:
        before, wall_before, process_before = self._clocks(), time.perf_counter(), time.process_time()
        while not self._ended.wait(INTERVAL):
            now, wall, process = self._clocks(), time.perf_counter(), time.process_time()
            frames = sys._current_frames()  # noqa: SLF001  # documented, for all its name
            used = _seconds()
            python = 0.0
            for thread, clock in now.items():
                spent = clock - before.get(thread, 0.0)
                python += spent
                frame = frames.get(thread)
                if thread != self._thread.ident and frame is not None:
                    collected = min(spent, self._take_collected(thread, clock))
                    used[COLLECTOR] += collected
                    layer = self._layer(frame)
                    used[layer] += spent - collected
                    self._seen[thread][layer] += spent - collected
            del frames
            used[self._outside] += max(0.0, process - process_before - python)
            self._note(used, wall - wall_before)
            before, wall_before, process_before = now, wall, process

    def _note(self, used: Seconds, passed: float) -> None:
        busy = sum(used.values())
        share = min(1.0, passed / busy) if busy else 0.0  # several threads may be at work at the same time
        for layer, seconds in used.items():
            self.profile.cpu[layer] += seconds
            self.profile.wall[layer] += seconds * share
        self.profile.wall[self._waiting()] += max(0.0, passed - busy)

    def _share_out(self) -> None:
        """Put down what threads had done before they were found waiting: to what else they were found at."""
        cpu, wall = self.profile.cpu, self.profile.wall
        idle = cpu.pop(IDLE, 0.0)
        share = wall.pop(IDLE, 0.0) / idle if idle else 0.0
        for seen in self._seen.values():
            unknown = seen.pop(IDLE, 0.0)
            known = sum(seen.values())
            for layer, seconds in seen.items() if known else [(self._elsewhere, 1.0)]:
                part = unknown * seconds / (known or 1.0)
                cpu[layer] += part
                wall[layer] += part * share

    def _collecting(self, phase: str, _: object) -> None:
        """Time the garbage collector, which runs within whatever has just allocated something."""
        thread, now = threading.get_ident(), time.thread_time()
        if phase == "start":
            self._collections[thread] = now
        else:
            self._collected[thread] += now - self._collections.pop(thread, now)

    def _take_collected(self, thread: int, now: float) -> float:
        """What the collector has used in this thread since the last look."""
        collected = self._collected.pop(thread, 0.0)
        began = self._collections.get(thread)
        if began is not None:
            collected += now - began
            self._collections[thread] = now
        return collected

    def _clocks(self) -> dict[int, float]:
        """What each Python thread has used of a processor so far."""
        clocks: dict[int, float] = {}
        for thread in threading.enumerate():
            if thread.ident is not None and thread.native_id is not None:
                try:
                    clocks[thread.ident] = time.clock_gettime(_clock_of(thread.native_id))
                except OSError:  # it has just ended
                    continue
        return clocks

    def _layer(self, frame: FrameType) -> str:
        if (frame.f_code.co_filename.rpartition("/")[2], frame.f_code.co_name) in WAITING:
            return IDLE
        at: FrameType | None = frame
        while at is not None:
            place = (at.f_code.co_filename, at.f_lineno or 0)
            if place not in self._known:
                self._known[place] = self._layer_of(*place)
            layer = self._known[place]
            if layer is not None:
                return layer
            at = at.f_back
        return self._elsewhere

    def _layer_of(self, file: str, number: int) -> str | None:
        line = linecache.getline(file, number)
        file = file.replace(os.sep, "/")
        return next((name for name, of, at in self._layers if of.search(file) and at.search(line)), None)


def _clock_of(native_id: int) -> int:
    """Return Linux's clock of one thread, as `pthread_getcpuclockid` does: that one must not be asked of a
    thread that has ended, and this one may be."""
    return (~native_id << 3) | 6
