"""docs/configuration.md: its command prints what it shows."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from local_servers import start_redis
from support.console import alike, commands, run, section
from temporal_payloads._cli import check_report
from temporal_payloads._cli.codecs_found import FoundCodec
from temporal_payloads._cli.document import shown_error
from temporal_payloads._errors import Problem
from temporal_payloads._operate.doctor.codec_samples import CodecSample
from temporal_payloads._settings.models import Route
from temporal_payloads.plugin import Finding, KeyDescription

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text()


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """The deployment of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_PAYLOADS_STORAGE__DRIVERS__REDIS__PASSWORD", "a-password")
    with start_redis(tmp_path / "redis", password="a-password") as server:
        Path("temporal-payloads.toml").write_text(f"""
            codecs = ["gzip"]
            [profile.prod.storage.drivers.redis]
            host = "{server.host}"
            port = {server.port}
        """)
        yield


def test_what_was_read_is_shown_as_the_page_says(orders):
    [(command, shown)] = commands(PAGE, "What was read")
    status, printed = run(command)
    before, findings, after = printed.partition("Findings\n")
    assert (status, alike(before + findings + "...\n")) == (0, alike(shown))
    assert after  # docs/checking.md shows it


def names(model):
    return [field.name for field in fields(model)]


def test_the_page_has_the_keys_of_the_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, printed = run("temporal-payloads check --json")
    assert status == 0
    document = json.loads(printed)
    expected = {
        "the document": list(document),
        **{key: list(value) for key, value in document.items() if isinstance(value, dict)},
        "codecs": names(FoundCodec),
        "codecs.keys": names(KeyDescription),
        "drivers": names(check_report.CheckedDriver),
        "routes": list(Route.model_fields),
        "peers": names(check_report.Compared),
        "findings": names(Finding),
        "codec_samples": names(CodecSample),
        "problems": names(Problem),
        "error": list(shown_error(ValueError("x"))),
    }
    rows = re.findall(r"^\| (.*?) \| (`.*?) \|", section(PAGE, "What was read"), re.MULTILINE)
    assert {where.replace("`", ""): re.findall(r"`(.*?)`", keys) for where, keys in rows} == expected
