"""Write build/sbom.json, in CycloneDX: the distributions as they are built, and all that they depend on.

Arguments: the folders of the distributions.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
WHEELS = BUILD / "sbom"


def main() -> None:
    """Build wheels, and describe them with what is pinned in requirements/published.txt."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    for wheel in WHEELS.glob("*.whl"):
        wheel.unlink()
    lines = []
    for folder in sys.argv[1:]:
        subprocess.run(
            [ROOT / ".venv/bin/python", "-m", "hatchling", "build", "-t", "wheel", "-d", WHEELS],
            cwd=ROOT / folder,
            check=True,
            capture_output=True,
        )
    for wheel in sorted(WHEELS.glob("*.whl")):
        name, version, *_ = wheel.name.split("-")
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{sha256}")
    requirements = "\n".join([*lines, (ROOT / "requirements/published.txt").read_text()])
    command = [Path(sys.executable).with_name("cyclonedx-py"), "requirements", "-"]
    command += ["--output-reproducible", "--of", "JSON", "-o", BUILD / "sbom.json"]
    subprocess.run(command, input=requirements, text=True, check=True)
    print(f"{BUILD / 'sbom.json'}: {len(lines)} distributions, and what they depend on")


if __name__ == "__main__":
    main()
