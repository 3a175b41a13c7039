"""What `temporal-payloads new-plugin` writes: distributions that are none of this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.console import ended_well

if TYPE_CHECKING:
    from local_servers import TemporalServer

ROOT = Path(__file__).parents[2]
NAMES = {"driver": "shelf", "codec": "around"}

WORKFLOW = """
import asyncio, json, os, uuid
from datetime import timedelta

from temporal_payloads import PayloadsPlugin
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker


@workflow.defn
class Greet:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"hello {name}"


async def main():
    client = await Client.connect(os.environ["SERVER"], plugins=[PayloadsPlugin()])
    queue = uuid.uuid4().hex
    async with Worker(client, task_queue=queue, workflows=[Greet]):
        handle = await client.start_workflow(
            Greet.run, "a confidential order", id=queue, task_queue=queue, run_timeout=timedelta(minutes=1)
        )
        assert await handle.result() == "hello a confidential order"
    history = await handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    completed = history.events[-1].workflow_execution_completed_event_attributes.result.payloads[0]
    for payload in (started, completed):
        assert b"confidential" not in payload.SerializeToString()
        print(json.loads(payload.data)["driverName"])


if __name__ == "__main__":
    asyncio.run(main())
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_there(*command, **variables):
    """Run a program of the environment, which may use the SDK's core, with no variables of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TEMPORAL"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean | variables)
    assert ended_well(done), f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(uv, built, tmp_path_factory):
    """The interpreter of an empty environment, to which core was added as it is published, and its kit."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    wheel, _ = built["temporal-payloads"]
    pinned = ("--constraints", str(ROOT / "requirements" / "dev.txt"))
    run(uv, "pip", "install", "--quiet", "--python", str(folder), *pinned, f"{wheel}[cli,testing]")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def written(python, tmp_path_factory):
    """The distributions, as the command of the published core writes them."""
    folder = tmp_path_factory.mktemp("new-plugins")
    command = python.with_name("temporal-payloads")
    for kind, name in NAMES.items():
        run(command, "new-plugin", kind, name, "--directory", str(folder / kind))
    return folder


@pytest.fixture(scope="module")
def installed(uv, python, written):
    """The same interpreter, now with a wheel of each, and nothing of their source."""
    for kind in NAMES:
        build = (sys.executable, "-m", "hatchling", "build", "--directory", str(written / "dist"))
        run(*build, "--target", "wheel", "--target", "sdist", cwd=written / kind)
    wheels = [str(wheel) for wheel in (written / "dist").glob("*.whl")]
    assert len(wheels) == len(list((written / "dist").glob("*.tar.gz"))) == len(NAMES)
    run(uv, "pip", "install", "--quiet", "--offline", "--python", str(python), *wheels)
    return python


@pytest.mark.parametrize("kind", NAMES)
def test_it_is_typed_as_strictly_as_can_be(written, kind):
    # What both import, such as the SDK, takes a minute to look at, and stays the same.
    cache = ROOT / ".mypy_cache" / "new-plugin"
    mypy = (sys.executable, "-m", "mypy", "--cache-dir", str(cache))
    run(*mypy, cwd=written / kind, env={**os.environ, "MYPYPATH": "src"})


@pytest.mark.parametrize("kind", NAMES)
def test_its_own_tests_pass_where_only_its_wheel_is_installed(installed, written, kind):
    suite = (installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(written / kind))
    shown = run_there(*suite, "-c", str(written / kind / "pyproject.toml"), str(written / kind / "tests"))
    assert re.search(r"^\d+ passed(, \d+ skipped)? in ", shown, re.MULTILINE), shown


@pytest.mark.parametrize("by", ["file", "environment"])
def test_it_carries_the_payloads_of_a_workflow(
    installed, tmp_path: Path, temporal_server: TemporalServer, by: str
) -> None:
    """Nobody knows of it but its own metadata: it is found by them, and configured as our own plugins are."""
    store = tmp_path / "store"
    store.mkdir()
    variables = {
        "TEMPORAL_PAYLOADS_CODECS": "around",
        "TEMPORAL_PAYLOADS_STORAGE__THRESHOLD": "0",
        "TEMPORAL_PAYLOADS_STORAGE__DRIVER": "shelf",
        "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__SHELF__PATH": str(store),
    }
    if by == "file":
        file = tmp_path / "settings.toml"
        file.write_text(
            f'codecs = ["around"]\n[storage]\nthreshold = 0\n[storage.drivers.shelf]\npath = "{store}"\n'
        )
        variables = {"TEMPORAL_PAYLOADS_CONFIG_FILE": str(file)}
    program = tmp_path / "program.py"
    program.write_text(WORKFLOW)
    shown = run_there(installed, str(program), SERVER=temporal_server.address, **variables)
    assert shown.split() == ["shelf", "shelf"]
    stored = [file.read_bytes() for file in store.iterdir()]
    assert len(stored) == 2
    assert all(b"binary/around" in data and b"confidential" not in data for data in stored)
