"""docs/usage.md: its command prints what it shows."""

import asyncio
from pathlib import Path

import pytest
from support.console import commands, run
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

PAGE = (Path(__file__).parents[2] / "docs/usage.md").read_text()


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """What is stored in the page's example."""
    monkeypatch.chdir(tmp_path)
    table = '[storage.drivers.payloads]\ntype = "filesystem"\npath = "files"\n'
    Path("temporal-payloads.toml").write_text(table)
    asyncio.run(store(build(PayloadSettings.load()).drivers["payloads"]))


async def store(driver):
    for namespace, type_, workflows, count, size in (
        ("orders", "OrderBatch", 3, 40, 350_000),
        ("orders", "Refund", 1, 12, 300_000),
        ("billing", "Invoice", 1, 25, 700_000),
    ):
        for number in range(workflows):
            target = StorageDriverWorkflowInfo(namespace=namespace, type=type_, id=f"{type_}-{number}")
            # A quarter is the same for each workflow.
            texts = [f"{type_} {n} of {number if n % 4 else 'all'}" for n in range(count)]
            payloads = [Payload(data=text.encode().ljust(size)) for text in texts]
            await driver.store(StorageDriverStoreContext(target=target), payloads)


def test_what_is_stored_is_counted_as_the_page_shows(stored):
    [(command, shown), (to_page, nothing)] = commands(PAGE, "Count what is stored")
    # Here the output is no text of a known encoding.
    assert run(command) == (0, shown.replace("█", "#"))
    assert nothing == "...\n"
    assert run(to_page)[0] == 0
    assert Path("usage.html").read_text(encoding="utf-8").startswith("<!doctype html>")
