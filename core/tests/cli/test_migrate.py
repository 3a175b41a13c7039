"""The command migrate: what it asks for, what it says, and with which status it ends."""

import asyncio
import itertools
import json

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._cli import migrate
from temporal_payloads._cli.migration_report import print_report, progress_of
from temporal_payloads._operate.migration.report import Failure, Report
from temporal_payloads._storage.memory_driver import _stores
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

_numbers = itertools.count()
FROM_OLD = ("migrate", "--from", "old", "--to", "new")


@pytest.fixture
def stores(write_settings):
    """The names of two stores, of which the settings move one to the other."""
    number = next(_numbers)
    names = f"cli-old-{number}", f"cli-new-{number}"

    def write(old=""):
        write_settings(f"""
            [storage.drivers.old]
            type = "memory"
            store = "{names[0]}"
            {old or 'moved_to = "new"'}

            [storage.drivers.new]
            type = "memory"
            store = "{names[1]}"
        """)
        return names

    write()
    return write


def fill(store, *texts):
    """Store payloads of the namespace `default` there."""
    table = {"type": "memory", "store": store}
    driver = build(PayloadSettings(storage={"drivers": {"old": table}})).drivers["old"]
    payloads = [Payload(metadata={"encoding": b"json/plain"}, data=text.encode()) for text in texts]
    target = StorageDriverWorkflowInfo(namespace="default", id="w", run_id="r", type="T")
    asyncio.run(driver.store(StorageDriverStoreContext(target=target), payloads))


def test_all_that_a_store_lists_is_moved_without_asking_temporal(run, stores):
    old, new = stores()
    fill(old, "a", "b")
    status, out, err = run(*FROM_OLD, "--all")
    assert (status, err) == (0, "")
    assert "Moved from old, in new" in out
    assert "copied" in out
    assert len(_stores[new]._payloads) == 2
    status, out, _ = run(*FROM_OLD, "--all", "--verify")
    assert status == 0
    assert "nothing that old lists of default is needed from old any more: set off = true in its" in out


def test_the_document_is_the_one_that_the_help_tells_of(run, stores):
    old, _ = stores()
    fill(old, "a")
    status, out, _ = run(*FROM_OLD, "--all", "--verify", "--json")
    document = json.loads(out)
    assert status == 1
    assert (document["ok"], document["complete"], document["missing"]) == (False, True, 1)
    [failure] = document["failures"]
    assert failure["outcome"] == "missing"
    del failure["claim"]
    failure["claim"] = "whatever its driver writes"
    gap = {"namespace": "n", "what": "w", "count": 1, "why": "y"}
    document["gaps"] = [gap | {"example": {"kind": "workflow", "id": "i", "run_id": "r"}}]
    document["error"] = {"type": "t", "message": "m"}
    document["problems"] = [{"message": "m", "place": "p", "origin": "o"}]
    assert told_shape(migrate.EPILOG) == shape_of(document)


def test_what_is_not_in_the_new_store_is_named_with_the_reason(run, stores):
    old, _ = stores()
    fill(old, "a")
    status, out, _ = run(*FROM_OLD, "--all", "--verify")
    assert status == 1
    assert "Not in the new store" in out
    assert "missing: old v0/ns/default/wt/T/wi/w/ri/r/d/sha256/" in out


def test_of_a_listing_no_runs_are_told(run, stores):
    old, _ = stores()
    fill(old, "a", "b")
    assert "\n  listed: 2 payloads\n  2 payloads, 54 B copied\n" in run(*FROM_OLD, "--all")[1]


def test_who_has_switched_the_old_store_off_is_not_told_to(capsys):
    print_report(Report("old", "new", namespaces=["orders"], phase="ended"), verifies=True, off=True)
    out = capsys.readouterr().out
    assert "is needed from old any more: it is off, and its store can go" in out
    assert "set off" not in out


