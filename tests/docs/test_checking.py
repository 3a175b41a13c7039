"""docs/checking.md: its command prints what it shows, and its table has what is looked at."""

import json
import re
from pathlib import Path

import pytest
from support.console import alike, run, section

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/checking.md").read_text()


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch, tmp_path, closed_port):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{closed_port}")
    # Whatever room there is on this disk.
    monkeypatch.setattr("temporal_payloads_filesystem._diagnosing.LITTLE_ROOM", 0)


def test_a_directory_that_is_open_to_all_is_found_as_the_page_shows(tmp_path):
    Path("temporal-payloads.toml").write_text('[storage.drivers.filesystem]\npath = "payloads"\n')
    assert run("temporal-payloads check")[0] == 0
    Path("payloads").chmod(0o777)
    [shown] = re.findall(
        r"^\$ temporal-payloads check --write\n\.\.\.\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    status, printed = run("temporal-payloads check --write")
    found = "Findings\n" + printed.partition("Findings\n")[2]
    assert status == 1
    assert alike(found.replace(str(tmp_path), "/srv")) == alike(shown)


def test_the_page_names_everything_that_is_looked_at():
    """Look through the sources for the names of findings."""
    sources = [
        ROOT / "core/src/temporal_payloads/_storage/diagnosing.py",
        *(ROOT / "core/src/temporal_payloads/_operate/doctor").glob("*.py"),
        *ROOT.glob("plugins/*/src/*/_diagnosing.py"),
        *ROOT.glob("plugins/*/src/*/_lifecycle.py"),
    ]
    text = "".join(source.read_text() for source in sources)
    looked_at = set(re.findall(r'\bcheck ?= ?"([a-z][\w -]+)"', text))
    looked_at |= set(re.findall(r'found\(\s*(?:"\w+"|"\w+" if .*?),\s*"([a-z][\w -]+)"', text))
    looked_at |= set(re.findall(r'_setting\(\s*"([a-z][\w -]+)"', text))
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| [^|]+ \|$", section(PAGE, "What is looked at"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    # Told in the text: what --write and --codec-server find, and what is said of those that do not look.
    elsewhere = {
        "write",
        "round trip",
        "clean-up",
        "store",
        "missing objects",
        "codec server",
        "authorization",
    }
    elsewhere |= {"encode", "decode", "references"}
    elsewhere |= {"lid"}  # of an example in a docstring
    assert looked_at - elsewhere == told - {"permission ..."}


def test_a_pipeline_finds_the_problems():
    Path("temporal-payloads.toml").write_text('[storage.drivers.filesystem]\npath = "payloads"\n')
    run("temporal-payloads check")
    Path("payloads").chmod(0o777)
    [command] = re.findall(
        r"^ {4}(temporal-payloads check --json --write .*)$", section(PAGE, "In a pipeline"), re.MULTILINE
    )
    status, printed = run(command.replace(" --namespace orders", ""))
    assert status == 0  # of jq
    assert json.loads(printed)["check"] == "permissions of the directory"
