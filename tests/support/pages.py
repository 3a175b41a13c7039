"""The pages of the documentation, and the snippets in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "core/README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]


def path_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(language, pages=PAGES):
    """Return what stands in the pages' fences of a language, each with its place."""
    found = []
    for page in pages:
        text = page.read_text()
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            found.append(pytest.param(match[1], id=f"{path_of(page)}:{line}"))
    return found
