"""docs/inspecting.md: its commands print what it shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from support.console import commands, run
from support.keys import encryption, put_keys_into_environment
from support.seeded import as_toml
from support.values import large
from support.workers import connect, running_worker
from support.workflows import Echo
from temporal_payloads import build_data_converter
from temporal_payloads._cli import decode
from temporal_payloads._codecs.compression import DEFAULT_MAX_DECODED_SIZE
from temporal_payloads._operate.inspection import exported, inspection

PAGE = (Path(__file__).parents[2] / "docs/inspecting.md").read_text()


@pytest.fixture
async def order(temporal_server, filesystem_store, tmp_path, monkeypatch):
    """A workflow of the page's name, and a place with its settings."""
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    settings = filesystem_store.settings(
        codecs=["gzip", "encryption"], codec={"encryption": encryption("key-1")}
    )
    (tmp_path / "temporal-payloads.toml").write_text(
        as_toml(settings.model_dump(mode="json", exclude_unset=True))
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    client = await connect(temporal_server, build_data_converter(settings))
    async with running_worker(client, workflows=[Echo]) as queue:
        await client.execute_workflow(Echo.run, large("order"), id="order-4711", task_queue=queue)
    history = await client.get_workflow_handle("order-4711").fetch_history()
    (tmp_path / "history.json").write_text(history.to_json())


def shapes(text):
    """Return lines without what differs from run to run."""
    return {
        re.sub(r"\s+", " ", re.sub(r"[\d,]+|\S*-\S+-\S+", "N", line)).strip() for line in text.splitlines()
    }


async def test_the_commands_print_what_is_shown(order):
    for title in ("The payloads of a workflow", "See one, save all", "Without a Temporal server"):
        for command, shown in commands(PAGE, title):
            first, *others = f"$ {command}\n{shown}".split("$ ")[1:]
            for one in (first, *others):
                line, _, printed = one.partition("\n")
                if not line.startswith("temporal-payloads ") or "|" in line:
                    continue
                status, out = await asyncio.to_thread(run, line)
                assert status == 0, line
                told = {each for each in shapes(printed) if "..." not in each and each}
                assert {each.partition(" LAYERS")[0] for each in told} <= {
                    each.partition(" LAYERS")[0] for each in shapes(out)
                }, line


def test_the_figures_are_those_of_the_code():
    assert f"no more than {inspection.ROOM >> 20} MiB of them" in PAGE
    assert f"`max_decoded_size` ({DEFAULT_MAX_DECODED_SIZE >> 20} MiB)" in PAGE
    assert f"more than\n{decode.MAX_SIZE >> 20} MiB together" in PAGE
    assert f"({exported.LARGEST >> 20} MiB at most)" in PAGE
