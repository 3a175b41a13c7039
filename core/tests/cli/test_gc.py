"""The commands of gc: what they ask for, and with which status they end. They collect in `tests/`."""

import json
from importlib import import_module

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli.gc.collecting import status_of
from temporal_payloads._cli.gc.report import as_parts, print_report
from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.report import Report
from temporal_payloads._operate.collection.schedules import Uncertain
from temporal_payloads._operate.collection.sweeping import Swept

MARKING = ("plan", "put-aside", "delete")
COLLECTING = (*MARKING, "undo")


@pytest.fixture
def settings(write_settings, closed_port, tmp_path):
    """Whose owner's server does not answer."""
    return write_settings(f"""
        [storage.drivers.memory]
        store = "{tmp_path.name}"
        [[gc.owners]]
        namespaces = ["orders"]
        address = "127.0.0.1:{closed_port}"
    """)


@pytest.mark.parametrize("command", COLLECTING)
def test_without_owners_nothing_can_be_collected(run, write_settings, command):
    write_settings("[storage.drivers.memory]")
    status, out, err = run("gc", command)
    assert (status, out) == (2, "")
    assert "gc.owners: is required" in err


@pytest.mark.parametrize("command", MARKING)
def test_a_cluster_that_does_not_answer_is_told(run, settings, command):
    status, _, err = run("gc", command)
    assert status == 3
    assert "(gc.owners[0].address) cannot be used: " in err
    assert "tonic" not in err


def test_a_cluster_that_does_not_answer_is_told_with_what_names_it(
    run, write_settings, closed_port, monkeypatch
):
    write_settings("""
        [storage.drivers.memory]
        [[gc.owners]]
        namespaces = ["orders"]
    """)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{closed_port}")
    error = json.loads(run("gc", "plan", "--json")[1])["error"]
    assert error == json.loads(run("keys", "--in-use", "--json")[1])["error"]
    assert error["type"] == "TemporalUnreachableError"
    assert "(TEMPORAL_ADDRESS) cannot be used: " in error["message"]


def test_undo_needs_no_cluster(run, settings):
    status, out, err = run("gc", "undo")
    assert (status, err) == (0, "")
    assert "to undo" in out


def test_wrong_settings_are_in_the_document(run, write_settings):
    write_settings("gc.grace = '1s'\n[storage.drivers.memory]")
    status, out, _ = run("gc", "plan", "--json")
    document = json.loads(out)
    assert (status, document["ok"], document["complete"]) == (2, False, False)
    assert [problem["place"] for problem in document["problems"]] == ["gc.grace"]


@pytest.mark.parametrize("command", COLLECTING)
def test_the_document_of_a_failure_has_the_keys_that_the_help_tells(run, settings, command):
    _, out, _ = run("gc", command, "--resume", "--json")
    module = import_module(f"temporal_payloads._cli.gc.{command.replace('-', '_')}")
    told = told_shape(module.EPILOG)
    shape = shape_of(json.loads(out))
    assert shape[""] == told[""]
    assert shape["error"] == told["error"]
    assert json.loads(out)["purpose"] == command


def test_where_no_store_keeps_the_collectors_files_a_directory_is_needed(run):
    status, _, err = run("gc", "status")
    assert status == 2
    assert "gc.state: no store keeps the collector's files" in err


def test_status_shows_nothing_before_the_first_collection(run, settings):
    status, out, _ = run("gc", "status")
    assert (status, out) == (0, "There was no collection yet.\n")
    status, out, _ = run("gc", "status", "--json")
    document = json.loads(out)
    assert (status, document["collections"], document["aside"]) == (0, [], [])


@pytest.mark.parametrize("collection", ["nope", "", "../../etc/passwd"])
@pytest.mark.parametrize("state", ["", 'gc.state = "state"'])
def test_a_manifest_is_of_a_collection_that_there_was(run, write_settings, collection, state):
    write_settings(f"""
        {state}
        [storage.drivers.memory]
    """)
    assert run("gc", "status", "--manifest", collection) == (
        2,
        "",
        f"error: there is no collection {collection!r}; see temporal-payloads gc status\n",
    )


@pytest.mark.parametrize("arguments", [(), ("--every", "7d", "--now")])
def test_a_schedule_is_made_or_a_collection_begun(run, arguments):
    status, _, err = run("gc", "schedule", *arguments)
    assert (status, err) == (2, "error: give one of --every and --now\n")


@pytest.mark.parametrize(
    ("every", "said"), [("fortnightly", "--every is not a duration"), ("1s", "--every must be 1m or more")]
)
def test_how_often_is_a_duration(run, every, said):
    status, _, err = run("gc", "schedule", "--every", every)
    assert status == 2
    assert said in err


def test_a_worker_needs_a_server(run, settings, closed_port):
    status, _, err = run("gc", "worker", "--address", f"127.0.0.1:{closed_port}")
    assert status == 3
    assert "cannot be used" in err


def test_a_worker_tells_that_its_directory_must_be_shared(run, write_settings, closed_port, tmp_path):
    write_settings(f"""
        [storage.drivers.memory]
        [gc]
        state = "{tmp_path}"
        owners = [{{ namespaces = ["orders"] }}]
    """)
    _, _, err = run("gc", "worker", "--address", f"127.0.0.1:{closed_port}")
    assert "every worker must find the same files" in err


@pytest.mark.parametrize("spelling", [["gc"], ["gc", "--json"]])
def test_without_a_command_it_is_the_plan(run, write_settings, spelling):
    write_settings("")
    assert run(*spelling) == run("gc", "plan", *spelling[1:])


@pytest.mark.parametrize("command", ["worker", "schedule"])
def test_what_runs_on_temporal_may_be_asked_for_as_an_option(run, command):
    assert run("gc", f"--{command}", "--help") == run("gc", command, "--help")


def test_a_command_that_is_not_there_is_no_plan(run):
    status, out, err = run("gc", "sweep")
    assert (status, out) == (2, "")
    assert "'sweep'" in err


@pytest.mark.parametrize(("outcomes", "status"), [({"done": 3}, 0), ({"done": 2, "refused": 1}, 1)])
def test_a_collection_that_was_refused_a_payload_ends_with_status_1(outcomes, status):
    swept = Swept("s3", "", outcomes={"delete": outcomes}).as_json()
    report = Report("id", "delete", "2026-06-01", complete=True, stores={"s3": swept})
    assert status_of(report) == status


def test_a_store_that_was_swept_only_to_bring_back_what_is_needed_is_told_so(capsys):
    swept = Swept("s3", "", outcomes={"restore": {"done": 1}}).as_json()
    refused = {"s3": "it deletes whatever it is told", "redis": "its payloads expire"}
    report = Report("id", "delete", "2026-06-01", complete=True, stores={"s3": swept}, refused=refused)
    print_report(report)
    printed = capsys.readouterr().out
    assert "s3 was collected in part: it deletes whatever it is told" in printed
    assert "redis was not collected: its payloads expire" in printed
    assert status_of(report) == 1


@pytest.mark.parametrize(("all_but", "shown"), [(None, ["report"]), (frozenset({"sums"}), ["report", "*"])])
def test_what_may_be_the_last_result_of_a_schedule_is_told_by_the_schedules_actions(all_but, shown):
    uncertain = Uncertain(frozenset({"report"}), all_but)
    report = Report("id", "plan", "2026-06-01", namespaces=[Marked("orders", uncertain=uncertain).as_json()])
    assert as_parts(report)["namespaces"][0]["uncertain"] == shown
