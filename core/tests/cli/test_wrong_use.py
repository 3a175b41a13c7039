"""What a command is asked for, and cannot be: status 2, and in the document if that is asked for."""

import json
from importlib import import_module

import pytest
from support.documents import told_shape

SETTINGS = """
    storage.driver = "a"
    [storage.drivers.a]
    type = "memory"
    store = "wrong-use-a"
    [storage.drivers.b]
    type = "memory"
    store = "wrong-use-b"
"""

WRONG = [
    (("decode", "nofile"), "cannot read nofile: No such file or directory"),
    (("decode", "garbage"), "cannot decode garbage: it is neither JSON nor the bytes of a payload"),
    (("decode", "payload", "--raw"), "give --raw or --json, and not both"),
    (("inspect",), "give a WORKFLOW_ID or --history FILE"),
    (("inspect", "--history", "missing"), "cannot read missing: No such file or directory"),
    (("inspect", "--history", "payload"), "payload is no history"),
    (("inspect", "--history", "history", "--show", "99"), "--show 99: there are 0 payloads"),
    (("usage", "--driver", "nope"), "there is no driver 'nope' in the settings"),
    (("migrate", "--from", "a", "--to", "nope"), "there is no driver 'nope'"),
    (("keys", "--query", "CloseTime is null"), "--query needs --in-use or --key"),
    (("check", "--codec-server", "there"), "--codec-server must be a URL"),
    (("new-plugin", "driver", "Shelf!"), "'Shelf!' can be no plugin's name"),
]


@pytest.fixture
def files(write_settings, tmp_path):
    write_settings(SETTINGS)
    (tmp_path / "garbage").write_bytes(b"\xff\x00")
    (tmp_path / "payload").write_text('{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "MQ=="}')
    (tmp_path / "history").write_text('{"events": []}')


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_what_cannot_be_is_in_the_document_with_the_keys_of_every_other(run, files, arguments, message):
    status, out, err = run(*arguments, "--json")
    told = json.loads(out)
    assert (status, err) == (2, "")
    assert (told["ok"], told["error"]["type"]) == (False, "WrongUseError")
    assert message in told["error"]["message"]
    module = import_module(f"temporal_payloads._cli.{arguments[0].replace('-', '_')}")
    command = "keys --json" if arguments[0] == "keys" else "--json"
    assert set(told) == told_shape(module.EPILOG, command)[""]


def test_without_the_document_it_is_told_on_standard_error(run, files):
    assert run("decode", "nofile") == (2, "", "error: cannot read nofile: No such file or directory\n")
