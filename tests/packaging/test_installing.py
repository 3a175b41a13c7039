"""The distributions install together, from extras and sdists, on each Python and with old dependencies."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.distributions import FOLDERS, OFFERS, ROOT

EVERY_PLUGIN = """
from temporal_payloads._build.json_schema import installed_plugins, settings_schema
from temporal_payloads.plugin import PluginRegistry
plugins = list(installed_plugins(PluginRegistry()))
assert settings_schema(plugins)["definitions"]
print(sorted(plugin.offer.name for plugin in plugins))
"""
OTHERS = [version for version in ("3.11", "3.12", "3.13", "3.14") if version != f"3.{sys.version_info.minor}"]


def interpreter(version):
    """Return a Python of this version: on the PATH, or of those that pyenv keeps beside it."""
    kept = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, kept)):
        # A shim without its interpreter fails when it is run.
        program = "import sys; print('%d.%d' % sys.version_info[:2])"
        ask = [found or sys.executable, "-c", program]
        if subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() == version:
            return found
    return None


def assert_that_every_plugin_loads(environment):
    assert environment.run(EVERY_PLUGIN).strip() == str(sorted(name for _, name in OFFERS))


def test_extras_install_the_plugins(everything):
    assert_that_every_plugin_loads(everything)


def test_the_oldest_dependencies_that_are_allowed_install_and_load(new_environment, all_extras):
    oldest = ("--constraints", ROOT / "requirements/oldest.txt")
    assert_that_every_plugin_loads(new_environment("oldest", *oldest, *all_extras))


@pytest.mark.parametrize("version", OTHERS)
def test_they_install_and_load_on_another_python(new_environment, all_extras, version):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    pinned = ("--constraints", ROOT / "requirements/dev.txt")
    environment = new_environment(f"python-{version}", *pinned, *all_extras, python=python)
    assert_that_every_plugin_loads(environment)


@pytest.mark.parametrize("distribution", FOLDERS)
def test_a_wheel_that_is_built_from_the_sdist_is_the_wheel(built, tmp_path, distribution):
    wheel, sdist = built[distribution]
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path))
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    [again] = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
