"""Run the kit on all exhibits in this process, and print what failed as JSON: `visit.py [pytest options]`."""

import contextlib
import gc
import json
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "distribution")]
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

import pytest  # noqa: E402  # after the variable
from temporal_payloads.testing import DriverConformance, _driver_lifetime, _samples  # noqa: E402  # likewise

from gallery import EXHIBITS  # noqa: E402  # after the paths

# Less shows as well what is wrong. What an exhibit does from some size on, it does from these.
_driver_lifetime.LARGE, _driver_lifetime.MEDIUMS = 4 * 1024 * 1024, 8
_samples.SMALL, _samples.LARGE = 30_000, 120_000
_driver_lifetime.GOODBYES = (0,)  # no exhibit has a connection
LONG = {
    "a_call_that_is_cancelled_leaves_the_driver_usable",
    "a_payload_is_seen_whole_or_not_at_all",
    "a_process_pool_can_have_it",
    "closing_leaves_no_thread_at_work",
    "corrupted_data_is_told",
    "it_works_in_the_workflow_sandbox",
    "large_payloads_do_not_stop_the_event_loop",
    "many_calls_with_many_payloads_work_at_once",
    "one_codec_serves_several_threads",
    "registration_imports_no_client_library",
    "the_codec_shows_no_secret",
    "what_was_encoded_twice_is_decoded_twice",
}
"""Tests that take long."""
OF_EVERY_KIND = {"registration_imports_no_client_library"}
"""Tests that take long, and are the same for every kind: one good plugin is enough to pass them."""
BY_CLASS = {exhibit.class_name: exhibit for exhibit in EXHIBITS.values()}


class Visitor:
    """Notes the outcome of each test of each class."""

    def __init__(self):
        self.seen = {}

    def pytest_collection_modifyitems(self, items):
        """Leave out what takes long and shows little: of tests that a fault is not about, repetitions."""
        once = set()
        kept = []
        for item in items:
            name = item.originalname.removeprefix("test_")
            exhibit = BY_CLASS[item.cls.__name__]
            concerned = exhibit.breaks in {None, name} or name in exhibit.also
            if name in OF_EVERY_KIND and exhibit.kit is not DriverConformance:
                concerned = False
            if concerned or not (name in LONG or (exhibit.name, name) in once):
                kept.append(item)
            once.add((exhibit.name, name))
        items[:] = kept

    def pytest_runtest_logstart(self):
        """Leave what there is out of the garbage collections of the test: its own is looked for."""
        gc.freeze()

    def pytest_runtest_logreport(self, report):
        _, class_name, name = report.nodeid.split("::", 2)
        tests = self.seen.setdefault(class_name, {})
        name = name.partition("[")[0].removeprefix("test_")
        failed = tests.setdefault(name, [])
        if report.failed:
            failed.append(report.longreprtext)


visitor = Visitor()
signal.signal(signal.SIGTERM, signal.default_int_handler)
with contextlib.redirect_stdout(sys.stderr):
    options = [
        "-c",
        os.devnull,
        f"--rootdir={HERE}",
        "-p",
        "no:cacheprovider",
        "-q",
        "--tb=short",
        "--noconftest",
    ]
    pytest.main([*options, *sys.argv[1:], str(HERE / "suite.py")], plugins=[visitor])
print(json.dumps(visitor.seen))  # noqa: T201  # its output
