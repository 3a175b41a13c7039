"""What MkDocs does not do by itself for the site; mkdocs.yml names this module.

Pages that are elsewhere in the repository become pages of the site, links between files that are right on
GitHub become right in the site, and a pattern in the navigation stands for the pages that are there and named
nowhere else.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    **{
        str(path.relative_to(ROOT)): f"benchmarks/results/{path.name}"
        for path in (ROOT / "benchmarks/results").iterdir()
    },
    **{
        str(path.relative_to(ROOT)): f"plugins/{path.parent.name}.md"
        for path in sorted((ROOT / "plugins").glob("*/README.md"))
    },
}
"""Files of the repository that the site has, by where they are; the value is where they are in the site."""
IN_REPOSITORY = {there: here for here, there in ELSEWHERE.items()}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)", re.DOTALL)
_QUALIFIED_FENCE = re.compile(r"^```(\w+) \w+$", re.MULTILINE)
"""Such as "toml ring": its second word is for the tests."""
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that are there for the patterns of the navigation."""
    pages = [str(path.relative_to(config.docs_dir)) for path in sorted(Path(config.docs_dir).rglob("*.md"))]
    pages += sorted(page for page in ELSEWHERE.values() if page.endswith(".md"))
    named = set(_named_in(config.nav))
    config.nav = [entry for entry in (_filled(e, pages, named) for e in config.nav or []) if entry]
    return config


def _named_in(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [name for entry in entries for name in _named_in(entry)]


def _filled(entry: Any, pages: list[str], named: set[str]) -> Any:
    """Return an entry of the navigation with the pages for its patterns; None for a section without any."""
    if not isinstance(entry, dict):
        return entry
    ((title, inner),) = entry.items()
    if isinstance(inner, str):
        return entry
    filled: list[Any] = []
    for each in inner:
        matched = isinstance(each, str) and "*" in each
        filled += [page for page in pages if fnmatch(page, each) and page not in named] if matched else [each]
    return {title: filled} if filled else None


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is elsewhere in the repository."""
    for here, there in ELSEWHERE.items():
        if there.endswith((".md", ".svg", ".json")):
            files.append(File.generated(config, there, abs_src_path=str(ROOT / here)))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: Any) -> str:
    """Turn the links of a file in the repository into those of a page of the site."""
    there = page.file.src_uri
    here = PurePosixPath(IN_REPOSITORY.get(there, f"docs/{there}"))

    def link(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        linked = normpath(str(here.parent / target))
        page_of_site = ELSEWHERE.get(linked, linked.removeprefix("docs/"))
        if linked == "README.md":
            page_of_site = "index.md"
        if files.get_file_from_path(page_of_site) is not None:
            target = relpath(page_of_site, PurePosixPath(there).parent)
        elif (ROOT / linked).exists() and not linked.startswith("docs/"):
            return text  # the site has no source code
        return f"{image}[{text}]({target}{anchor or ''})"

    parts = _FENCE.split(_QUALIFIED_FENCE.sub(r"```\1", markdown))
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)
