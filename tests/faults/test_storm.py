"""All faults at once, in short: the storm that `make faults` runs for as long as one likes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from support.storm.faults import OF_THE_REST, OF_THE_STORE
from support.storm.plan import Plan
from support.storm.storm import run_storm

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 15
WORKFLOWS = 30
"""`make faults` has 200; so many get through every fault on two processors in the time that CI has."""
MET = {"KeyUnavailableError", "StorageUnavailableError"}
"""What workers must at least have met: else it was fair weather."""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@pytest.mark.server
@pytest.mark.parametrize("store", ["s3", "redis"])
async def test_every_workflow_comes_through_a_storm_with_the_right_result_and_all_its_payloads(
    store: str, tmp_path: Path
) -> None:
    report = await run_storm(Plan(store=store, seed=9, seconds=SECONDS, workflows=WORKFLOWS), tmp_path, _say)
    _say(str(report))
    assert set(report.faults) == {*OF_THE_STORE, *OF_THE_REST}
    assert report.errors.keys() >= MET
    assert report.refused
    assert report.keys > 2
    assert report.findings.stored
    assert report.lost == []
    assert report.memory_is_flat
