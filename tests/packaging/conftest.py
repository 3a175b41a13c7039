"""The distributions as they are published: built, and installed into environments of their own."""

import os
import shutil
import subprocess
import sys

import pytest
from support.distributions import CORE, EXTRAS, FOLDERS, ROOT


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def uv():
    """The program that makes environments: installed, or fetched by the Makefile."""
    program = shutil.which(
        "uv", path=os.pathsep.join([os.environ["PATH"], str(ROOT / ".tools" / "uv" / "bin")])
    )
    if program is None:
        message = "uv is missing: pip install uv"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Each distribution's wheel and sdist, built with the build backend that this environment has."""
    files = {}
    for name, folder in FOLDERS.items():
        into = tmp_path_factory.mktemp(name)
        build = (sys.executable, "-m", "hatchling", "build", "--directory", str(into))
        run(*build, "--target", "wheel", "--target", "sdist", cwd=folder)
        (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
        files[name] = wheel, sdist
    return files


class Environment:
    """An environment that has just what was installed, and runs programs away from the source."""

    def __init__(self, folder):
        self.folder = folder
        self.python = folder / "environment" / "bin" / "python"

    def run(self, program, **variables):
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TEMPORAL"))
        }
        return run(self.python, "-c", program, cwd=self.folder, env=clean | variables)


@pytest.fixture(scope="session")
def new_environment(uv, tmp_path_factory):
    """Make an environment, and install into it what `uv pip install` takes."""

    def make(name, *wanted, python=sys.executable):
        folder = tmp_path_factory.mktemp(name)
        run(uv, "venv", "--quiet", "--python", python, str(folder / "environment"))
        run(uv, "pip", "install", "--quiet", "--python", str(folder / "environment"), *map(str, wanted))
        return Environment(folder)

    return make


@pytest.fixture(scope="session")
def install(new_environment, built):
    """Make an environment with core and perhaps one plugin; the same one if asked again."""
    environments = {}

    def make(*names):
        if names not in environments:
            wheels = [built[name][0] for name in ("temporal-payloads", *names)]
            # The versions that the other tests run with.
            pinned = ("--constraints", ROOT / "requirements" / "dev.txt")
            environments[names] = new_environment("environment", *pinned, *wheels)
        return environments[names]

    return make


@pytest.fixture(scope="session")
def index(built, tmp_path_factory):
    """A folder with all wheels, where an installer finds what our distributions need of each other."""
    folder = tmp_path_factory.mktemp("index")
    for wheel, _ in built.values():
        shutil.copy(wheel, folder)
    return folder


@pytest.fixture(scope="session")
def all_extras(index):
    """What installs core and, by its extras, every plugin from the built wheels."""
    [wheel] = index.glob(f"{CORE.replace('-', '_')}-*.whl")
    return ("--find-links", index, f"{CORE}[{','.join(EXTRAS)}] @ {wheel.as_uri()}")


@pytest.fixture(scope="session")
def everything(new_environment, all_extras):
    """An environment with all distributions, in the versions that the other tests run with."""
    return new_environment("everything", "--constraints", ROOT / "requirements/dev.txt", *all_extras)
