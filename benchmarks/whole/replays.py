"""Replays of workflows with few and with many offloaded payloads, each the first in a process of its own."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from local_servers import start_temporal

from benchmarks.harness import MILLION, Config, Line, Report, duration
from benchmarks.servers import Servers, converter
from benchmarks.whole.pieces import PIECE_THRESHOLD, history_of
from benchmarks.whole.replay import Replayed, ReplayTask
from benchmarks.whole.stores import Store, open_stores

ROUNDS = {10: 5, 200: 3, 2_000: 1}
QUICK = {10: 1}
NO_SLOWER = 0.95
CONTESTANTS = ("peer", "ours")


@dataclass(frozen=True)
class ReplayRow:
    """What a contestant's replays took, the median round."""

    payloads: int
    contestant: str
    rounds: int
    seconds: float
    best: float
    cpu: float
    memory: int
    requests: dict[str, int]


async def run(config: Config, servers: Servers) -> Report:
    """Let both replay the same histories from S3."""
    report = Report(tables={"replays": []})
    with start_temporal(servers.directory / "replays") as server, open_stores(servers) as stores:
        for payloads, rounds in (QUICK if config.quick else ROUNDS).items():
            writer = converter(
                {"s3": servers.s3.options()}, codecs=["gzip"], storage={"threshold": PIECE_THRESHOLD}
            )
            history = servers.directory / f"history-{payloads}.json"
            history.write_text((await history_of(server.address, writer, payloads)).to_json())
            rows = await asyncio.to_thread(_race, payloads, rounds, stores["s3"], history)
            report.lines.append(_line(*rows))
            report.tables["replays"] += [asdict(row) for row in rows]
    return report


def _race(payloads: int, rounds: int, store: Store, history: Path) -> list[ReplayRow]:
    taken: dict[str, list[Replayed]] = {name: [] for name in CONTESTANTS}
    requests: dict[str, Counter[str]] = {}
    for number in range(rounds):
        for name in CONTESTANTS[:: -1 if number % 2 else 1]:
            before = store.requests()
            taken[name].append(_replay(name, store, history))
            requests[name] = store.requests() - before
    return [
        ReplayRow(
            payloads,
            name,
            rounds,
            statistics.median(each.seconds for each in taken[name]),
            min(each.seconds for each in taken[name]),
            statistics.median(each.cpu for each in taken[name]),
            max(each.memory for each in taken[name]),
            dict(requests[name]),
        )
        for name in CONTESTANTS
    ]


def _replay(contestant: str, store: Store, history: Path) -> Replayed:
    home = history.parent / str(uuid.uuid4())
    home.mkdir()
    task = ReplayTask(contestant, store.name, store.access, str(home), str(history))
    command = [sys.executable, "-m", "benchmarks.whole.replay", json.dumps(asdict(task))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Replayed(**json.loads(done.stdout))


def _line(peer: ReplayRow, ours: ReplayRow) -> Line:
    ratio = peer.seconds / ours.seconds
    return Line(
        f"replay of a workflow with {peer.payloads:,} offloaded payloads, new process, imports too",
        f"{duration(peer.seconds)}, {peer.memory / MILLION:.0f} MB",
        f"{duration(ours.seconds)}, {ours.memory / MILLION:.0f} MB",
        ratio,
        "no slower",
        ratio >= NO_SLOWER,
        peer.best / ours.best,
    )
