"""All faults at once, in short: the storm that `make faults` runs for as long as one likes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.storm.deployment import STORES
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


def _require_mounts_for(store: str, directory: Path) -> None:
    if store == "filesystem":
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("this machine lets nobody mount, or root alone")
        subprocess.run(["umount", directory], check=True)


@pytest.mark.server
@pytest.mark.parametrize("store", ["s3", "redis", "azure_blob", "filesystem", "gcs", "postgres"])
async def test_every_workflow_comes_through_a_storm_with_the_right_result_and_all_its_payloads(
    store: str, tmp_path: Path
) -> None:
    _require_mounts_for(store, tmp_path)
    report = await run_storm(Plan(store=store, seed=9, seconds=SECONDS, workflows=WORKFLOWS), tmp_path, _say)
    _say(str(report))
    assert set(report.faults) == {*OF_THE_STORE, *OF_THE_REST} - STORES[store].spared
    assert report.errors.keys() >= MET
    assert report.refused
    assert report.keys > 2
    assert report.findings.stored
    assert report.lost == []
    assert report.memory_is_flat
