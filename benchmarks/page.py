"""The table in `docs/performance.md`, from the last full run: `python -m benchmarks.page` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN = "<!-- the results of the last full run; written by the benchmarks -->\n"
END = "<!-- end of the results -->\n"


def write_page(results: dict[str, Any], page: Path) -> None:
    """Put the results between the page's marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{_table(results)}\n{END}{after}")


def _table(results: dict[str, Any]) -> str:
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
    machine = results["machine"]
    return (
        "\n".join(rows)
        + f"\n\nOne run of {results['seconds']} s on {machine['cores']} cores, Python {machine['python']}, "
        f"temporalio {machine['temporalio']}.\n"
    )


if __name__ == "__main__":
    write_page(json.loads((RESULTS / "results.json").read_text()), PAGE)
