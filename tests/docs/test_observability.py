"""The dashboard and the alert rules ask for what the library exports, and the page says what is so."""

import json
import logging
import logging.config
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]  # two files are read
from support.pages import ROOT
from temporal_payloads import plugin
from temporal_payloads.observability import METRICS

FOLDER = ROOT / "docs/observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
PAGE = (ROOT / "docs/observability.md").read_text()
OURS = {name for name in vars(plugin) if name.endswith("Error")}


def exported():
    """Return the labels of each series that there can be, by its name."""
    labels = {}
    for metric in METRICS:
        names = [metric.prometheus]
        if metric.kind == "histogram":
            names = [f"{metric.prometheus}_{part}" for part in ("bucket", "count", "sum")]
        for name in names:
            labels[name] = {*metric.attributes} | ({"le"} if name.endswith("_bucket") else set())
    return labels


def selectors(node):
    """Find the selectors of series in a query, and the labels that are named beside them."""
    if isinstance(node, promql_parser.VectorSelector):
        return [(node.name, [(m.name, m.value) for m in node.matchers.matchers])], set()
    found, named = [], set()
    for attribute in ("expr", "lhs", "rhs", "param", "vector_selector"):
        inner = getattr(node, attribute, None)
        if inner is not None:
            there = selectors(inner)
            found += there[0]
            named |= there[1]
    for argument in getattr(node, "args", ()):
        there = selectors(argument)
        found += there[0]
        named |= there[1]
    modifier = getattr(node, "modifier", None)
    for part in (modifier, getattr(modifier, "matching", None)):
        named |= set(getattr(part, "labels", ()) or ())
    return found, named


def mistakes(query, legend=""):
    """Return what a query names that is not exported."""
    query = query.replace("$__rate_interval", "5m").replace("$namespace", ".*")
    found, named = selectors(promql_parser.parse(query))
    known, wrong = exported(), []
    for name, matchers in found:
        if name not in known:
            wrong.append(f"no metric {name}")
            continue
        for label, value in matchers:
            if label not in known[name]:
                wrong.append(f"{name} has no label {label}")
            if label == "error_type" and value not in OURS:
                wrong.append(f"no error {value}")
    used = set().union(*(known.get(name, set()) for name, _ in found)) if found else set()
    beside = named | set(re.findall(r"\{\{(\w+)\}\}", legend))
    return wrong + [f"no label {label}" for label in sorted(beside - used)]


def queries():
    """Return each query of the dashboard with its legend, and each of the alert rules."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(
                target["expr"], target["legendFormat"], id=f"{panel['title']} {target['refId']}"
            )
    for rule in RULES:
        labels = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        yield pytest.param(rule["expr"], " ".join(f"{{{{{label}}}}}" for label in labels), id=rule["alert"])


@pytest.mark.parametrize(("query", "legend"), list(queries()))
def test_a_query_names_what_is_exported(query, legend):
    assert mistakes(query, legend) == []


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        (
            "rate(temporal_payloads_storage_payload_total[5m])",
            "no metric temporal_payloads_storage_payload_total",
        ),
        (
            "sum(temporal_payloads_new_payloads_total{store='s3'})",
            "temporal_payloads_new_payloads_total has no label store",
        ),
        ("sum by (store) (rate(temporal_payloads_new_payloads_total[5m]))", "no label store"),
        (
            "temporal_payloads_codec_duration_seconds_count{error_type='PayloadLostError'}",
            "no error PayloadLostError",
        ),
        ("1 - (sum(temporal_payloads_new_payloads) / 2)", "no metric temporal_payloads_new_payloads"),
    ],
)
def test_a_query_that_names_anything_else_would_be_found(query, mistake):
    assert mistakes(query) == [mistake]


def test_the_dashboard_shows_every_metric():
    shown = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
        for name, _ in selectors(promql_parser.parse(target["expr"].replace("$__rate_interval", "5m")))[0]
    }
    by_series = {metric.name: metric.prometheus for metric in METRICS}
    missing = {
        name for name, series in by_series.items() if not any(each.startswith(series) for each in shown)
    }
    # Which codec encoded how many, and what a collection changed, is told by others of the same event.
    assert missing == {
        "temporal_payloads.codec.payloads",
        "temporal_payloads.gc.changes",
        "temporal_payloads.gc.freed",
        "temporal_payloads.gc.duration",
    }


def test_the_dashboard_and_the_tables_are_made_from_the_catalogue():
    check = subprocess.run(
        [sys.executable, FOLDER / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_the_panels_do_not_overlap():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert x < 24
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_page_tells_of_each_alert():
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, re.MULTILINE)[-len(RULES) :] == [
        rule["alert"] for rule in RULES
    ]


@pytest.fixture
def promtool():
    program = shutil.which("promtool")
    if program is None:
        missing = "this test needs promtool: apt-get install prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return program


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent / "alerts").glob("*.yml")), ids=lambda f: f.stem
)
def test_alerts_fire_when_they_should(promtool, file):
    check = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_alert_is_tested():
    text = "".join(file.read_text() for file in (Path(__file__).parent / "alerts").glob("*.yml"))
    fired = set(re.findall(r"alertname: (\w+)\n\s+eval_time: .*\n\s+exp_alerts", text))
    assert fired == {rule["alert"] for rule in RULES}


def test_the_logging_of_the_page_writes_json(capsys):
    [snippet] = re.findall(r"```python\n(import logging.config\n.*?)```", PAGE, re.DOTALL)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        exec(snippet, {})  # the page's own
        logging.getLogger("temporal_payloads").warning("as an example")
    finally:
        root.handlers[:], root.level = before
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"]) == ("WARNING", "as an example")
    [example] = re.findall(r"```json\n(.*)\n```", PAGE)
    assert set(line) <= set(json.loads(example))
