"""Look for known vulnerabilities in everything that is pinned: `make audit`.

A finding fails, unless `requirements/accepted.txt` says why it does not matter here. That no service can be
asked is told, and fails nothing: a build must not depend on one being up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
FILES = ("published.txt", "dev.txt", "demo.txt", "uv.txt", "audit.txt")
SERVICES = ("pypi", "osv")
PIP_AUDIT = Path(sys.executable).with_name("pip-audit")


def main() -> int:
    """Ask one service after the other, until one knows the packages."""
    for service in SERVICES:
        found = ask(service)
        if found is None:
            continue
        known = [each for each in found if "vulns" in each]
        if not known:
            print(f"{service} knows none of the {len(found)} packages: it is no full index")
            continue
        return tell(service, found, known)
    print("NOT AUDITED: no service that knows of vulnerabilities can be asked from here")
    return 0


def ask(service: str) -> list[dict] | None:
    """Return what the service says of each package, or None if it does not answer."""
    command = [PIP_AUDIT, "--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
    command += ["--require-hashes", "--disable-pip", "--timeout", "15"]
    packages: dict[tuple[str, str], dict] = {}
    for file in FILES:
        done = subprocess.run(
            [*command, "-r", REQUIREMENTS / file], capture_output=True, text=True, check=False
        )
        try:
            found = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            reason = done.stderr.strip().splitlines() or ["it says nothing"]
            print(f"{service} cannot be asked about {file}: {reason[-1][:300]}")
            return None
        packages |= {(each["name"], each.get("version", "")): each for each in found}
    return list(packages.values())


def tell(service: str, found: list[dict], known: list[dict]) -> int:
    """Print what was found, and return the exit status."""
    accepted = read_accepted()
    status = 0
    for each in known:
        for vulnerability in each["vulns"]:
            names = [vulnerability["id"], *vulnerability["aliases"]]
            reason = next((accepted[name] for name in names if name in accepted), None)
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release"
            what = f"{each['name']} {each['version']}: {' '.join(names)}, mended in {fixed}"
            print(f"{what}; {reason or 'NOT accepted'}")
            status |= reason is None
    print(f"{service}: {len(known)} packages were audited, {len(found) - len(known)} are not known there")
    return int(status)


def read_accepted() -> dict[str, str]:
    """Return the reasons by the findings' ids."""
    lines = (REQUIREMENTS / "accepted.txt").read_text().splitlines()
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {name: f"accepted: {reason.strip()}" for name, _, reason in pairs}


if __name__ == "__main__":
    sys.exit(main())
