"""What the pages say of speed is what was measured."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_claims_and_tables_are_those_of_the_results():
    check = subprocess.run(
        [sys.executable, "-m", "benchmarks.page", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_the_readme_claims_a_line_of_the_table_that_reached_its_target():
    results = json.loads((ROOT / "benchmarks/results/results.json").read_text())
    claim = (ROOT / "README.md").read_text().partition("<!-- results: claim -->\n")[2]
    [line] = [line for line in results["lines"] if line["what"] == "order batches of 400, 10 at once, to S3"]
    assert f"{line['ratio']:.1f} times as many" in claim.partition("<!--")[0]
    assert line["reached"]


def test_topics_that_were_measured_later_take_the_place_of_their_lines(monkeypatch):
    published = json.loads((ROOT / "benchmarks/results/results.json").read_text())
    monkeypatch.syspath_prepend(ROOT)
    main = importlib.import_module("benchmarks.__main__")
    line = main.Line(**published["lines"][3] | {"ours": "something else"})
    new = main.Line(**published["lines"][3] | {"what": "something new"})
    updated = main._updated(main.Report(lines=[line, new]), ["encryption"])
    assert updated["lines"][3]["ours"] == "something else"
    assert updated["lines"][-1]["what"] == "something new"
    assert len(updated["lines"]) == len(published["lines"]) + 1
    assert "encryption" in updated["later"]