def test_settings_that_still_lead_to_the_old_store_are_told(run, stores):
    old, _ = stores("retrieve_only = true")
    fill(old, "a")
    assert run(*FROM_OLD, "--all")[0] == 0
    status, out, _ = run(*FROM_OLD, "--all", "--verify")
    assert status == 1
    assert "not proved: storage.drivers.old.moved_to is not 'new'" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "odl", "--to", "new"), "there is no driver 'odl'"),
        (("--from", "old", "--to", "new", "--rate", "fast"), "'fast' is no size; write bytes"),
        (("--from", "old", "--to", "new", "--rate", "0"), "'0' is less than 1024 bytes a second"),
        (("--from", "old"), "Missing option '--to'"),
        (("--from", "new", "--to", "old"), "storage.drivers.old is itself moved_to 'new'"),
    ],
)
def test_what_cannot_be_is_wrong_use(run, stores, arguments, message):
    status, out, err = run("migrate", *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_store_that_is_off_is_not_listed(run, stores):
    stores('moved_to = "new"\noff = true')
    status, _, err = run(*FROM_OLD, "--all", "--verify")
    assert status == 2
    assert "storage.drivers.old is off, and cannot be listed" in err


def test_where_no_store_keeps_what_it_must_know_it_asks_for_a_directory(
    run, write_settings, install, tmp_path
):
    install("legacy")
    write_settings("""
        [storage.drivers.old]
        type = "my_app.stores:ShelfDriver"
        moved_to = "new"

        [storage.drivers.new]
        type = "my_app.stores:Box"
    """)
    status, _, err = run(*FROM_OLD, "--all")
    assert status == 2
    assert "name a directory in gc.state" in err
    status, _, err = run(*FROM_OLD, "--all", "--state", str(tmp_path / "state"))
    assert status == 2
    assert "storage.drivers.old cannot list what it has stored" in err


def test_a_server_that_cannot_be_reached_is_status_3_with_the_same_document(run, stores, closed_port):
    status, out, _ = run(*FROM_OLD, "--json", "--address", f"127.0.0.1:{closed_port}")
    document = json.loads(out)
    assert status == 3
    assert document["error"]["type"] == "TemporalUnreachableError"
    assert document["complete"] is False


def test_wrong_settings_are_told_in_the_document(run, write_settings):
    write_settings("[storage.drivers.old]\ntype = 'memory'\noff = true")
    status, out, _ = run(*FROM_OLD, "--json")
    assert status == 2
    assert [problem["place"] for problem in json.loads(out)["problems"]] == ["storage.drivers.old.off"]


def test_progress_says_what_is_done(monkeypatch):
    report = Report("old", "new", runs=1200, references=3)
    assert progress_of(report).text == "reading: 1,200 runs, 3 references to payloads of it ..."
    report.phase, report.payloads, report.bytes, report.expected = "copying", 2, 3 << 20, 3
    assert progress_of(report) == ("copying: 2 payloads, 3.0 MiB ...", 2, 3)


def test_what_is_proved_is_said_of_the_namespaces_that_were_read(capsys):
    report = Report("old", "new", namespaces=["orders", "billing"], phase="ended")
    print_report(report, verifies=True, off=False)
    proved = "nothing that the histories of orders, billing refer to is needed from old any more"
    assert proved in " ".join(capsys.readouterr().out.split())
    assert report.parts()["namespaces"] == ["orders", "billing"]


def test_foreign_text_is_printed_so_that_a_terminal_can_take_it(capsys):
    report = Report("old", "new", phase="ended")
    claim = {"key": "\x1b[2J"}
    report.failures = [Failure("missing", "old", claim, "orders", "0" * 64, 5, "gone\nfor good")]
    report.outcomes["missing"] = 21
    print_report(report, verifies=False, off=False)
    out = capsys.readouterr().out
    assert r"missing: old '\x1b[2J'" in out
    assert r"'gone\nfor good'" in out
    assert "and 20 more" in out or "and 1 more" in out
