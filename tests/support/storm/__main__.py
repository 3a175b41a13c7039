"""`make faults`: the storm over each store in turn, for as long as one likes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from support.storm.deployment import STORES
from support.storm.faults import OF_THE_REST, OF_THE_STORE
from support.storm.plan import Plan
from support.storm.storm import run_storm


def main() -> int:
    """Run a storm over each store; print what happens, and a summary line for each."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long for each store (default: 180)")
    parser.add_argument("--workflows", type=int, default=200, help="how many for each store (default: 200)")
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--seed", type=int, help="what is broken when (default: anything)")
    parser.add_argument(
        "--fault", action="append", choices=[*OF_THE_STORE, *OF_THE_REST], help="only this one (repeatable)"
    )
    parser.add_argument("--keep", type=Path, help="keep data and logs in this directory, which must be new")
    arguments = parser.parse_args()
    # What clients and moto say of each fault; workers have logs of their own.
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    reports = []
    for store in [arguments.store] if arguments.store else STORES:
        _say(f"-- {store}, --seed {seed}")
        plan = Plan(store=store, seed=seed, seconds=arguments.seconds, workflows=arguments.workflows)
        if arguments.fault:
            plan = replace(plan, faults=frozenset(arguments.fault))
        with _directory(arguments.keep, store) as directory:
            report = asyncio.run(run_storm(plan, directory, _say))
        for kind, counts in (("faults", report.faults), ("errors met", report.errors)):
            _say(f"   {kind}: {', '.join(f'{name} {count}' for name, count in sorted(counts.items()))}")
        _say(f"   tries that clients repeated: {report.refused}")
        for reason in report.lost:
            _say(f"   LOST: {reason}")
        reports.append(report)
    for report in reports:
        _say(str(report))
    return int(not all(report.is_good for report in reports))


@contextmanager
def _directory(keep: Path | None, store: str) -> Iterator[Path]:
    if keep:
        (keep / store).mkdir(parents=True)
        yield keep / store
        return
    with tempfile.TemporaryDirectory(prefix=f"storm-{store}-") as directory:
        yield Path(directory)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
