"""The distributions as they are published: built, and installed into environments of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "temporal-payloads": ROOT / "core",
    "temporal-payloads-aws-kms": ROOT / "plugins" / "aws_kms",
    "temporal-payloads-encryption-codec": ROOT / "plugins" / "encryption_codec",
    "temporal-payloads-gzip-codec": ROOT / "plugins" / "gzip_codec",
    "temporal-payloads-msgspec-converter": ROOT / "plugins" / "msgspec_converter",
    "temporal-payloads-redis": ROOT / "plugins" / "redis",
    "temporal-payloads-s3": ROOT / "plugins" / "s3",
    "temporal-payloads-zstd-codec": ROOT / "plugins" / "zstd_codec",
}


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
    for name, folder in DISTRIBUTIONS.items():
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
def install(uv, built, tmp_path_factory):
    """Make an environment with core and perhaps one plugin; the same one if asked again."""
    environments = {}

    def make(*names):
        if names not in environments:
            folder = tmp_path_factory.mktemp("-".join(["core", *names]))
            run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "environment"))
            wheels = [str(built[name][0]) for name in ("temporal-payloads", *names)]
            python = ("--python", str(folder / "environment"))
            # The versions that the other tests run with.
            pinned = ("--constraints", str(ROOT / "requirements" / "dev.txt"))
            run(uv, "pip", "install", "--quiet", *python, *pinned, *wheels)
            environments[names] = Environment(folder)
        return environments[names]

    return make
