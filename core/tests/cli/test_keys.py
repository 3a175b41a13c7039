"""The command keys: what it asks for, what it says, and with which status it ends."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli import keys
from temporal_payloads._cli.codecs_found import FoundCodec
from temporal_payloads._cli.document import document
from temporal_payloads._cli.keys_report import KeysReport
from temporal_payloads._errors import Problem
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.keys_in_use import KeysInUse, KeyUse
from temporal_payloads.plugin import KeyDescription

WORKFLOW = Holder("workflow", "orders", "order-17", "run-1")
SCHEDULE = Holder("schedule", "orders", "nightly")


def encryption(*keys, decode_only=False):
    return FoundCodec("encryption", "encryption", decode_only, "encrypt", ("binary/encrypted",), keys)


RING = encryption(
    KeyDescription(id="new", source="variable NEW", active=True),
    KeyDescription(id="old", source="variable OLD"),
    KeyDescription(id="oldest", source="variable OLDEST"),
)


def use(payloads, newest, *examples, **holders):
    counts: Any = Counter(holders)
    return KeyUse(payloads, counts, datetime.fromisoformat(newest).replace(tzinfo=UTC), [*examples])


@pytest.fixture
def found():
    """What reading found: payloads of the new and the old key."""
    found = KeysInUse(ended=True, payloads=12, running=1)
    found.read.update(workflow=4, schedule=1)
    found.keys = {
        "new": use(8, "2026-11-28", WORKFLOW, workflow=3),
        "old": use(4, "2026-05-01", WORKFLOW, SCHEDULE, workflow=2, schedule=1),
    }
    return found


@pytest.fixture
def report(found):
    def report(codecs=(RING,), query=None, key=None):
        return KeysReport(codecs, found, ["orders"], query=query, key=key)

    return report


def verdicts(report):
    return {key["id"]: key["verdict"] for key in report.parts()["keys"]}


def test_a_key_can_be_retired_that_nothing_needs_and_that_does_not_write(report):
    assert verdicts(report()) == {"new": "it writes", "old": "in use", "oldest": "can be retired"}
    assert report().all_well


def test_a_key_that_writes_is_in_use_though_nothing_was_found(report, found):
    del found.keys["new"]
    assert verdicts(report())["new"] == "it writes"
    assert not report(key="new").all_well


def test_a_key_of_a_codec_that_is_only_decoded_with_does_not_write(report, found):
    del found.keys["new"]
    old_ring = [encryption(KeyDescription(id="new", source="", active=True), decode_only=True)]
    assert verdicts(report(old_ring))["new"] == "can be retired"


def test_a_key_that_writes_for_some_namespaces_writes(report, found):
    del found.keys["old"]
    ring = [encryption(KeyDescription(id="old", source="", writes_for=["prod-*"]))]
    assert verdicts(report(ring))["old"] == "it writes"


def test_where_something_was_not_read_no_key_can_be_retired(report, found):
    found.gaps.miss("payloads that could not be read (PayloadNotFoundError)", "it is gone", WORKFLOW)
    assert verdicts(report()) == {"new": "it writes", "old": "in use", "oldest": "not known"}
    assert not report().all_well
    assert not report(key="oldest").all_well


def test_what_was_interrupted_says_nothing_of_what_was_not_found(report, found):
    found.ended = False
    assert verdicts(report())["oldest"] == "not known"


def test_a_key_that_is_used_and_not_here_is_missing(report, found):
    found.keys["gone"] = use(1, "2026-01-01", workflow=1)
    assert verdicts(report())["gone"] == "missing"


def test_one_key_is_answered_by_the_status(report):
    answers = {key: report(key=key).all_well for key in ("new", "old", "oldest", "oldets")}
    assert answers == {"new": False, "old": False, "oldest": True, "oldets": False}
    assert verdicts(report(key="oldets")) == {"oldets": "no such key"}


def test_the_table_tells_what_is_known_of_each_key(report, capsys):
    report().print()
    out = capsys.readouterr().out
    assert "Keys in use, in orders\n  read: 4 workflows (1 running), 1 schedule; 12 payloads\n" in out
    assert re.search(r"new +8 +3 +0 +2026-11-28 00:00 UTC +writes +it writes\n", out)
    assert re.search(r"old +4 +2 +1 +2026-05-01 00:00 UTC +read only +in use\n", out)
    assert re.search(r"oldest +0 +0 +0 +- +read only +can be retired\n", out)
    assert "What needs the key old\n  workflow order-17, run run-1 in orders (running)\n" in out
    assert "  schedule nightly in orders\n  and 1 more\n" in out
    assert "the key new" not in out


def test_what_is_missing_is_told_with_an_example(report, found, capsys):
    found.gaps.miss("payloads that could not be read (PayloadNotFoundError)", "it is gone", WORKFLOW)
    found.gaps.miss("workflows that do not match 'x' were not read", count=0)
    report().print()
    out = capsys.readouterr().out
    assert (
        "Not complete: no key can be retired by this\n"
        "  payloads that could not be read (PayloadNotFoundError): 1\n"
        "    for instance in workflow order-17, run run-1 in orders (running)\n"
        "    it is gone\n"
        "  workflows that do not match 'x' were not read\n"
    ) in out


def test_what_payloads_say_does_not_reach_the_terminal_as_it_is(report, found, capsys):
    found.keys["\x1b[2Jgone"] = use(1, "2026-01-01", workflow=1)
    found.gaps.miss("payloads", "\x1b[2J")
    report().print()
    assert "\x1b" not in capsys.readouterr().out


def test_the_json_has_the_same_keys_whatever_was_found(report, found):
    def shape(document):
        return list(document), [list(key) for key in document["keys"]]

    whole = report().parts()
    found.ended = False
    found.gaps.miss("payloads", "no way in", WORKFLOW)
    assert shape(report().parts()) == shape(whole)
    [gap] = report().parts()["gaps"]
    assert gap == {
        "what": "payloads",
        "count": 1,
        "why": "no way in",
        "example": {
            "kind": "workflow",
            "namespace": "orders",
            "id": "order-17",
            "run_id": "run-1",
            "running": True,
        },
    }
    json.dumps(whole)


def test_the_help_documents_what_is_counted_for_a_program(report, found):
    found.gaps.miss("payloads", "no way in", WORKFLOW)
    error = {"type": "", "message": ""}
    shown = shape_of(document(ok=False, error=error, problems=(Problem("wrong"),), **report().parts()))
    assert told_shape(keys.EPILOG, "keys --in-use --json") == shown


def test_the_help_documents_the_ring_for_a_program(run, write_settings, monkeypatch):
    monkeypatch.setenv("KEY", base64.b64encode(b"1" * 31 + b"\0").decode())
    write_settings("""
        codecs = ["encryption"]
        codec.encryption = { active = "a", keys = { a = { env = "KEY" } } }
    """)
    right = json.loads(run("keys", "--json")[1])
    write_settings("codecs = ['gizp']")
    wrong = json.loads(run("keys", "--json")[1])
    assert list(wrong) == list(right)
    problems = {"problems": shape_of(wrong)["problems"]}
    assert told_shape(keys.EPILOG, "keys --json") == shape_of(right) | problems


# -- the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--address", "127.0.0.1:7233"],
        ["--namespace", "orders"],
        ["--query", "WorkflowType='A'"],
        ["--temporal-profile", "prod"],
        ["--in-use", "--limit", "-1"],
    ],
)
def test_options_about_use_want_to_be_asked_for_it(run, arguments):
    status, _, err = run("keys", *arguments)
    assert status == 2
    assert arguments[-2] in err


@pytest.mark.parametrize("arguments", [["keys"], ["keys", "--in-use"], ["keys", "--key", "a"]])
def test_wrong_settings_are_status_2(run, write_settings, arguments):
    write_settings('codecs = ["encryptoin"]')
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "codecs[0]" in err
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (2, "")
    document = json.loads(out)
    assert document["ok"] is False
    assert [problem["place"] for problem in document["problems"]] == ["codecs[0]"]


def test_without_temporal_the_json_says_why_nothing_is_known(run, nowhere, report):
    status, out, err = run("keys", "--key", "a", "--json", "--address", nowhere)
    assert (status, err) == (3, "")
    printed = json.loads(out)
    assert list(printed) == list(document(ok=False, **report().parts()))
    assert (printed["ok"], printed["complete"], printed["problems"]) == (False, False, [])
    assert printed["error"]["type"] == "TemporalUnreachableError"
    assert printed["error"]["message"].endswith("cannot be used: Connection refused")


def test_a_wrong_configuration_of_temporal_is_status_2(run, write_settings, tmp_path):
    file = write_settings("[profile.prod]\naddress = 1\n", name="temporal.toml")
    wrong = ("keys", "--in-use", "--temporal-config", str(file), "--temporal-profile", "prod")
    status, _, err = run(*wrong)
    assert status == 2
    assert "Temporal's client configuration" in err
    status, out, err = run(*wrong, "--json")
    assert (status, err) == (2, "")
    assert "Temporal's client configuration" in json.loads(out)["problems"][0]["message"]


def test_a_profile_of_ours_that_temporal_does_not_know_is_told_as_such(
    run, write_settings, monkeypatch, closed_port
):
    write_settings("[profile.dev.storage]\nthreshold = 1\n")
    monkeypatch.setenv("TEMPORAL_PROFILE", "dev")
    status, _, err = run("keys", "--in-use")
    assert status == 2
    assert "'dev' not found. TEMPORAL_PROFILE is set" in err
    monkeypatch.delenv("TEMPORAL_PROFILE")
    monkeypatch.setenv("TEMPORAL_PAYLOADS_PROFILE", "dev")
    assert run("keys", "--in-use", "--address", f"127.0.0.1:{closed_port}")[0] == 3


@pytest.fixture
def nowhere(closed_port):
    """An address at which nobody listens."""
    return f"127.0.0.1:{closed_port}"


def test_without_an_address_it_says_that_it_took_the_default_one(run, monkeypatch, nowhere):
    monkeypatch.setattr("temporal_payloads._cli.temporal.DEFAULT_ADDRESS", nowhere)
    status, out, err = run("keys", "--in-use")
    assert (status, out) == (3, "")
    where = "(by default; --address or TEMPORAL_ADDRESS name another)"
    assert err == f"error: the Temporal server at {nowhere} {where} cannot be used: Connection refused\n"


def test_it_says_what_named_the_address(run, write_settings, monkeypatch, nowhere):
    def told(*arguments):
        status, _, err = run("keys", "--in-use", *arguments)
        assert status == 3
        [where] = re.findall(rf"the Temporal server at {nowhere} \((.*?)\) cannot be used", err)
        return where

    file = write_settings(f"[profile.prod]\naddress = '{nowhere}'\n", name="temporal.toml")
    profile = ("--temporal-config", str(file), "--temporal-profile", "prod")
    assert told(*profile) == str(file)
    assert told(*profile, "--address", nowhere) == "--address"
    monkeypatch.setenv("TEMPORAL_ADDRESS", nowhere)
    assert told(*profile) == "TEMPORAL_ADDRESS"
    assert told() == "TEMPORAL_ADDRESS"


@pytest.mark.parametrize("address", ["no address", "nobody.invalid:7233"])
def test_an_address_that_leads_nowhere_is_told_in_a_line(run, address):
    status, out, err = run("keys", "--in-use", "--address", address)
    assert (status, out) == (3, "")
    assert err.startswith(f"error: the Temporal server at {address} (--address) cannot be used: ")
    assert "::" not in err


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_ends_it_with_what_was_read_until_then(write_settings, monkeypatch, as_json):
    write_settings("""
        codecs = ["encryption"]
        codec.encryption = { active = "a", keys = { a = { env = "KEY" }, b = { env = "OTHER" } } }
    """)
    monkeypatch.setenv("KEY", base64.b64encode(b"1" * 31 + b"\0").decode())
    monkeypatch.setenv("OTHER", base64.b64encode(b"2" * 31 + b"\0").decode())
    # It takes connections, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, "-m", "temporal_payloads", "keys", "--in-use"]
        command += ["--address", f"127.0.0.1:{silent.getsockname()[1]}", *(["--json"] if as_json else [])]
        asking = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        with asking:
            connection, _ = silent.accept()
            with connection:
                asking.send_signal(signal.SIGINT)
                out, err = asking.communicate(timeout=30)
    assert asking.returncode == 130
    assert err == "error: interrupted: the counts are of what was read until then\n"
    if as_json:
        document = json.loads(out)
        assert document["complete"] is False
        assert [key["verdict"] for key in document["keys"]] == ["it writes", "not known"]
    else:
        assert "reading was interrupted" in out
