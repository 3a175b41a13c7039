"""`.ci/run` begins on a machine that has only what it says, whoever calls it."""

import shutil
import subprocess

import pytest
from support.distributions import ROOT

STANDS_IN = """#!{bash}
echo "$(basename "$0") $*" >>"{log}"
{does}
"""


@pytest.fixture
def machine(tmp_path):
    """Return what runs `.ci/run` as a user where no package is installed, and tells how it installs them."""
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    for name in ("bash", "basename", "dirname", "env", "ls"):
        (programs / name).symlink_to(shutil.which(name))

    def run(user):
        does = {"apt-get": "", "sudo": '"$@"', "id": f"echo {user}", "chromium": "exit 1"}
        for name, what in does.items():
            program = programs / name
            program.write_text(STANDS_IN.format(bash=shutil.which("bash"), log=log, does=what))
            program.chmod(0o755)
        subprocess.run([ROOT / ".ci/run"], env={"PATH": str(programs)}, capture_output=True, check=False)
        return [line for line in log.read_text().splitlines() if "apt-get" in line]

    return run


@pytest.mark.parametrize("user", [0, 1000])
def test_packages_are_installed_as_root(machine, user):
    done = machine(user)
    by_sudo = [line for line in done if line.startswith("sudo ")]
    assert len(by_sudo) == (0 if user == 0 else len(done) / 2)
    assert any("install" in line and "jq npm" in line for line in done)
    assert any("install" in line and "postgresql pgbouncer" in line for line in done)
