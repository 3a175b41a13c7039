"""docs/keys.md: its commands, run one after the other, print what it shows."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest
from local_servers import start_temporal
from support.console import alike, commands, run
from support.workers import running_worker
from support.workflows import Echo, Mailbox
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._cli import main
from temporal_payloads._cli.keys_report import Verdict
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
)

PAGE = (Path(__file__).parents[2] / "docs/keys.md").read_text()
QUEUE = "orders"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a command of the page as its reader would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERS_KEY_2026_05", base64.b64encode(os.urandom(32)).decode())
    [settings] = re.findall(r"^ {4}codecs = (?:.*\n)+? {4}2026-11 = .*\n", PAGE, re.MULTILINE)
    Path("temporal-payloads.toml").write_text(dedent(settings))
    return run


@pytest.fixture
def shown(shell):
    """Run the commands of a section, and compare. Three dots are what comes before."""

    def shown(section, number=None):
        found = commands(PAGE, section)
        statuses = []
        for command, output in found if number is None else [found[number]]:
            status, printed = shell(command)
            end = output.removeprefix("...\n")
            if end != output:
                printed = "".join(printed.splitlines(keepends=True)[-len(end.splitlines()) :])
            assert alike(printed) == alike(end), command
            statuses.append(status)
        return statuses

    return shown


def set_active(key):
    file = Path("temporal-payloads.toml")
    file.write_text(re.sub(r'active = ".*"', f'active = "{key}"', file.read_text()))


def test_a_key_is_made_shown_and_compared_as_the_page_says(shown, shell):
    assert shown("Make a key") == [0]
    assert Path("orders-2026-11.key").stat().st_mode & 0o077 == 0
    assert shown("See what a process has") == [0, 0]
    both = Path("temporal-payloads.toml").read_text()
    Path("temporal-payloads.toml").write_text(both.replace("2026-11 = ", "# "))
    assert shell("temporal-payloads check --json > billing.json")[0] == 0
    Path("temporal-payloads.toml").write_text(both)
    set_active("2026-11")
    assert shown("Compare before a key writes", 0) == [1]
    set_active("2026-05")
    assert shell("temporal-payloads check --json > billing.json")[0] == 0
    set_active("2026-11")
    assert shown("Compare before a key writes", 1) == [0]


@pytest.fixture
def orders(shell, tmp_path, monkeypatch):
    """A server with the namespace of the page, and both keys."""
    shell("temporal-payloads keygen > orders-2026-11.key")
    with start_temporal(tmp_path / "temporal", namespaces=["orders"]) as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        yield server


@asynccontextmanager
async def deployed(server, active):
    """Run a worker whose key this is; yield its client."""
    set_active(active)
    converter = build_data_converter(PayloadSettings.load("temporal-payloads.toml"))
    client = await Client.connect(server.address, namespace="orders", data_converter=converter)
    async with running_worker(client, QUEUE):
        yield client


async def start(client, workflow, number):
    return await client.start_workflow(
        workflow, "order", id=f"order-{number}", task_queue=QUEUE, run_timeout=timedelta(minutes=1)
    )


async def test_what_needs_a_key_is_counted_as_the_page_says(orders, shown):
    async with deployed(orders, "2026-05") as client:
        running = await start(client, Mailbox.run, 1)
        await running.signal(Mailbox.put, "more")
        await (await start(client, Echo.run, 2)).result()
        action = ScheduleActionStartWorkflow(
            Echo.run, "order", id="nightly", task_queue=QUEUE, memo={"note": "x", "by": "y"}
        )
        await client.create_schedule(
            "nightly", Schedule(action, spec=ScheduleSpec(), state=ScheduleState(paused=True))
        )
    async with deployed(orders, "2026-11") as client:
        await (await start(client, Echo.run, 3)).result()
        await until_listed(client, 3, 1)
        assert await asyncio.to_thread(shown, "Count what still needs a key") == [0]


async def test_a_key_that_nothing_needs_is_retired_as_the_page_says(orders, shown):
    async with deployed(orders, "2026-11") as client:
        await (await start(client, Echo.run, 3)).result()
        await until_listed(client, 1, 0)
        assert await asyncio.to_thread(shown, "Retire a key") == [0]


async def until_listed(client, workflows, schedules):
    """Wait until visibility has caught up."""
    async with asyncio.timeout(60):
        while True:
            there = len([one async for one in client.list_workflows()])
            if (there, len([one async for one in await client.list_schedules()])) == (workflows, schedules):
                return
            await asyncio.sleep(0.1)


def test_the_page_and_the_command_say_alike_what_is_read(capsys):
    assert main(["keys", "--help"]) == 0
    read = re.compile(r"the histories of .*?, and counts")
    [of_the_page], [of_the_command] = (
        read.findall(" ".join(text.split())) for text in (PAGE, capsys.readouterr().out)
    )
    assert of_the_page == of_the_command


def test_the_verdicts_of_the_page_are_those_of_the_command():
    _, _, table = PAGE.partition("| verdict |")
    assert set(re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)) == set(get_args(Verdict))
