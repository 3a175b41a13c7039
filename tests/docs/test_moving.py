"""The page on moves tells of those that are tested, and of no others."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from docs.test_docs import provide
from moving.by_hand import LegacyCodec
from support.pages import ROOT
from temporal_payloads import PayloadSettings, build_data_converter

PAGE = (ROOT / "docs/moving.md").read_text()


def name_of(heading):
    return f"test_{'_'.join(re.findall(r'[a-z0-9]+', heading.lower()))}"


SECTIONS = re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE)
MOVES = {name_of(heading): text for heading, text in SECTIONS}
WRONG_WAY = re.compile("_too_early|_in_place")
"""What the name of a test adds to that of a move which it makes in the wrong way."""


def names_of_tests():
    files = sorted((ROOT / "tests/moving").glob("test_*.py"))
    texts = [file.read_text() for file in files]
    return [name for text in texts for name in re.findall(r"^async def (test_\w+)", text, re.MULTILINE)]


def test_each_move_of_the_page_has_a_test_of_its_name():
    assert not set(MOVES) - set(names_of_tests())


def test_each_test_makes_a_move_of_the_page():
    assert not {WRONG_WAY.sub("", name) for name in names_of_tests()} - set(MOVES)


@pytest.mark.parametrize("move", MOVES)
def test_each_move_has_a_table_of_steps_that_can_be_undone(move):
    rows = [line.strip("| ").split(" | ") for line in MOVES[move].splitlines() if line.startswith("|")]
    head, _, *steps = rows
    assert [head[0], *head[2:]] == ["step", "while it is rolled out", "undo"]
    assert steps
    assert all(len(step) == 4 and all(step) for step in steps)


@pytest.fixture
def my_app(monkeypatch):
    """The application that has a codec of its own."""
    codecs = ModuleType("my_app.codecs")
    monkeypatch.setattr(codecs, "LegacyCodec", LegacyCodec, raising=False)
    monkeypatch.setitem(sys.modules, "my_app", ModuleType("my_app"))
    monkeypatch.setitem(sys.modules, "my_app.codecs", codecs)


@pytest.mark.parametrize(
    "snippet", re.findall(r"^```toml my_app\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
def test_snippets_with_a_codec_of_ones_own_build(snippet, my_app, tmp_path, monkeypatch):
    provide(snippet, tmp_path, monkeypatch)
    file = Path("temporal-payloads.toml")
    file.write_text(snippet)
    assert "my_app.codecs:LegacyCodec" in repr(build_data_converter(PayloadSettings.load(file)).payload_codec)
