"""Write which plugins core knows, this repository's, from their metadata: `python core/generate.py`.

`python core/generate.py --check` only tells whether the file is as it would be written; a test does that.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

CORE = Path(__file__).parent
TARGET = CORE / "src/temporal_payloads/_plugins/known.py"
HEAD = '''\
"""The plugins of this project, so that an error can say what to install.

Made from the plugins' metadata by `make generate`; do not edit by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

KNOWN_DISTRIBUTIONS: Mapping[str, Mapping[str, str]] = {
'''


def module() -> str:
    """Return the whole module."""
    known: dict[str, dict[str, str]] = {}
    for file in [CORE / "pyproject.toml", *sorted(CORE.parent.glob("plugins/*/pyproject.toml"))]:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        for group, names in project.get("entry-points", {}).items():
            known.setdefault(group, {}).update(dict.fromkeys(names, project["name"]))
    lines = [HEAD]
    for group, names in sorted(known.items()):
        lines.append(f'    "{group}": {{\n')
        lines += [f'        "{name}": "{distribution}",\n' for name, distribution in sorted(names.items())]
        lines.append("    },\n")
    lines.append('}\n"""Their distributions, by entry point group and name."""\n')
    return "".join(lines)


if __name__ == "__main__":
    text = module()
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        sys.exit(f"{TARGET.name} is out of date; run make generate")
