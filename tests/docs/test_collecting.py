"""docs/collecting.md: what it says in numbers and names is what the collector has."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

from temporal_payloads._cli.commands import COMMANDS, Group
from temporal_payloads._operate.collection import schedules, sweeping
from temporal_payloads._operate.collection.lease import EXPIRES
from temporal_payloads._operate.collection.rules import Rule
from temporal_payloads._operate.collection.workflow import CollectionWorkflow
from temporal_payloads._operate.marks import PARTS, WIDTH
from temporal_payloads._settings.collection import DEFAULT_GRACE, LEAST_GRACE
from temporal_payloads._storage.recently_stored import REMEMBERED_SECONDS
from temporalio.service import RetryConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/collecting.md").read_text()
TEXT = " ".join(PAGE.split())
CONDEMNED = {Rule.UNREFERENCED, Rule.DUE}
OF_UNDO = {Rule.UNDONE, Rule.NOT_ASIDE}


def test_every_rule_that_keeps_a_payload_is_told():
    told = set(re.findall(r"^\| ([^|`]+) \|", PAGE.partition("| why it stays |")[2], re.MULTILINE))
    assert {rule.value for rule in Rule} - CONDEMNED - OF_UNDO <= told


def test_the_grace_is_as_told():
    assert timedelta(days=7) == DEFAULT_GRACE
    assert "default of 7 days" in TEXT
    assert timedelta(hours=1) == LEAST_GRACE
    assert "An hour is the least that is accepted" in TEXT
    assert REMEMBERED_SECONDS == 60
    assert "returns the claim again without asking the store | 60 s |" in TEXT
    assert RetryConfig().max_elapsed_time_millis == 10_000
    assert "the SDK's clients ten seconds (`RetryConfig`)" in TEXT


def test_how_long_a_killed_collection_keeps_others_away_is_as_told():
    assert timedelta(minutes=5) == EXPIRES
    assert "keeps others away for 5 minutes" in TEXT


def test_the_commands_are_those_that_there_are():
    group = COMMANDS["gc"]
    assert isinstance(group, Group)
    assert set(re.findall(r"temporal-payloads gc ([a-z][a-z-]*)", PAGE)) == set(group.commands)


def test_what_memory_takes_is_as_told():
    assert (PARTS, WIDTH) == (256, 16)
    assert f"in {PARTS} parts" in TEXT
    assert 10**9 * WIDTH / PARTS == 62.5e6
    assert "62 MB in memory for a part" in TEXT


def test_what_a_listing_takes_on_the_local_disk_is_as_told():
    record = [
        {"bucket": "b" * 20, "key": "k" * 200, "hash_algorithm": "sha256", "hash_value": "0" * 64},
        ["orders", "0" * 64, "workflow", "w" * 30, "r" * 36],
        *(70_000, '"' + "e" * 34 + '"', 1_780_000_000_000_000, False),
    ]
    size = len(json.dumps(record, separators=(",", ":"))) + WIDTH + 4
    assert 400 <= size < 700
    assert callable(sweeping.packed)
    assert "400 to 700 bytes for each object" in TEXT


def test_a_schedule_s_workflows_are_called_as_told():
    assert "`<id of its action>-<time>`" in TEXT
    assert schedules.action_of("report-2026-11-30T06:25:00Z") == "report"


def test_the_workflow_has_the_query_that_is_told():
    assert callable(CollectionWorkflow.progress)
    assert "query, `progress`" in TEXT


def test_the_figures_are_those_that_were_measured():
    lines = json.loads((ROOT / "benchmarks/results/results.json").read_text())["lines"]
    measured = [line["ours"] for line in lines if " collection of " in line["what"]]
    told = re.findall(
        r"^\| (?:first collection|the next one)[^|]*\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE
    )
    assert [f"{time}, {memory}, {read} histories read" for time, memory, read in told] == measured
