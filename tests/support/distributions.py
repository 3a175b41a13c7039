"""The distributions of this repository, as their own metadata tells."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = "temporal-payloads"
FOLDERS = {
    tomllib.loads(file.read_text())["project"]["name"]: file.parent
    for file in [ROOT / "core/pyproject.toml", *sorted((ROOT / "plugins").glob("*/pyproject.toml"))]
}
"""The folder of each distribution that is published, core's first."""
PLUGINS = tuple(name for name in FOLDERS if name != CORE)


def project(distribution):
    """Return the table `[project]` of a distribution."""
    return tomllib.loads((FOLDERS[distribution] / "pyproject.toml").read_text())["project"]


OFFERS = {
    (group.removeprefix(f"{CORE.replace('-', '_')}."), name): distribution
    for distribution in FOLDERS
    for group, names in project(distribution).get("entry-points", {}).items()
    for name in names
    if group != "temporal_payloads.commands"
}
"""The distribution of each plugin, by its kind (`drivers`) and name."""
EXTRAS = {
    name: needs[0]
    for name, needs in project(CORE)["optional-dependencies"].items()
    if needs[0].startswith(CORE)
}
"""The extras of core that install plugins, each with what it installs."""
