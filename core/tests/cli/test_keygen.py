"""A new key: where it goes, and where it does not."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporal_payloads_encryption_codec._key_text import read_key


def test_it_prints_a_new_key_in_the_form_that_the_settings_take(run):
    status, out, err = run("keygen")
    assert (status, err) == (0, "")
    [line] = out.splitlines()
    assert read_key(line) == base64.b64decode(line, validate=True)
    assert run("keygen")[1] != out


def test_as_json(run):
    status, out, _ = run("keygen", "--json")
    document = json.loads(out)
    assert (status, list(document)) == (0, ["version", "ok", "key", "error", "problems"])
    assert len(read_key(document["key"])) == 32


def test_it_needs_no_settings_and_writes_nothing(run, write_settings, tmp_path, caplog):
    write_settings("codecs = [")
    before = sorted(tmp_path.iterdir())
    status, _, _ = run("keygen")
    assert (status, caplog.records) == (0, [])
    assert sorted(tmp_path.iterdir()) == before


def test_on_a_terminal_it_says_beside_the_key_what_to_do_with_it(run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, err = run("keygen")
    assert len(out.splitlines()) == 1
    assert "every process" in err
    assert out.strip() not in err


@pytest.mark.parametrize(("umask", "warned"), [(0o077, False), (0o022, True)])
def test_it_warns_of_a_file_that_others_can_read(tmp_path, umask, warned):
    file = tmp_path / "orders.key"
    with _masked(umask), file.open("w") as opened:
        ended = subprocess.run(
            [sys.executable, "-m", "temporal_payloads", "keygen"],
            stdout=opened,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert len(read_key(file.read_bytes())) == 32
    assert ("others can read the file" in ended.stderr) == warned
    assert file.read_text().strip() not in ended.stderr


class _masked:  # noqa: N801  # reads as a statement
    def __init__(self, mask):
        self.mask = mask

    def __enter__(self):
        self.before = os.umask(self.mask)

    def __exit__(self, *_):
        os.umask(self.before)


def test_a_key_that_was_made_like_this_encrypts(run, write_settings, monkeypatch):
    Path("one.key").write_text(run("keygen")[1])
    monkeypatch.setenv("TWO", run("keygen")[1])
    write_settings("""
        codecs = ["encryption"]
        [codec.encryption]
        active = "one"
        [codec.encryption.keys]
        one = { file = "one.key" }
        two = { env = "TWO" }
    """)
    assert run("check")[0] == 0
