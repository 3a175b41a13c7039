"""What the documentation says of the last full run: `python -m benchmarks.page` writes it anew.

`python -m benchmarks.page --check` only tells whether the pages are as they would be written; a test asks.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import breakdown, observability
from benchmarks.whole import tables

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "observability.md",
    RESULTS / "whole.md",
)
MARKED = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of the results -->\n)", re.DOTALL)


def pages(results: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each page as it should be: what stands between its marks is from the results."""

    def fill(section: re.Match[str]) -> str:
        return f"{section[1]}\n{SECTIONS[section[2]](results).rstrip()}\n\n{section[3]}"

    for page in PAGES:
        yield page, MARKED.sub(fill, page.read_text())


def write_pages(results: dict[str, Any]) -> None:
    """Put the results between the pages' marks."""
    for page, text in pages(results):
        page.write_text(text)


def _lines(results: dict[str, Any]) -> str:
    rows = [
        "| what | peer | ours | ratio | best rounds | to reach | reached |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in results["lines"]:
        ratio = f"{line['ratio']:.1f}" if line["ratio"] else ""
        reached = "yes" if line["reached"] else "**no**"
        best = f"{line['best_ratio']:.1f}" if line["best_ratio"] else ""
        cells = (line["what"], line["peer"], line["ours"], ratio, best, line["wanted"], reached)
        rows.append(f"| {' | '.join(cells)} |")
    machine, later = results["machine"], results["later"]
    return (
        "\n".join(rows)
        + f"\n\nOne run of {results['seconds']} s on {machine['cores']} cores, Python {machine['python']}, "
        f"temporalio {machine['temporalio']}"
        + (f"; {', '.join(later)} in later runs of their own" if later else "")
        + ".\n"
    )


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "claim": tables.claim,
    "whole": tables.headline,
    "cells": tables.cells,
    "replays": tables.replays,
    "settings": tables.settings,
    "lines": _lines,
    "breakdown": breakdown.table,
    "observability": observability.claim,
}


def main() -> None:
    """Write the pages, or say which are out of date."""
    results = json.loads((RESULTS / "results.json").read_text())
    if "--check" not in sys.argv:
        write_pages(results)
        return
    stale = [page.name for page, text in pages(results) if page.read_text() != text]
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the results say; run `python -m benchmarks.page`")


if __name__ == "__main__":
    main()
