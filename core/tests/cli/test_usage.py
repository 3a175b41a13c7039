"""`temporal-payloads usage`: what is printed, and how it ends. What is counted: core/tests/operate/usage."""

import json
import re
from pathlib import Path

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._cli import usage
from temporal_payloads._operate.usage.listing import count_stores
from temporal_payloads._storage.errors import StorageUnavailableError
from temporal_payloads._storage.memory_driver import MemoryDriver
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

FILES = """
[[gc.owners]]
namespaces = ["billing"]
[storage]
driver = "files"
[storage.drivers.files]
type = "filesystem"
path = "payloads"
"""


async def put(namespace, type_="Order", *, count=1, size=1000, kind=StorageDriverWorkflowInfo):
    """Store payloads with the settings of the working directory."""
    driver = build(PayloadSettings.load()).drivers["files"]
    target = kind(namespace=namespace, type=type_, id="o-1") if namespace else None
    payloads = [Payload(data=f"{type_} {number}".encode().ljust(size)) for number in range(count)]
    await driver.store(StorageDriverStoreContext(target=target), payloads)


@pytest.fixture
async def stored(write_settings):
    """Stored payloads of two namespaces and of none."""
    write_settings(FILES)
    await put("default", count=3)
    await put("default", "Refund", size=6000)
    await put("billing", "Charge", kind=StorageDriverActivityInfo)
    await put(None)


def test_what_is_stored_is_shown_by_namespace_type_and_age(run, stored):
    status, out, err = run("usage")
    assert status == 0
    lines = [re.sub(r" {2,}", "  ", line.strip()) for line in out.splitlines()]
    assert lines[0] == "files: 6 payloads, 10.8 KiB"
    assert lines[1] == "duplicates: 1 payload, 1,003 B"
    assert "default  4  8.8 KiB  81.8%  ####################" in [line.replace("█", "#") for line in lines]
    assert any(line.startswith("default  workflow  Refund  1  5.9 KiB") for line in lines)
    assert any(line.startswith("billing  activity  Charge  1") for line in lines)
    assert any(line.startswith("(none)  -  -  1") for line in lines)
    assert any(line.startswith("under a day  6  10.8 KiB  100.0%") for line in lines)
    # No server was there to be asked for namespaces.
    assert "Looked for are payloads of default, billing, and of none; --namespace names others" in err


def test_the_largest_types_are_shown(run, stored):
    out = run("usage", "--limit", "1")[1]
    assert "Refund" in out
    assert "Charge" not in out
    assert "and 3 types more: --limit shows them" in out


def test_the_json_has_the_shape_that_the_help_tells(run, stored, closed_port):
    status, out, _ = run("usage", "--json", "--namespace", "default", "--namespace", "billing")
    assert status == 0
    document = json.loads(out)
    assert document["namespaces"] == ["default", "billing"]
    [files] = document["drivers"]
    assert (files["key"], files["payloads"], files["complete"], files["error"]) == ("files", 6, True, None)
    error = {"error": {"type", "message"}, "drivers.error": {"type", "message"}}
    problems = {"problems": {"message", "place", "origin"}}
    assert told_shape(usage.EPILOG) == shape_of(document) | error | problems


@pytest.mark.parametrize("settings", ["codecs = ['gizp']", "codecs = [", FILES])
def test_the_json_has_the_same_keys_whatever_is_wrong(run, write_settings, settings):
    write_settings(settings)
    document = json.loads(run("usage", "--json")[1])
    assert list(document) == ["version", "ok", "namespaces", "drivers", "error", "problems"]


def test_a_store_that_is_not_there_ends_it_with_3_and_the_others_are_shown(run, stored, write_settings):
    gone = '[storage.drivers.gone]\ntype = "filesystem"\npath = "/nowhere/payloads"\n'
    write_settings(FILES + gone)
    status, out, _ = run("usage")
    assert status == 3
    assert "files: 6 payloads" in out
    assert re.search(r"gone: 0 payloads, 0 B\n  not listed to its end: .*/nowhere/payloads", out)
    assert run("usage", "--driver", "files")[0] == 0


def test_a_page_with_plots_is_written(run, stored, tmp_path):
    assert run("usage", "--html", "usage.html")[0] == 0
    shown = (tmp_path / "usage.html").read_text(encoding="utf-8")
    assert shown.startswith("<!doctype html>")
    assert "workflow Refund" in shown


def test_a_page_that_cannot_be_written_ends_it_with_3_and_the_counts_are_shown(run, stored):
    status, out, err = run("usage", "--html", "nowhere/usage.html")
    assert status == 3
    assert "files: 6 payloads" in out
    assert "cannot write nowhere/usage.html: No such file or directory" in err
    document = json.loads(run("usage", "--json", "--html", "nowhere/usage.html")[1])
    assert (document["ok"], document["error"]["type"]) == (False, "UnfinishedError")


def test_a_driver_that_the_settings_do_not_have_is_wrong_use(run, stored):
    status, _, err = run("usage", "--driver", "fils")
    assert status == 2
    assert "there is no driver 'fils' in the settings (but: files)" in err


def test_without_drivers_there_is_nothing_to_count(run, write_settings):
    write_settings("codecs = ['gzip']")
    status, out, _ = run("usage")
    assert (status, out) == (0, "No driver is configured: every payload stays in the history.\n")


def test_the_namespaces_of_a_server_are_looked_for(run, stored, temporal_server):
    status, out, err = run("usage", "--json", "--address", temporal_server.address)
    assert (status, err) == (0, "")
    assert "default" in json.loads(out)["namespaces"]
    assert "temporal-system" not in json.loads(out)["namespaces"]


def test_a_server_that_is_asked_for_and_does_not_answer_ends_it_with_3(run, stored, closed_port):
    status, out, err = run("usage", "--address", f"127.0.0.1:{closed_port}")
    assert status == 3
    assert "files: 6 payloads" in out
    assert "(--address) cannot be used" in err


def test_what_was_counted_until_it_was_interrupted_is_shown(run, stored, monkeypatch):
    async def interrupted(drivers, namespaces, counts):
        await count_stores(drivers, namespaces, counts)
        raise KeyboardInterrupt

    monkeypatch.setattr(usage, "count_stores", interrupted)
    status, out, err = run("usage", "--html", "usage.html")
    assert status == 130
    assert "files: 6 payloads" in out
    assert "interrupted" in err
    assert not Path("usage.html").exists()


def test_a_store_that_is_off_is_not_counted(run, write_settings):
    write_settings("""
        [storage.drivers.old]
        type = "memory"
        store = "usage-old"
        moved_to = "new"
        off = true
        [storage.drivers.new]
        type = "memory"
        store = "usage-new"
    """)
    status, out, _ = run("usage", "--json")
    assert status == 0
    assert [driver["key"] for driver in json.loads(out)["drivers"]] == ["new"]
    status, out, _ = run("usage", "--json", "--driver", "old")
    assert status == 3
    assert "storage.drivers.old is off" in json.loads(out)["drivers"][0]["error"]["message"]


def test_what_a_store_says_cannot_write_to_the_terminal(run, write_settings, monkeypatch):
    def shards(self, namespaces):
        raise StorageUnavailableError("\x1b]0;owned\x07 says the store")

    write_settings('[storage]\ndriver = "memory"\n[storage.drivers.memory]\nstore = "usage-speaks"\n')
    monkeypatch.setattr(MemoryDriver, "shards", shards)
    status, out, err = run("usage")
    assert status == 3
    assert "says the store" in out
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
