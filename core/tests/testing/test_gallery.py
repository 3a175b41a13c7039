"""The conformance kit passes good plugins, and of each broken one says which promise it breaks, and how.

The kit runs once on all of the gallery, in a process of its own.
"""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from temporal_payloads import testing

HERE = Path(__file__).parent


def exhibits():
    """Return what is in the gallery. No other test finds its modules, nor what its distribution offers."""
    paths, modules = sys.path.copy(), sys.modules.copy()
    sys.path[:0] = [str(HERE), str(HERE / "gallery" / "distribution")]
    try:
        return importlib.import_module("gallery").EXHIBITS
    finally:
        sys.path[:] = paths
        for name in sys.modules.keys() - modules.keys():
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(HERE.parent)):
                del sys.modules[name]


EXHIBITS = exhibits()

NOT_SHOWN = {
    "a_provider_that_cannot_be_used_is_told",
    "binary_protobuf_is_read",
    "many_calls_with_many_payloads_work_at_once",
    "one_driver_serves_loops_in_several_threads",
    "values_without_a_declared_type_come_back_as_json_has_them",
}
"""Promises that no exhibit is for."""
LONGEST_FAILURE = 6000


@pytest.fixture(scope="module")
def visit():
    done = subprocess.run(
        [sys.executable, HERE / "gallery" / "visit.py"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", EXHIBITS)
def test_the_kit_says_what_is_wrong_and_nothing_else(visit, name):
    exhibit = EXHIBITS[name]
    tests = visit[exhibit.class_name]
    failures = {test: failed for test, failed in tests.items() if failed}
    expected = exhibit.also | ({exhibit.breaks} if exhibit.breaks else set())
    assert set(failures) == expected, "\n".join(text for failed in failures.values() for text in failed)
    for test, failed in failures.items():
        sentence = test[0].upper() + test[1:].replace("_", " ")
        for text in failed:
            assert text.startswith(f"Promised: {sentence}. ")
            assert re.search(r"\nHappened: (?s:.+)\nUsually:  ", text)
            assert len(text) < LONGEST_FAILURE
    if exhibit.breaks:
        assert any(re.search(exhibit.says, text) for text in failures[exhibit.breaks]), failures[
            exhibit.breaks
        ]


def test_for_each_promise_there_is_an_exhibit():
    kits = [getattr(testing, name) for name in testing.__all__ if name.endswith("Conformance")]
    promised = {name.removeprefix("test_") for kit in kits for name in dir(kit) if name.startswith("test_")}
    assert promised - {exhibit.breaks for exhibit in EXHIBITS.values()} == NOT_SHOWN
