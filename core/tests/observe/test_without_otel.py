"""OpenTelemetry is optional: without it nothing of it is imported, and nothing is missed."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
from temporal_payloads._build import observers

PROGRAM = """
import sys
from importlib import metadata

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("opentelemetry", "prometheus_client"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
found = metadata.version

def version(name):
    if name == "opentelemetry-api":
        raise metadata.PackageNotFoundError(name)
    return found(name)

metadata.version = version
import asyncio
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporal_payloads.observability import METRICS

settings = PayloadSettings(codecs=["gzip"], storage={"drivers": {"memory": {}}, "threshold": 0})
converter = PayloadsPlugin(settings)._convert(None)

async def there_and_back():
    return await converter.decode(await converter.encode(["order"]))

assert asyncio.run(there_and_back()) == ["order"]
assert not [name for name in sys.modules if name.startswith(("opentelemetry", "prometheus_client"))]
"""


def test_without_the_extra_nothing_of_it_is_imported_and_all_else_works():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(("found", "enough"), [("1.29.0", False), ("1.30.0", True), ("2.0.0b1", True)])
def test_an_older_api_that_something_else_installed_is_left_alone(monkeypatch, caplog, found, enough):
    monkeypatch.setattr(observers, "version", lambda _: found)
    assert observers.has_otel() is enough
    assert [record.levelname for record in caplog.records] == ([] if enough else ["WARNING"])
    assert enough or "temporal-payloads[otel]" in caplog.text


def test_that_it_is_not_installed_is_no_news(monkeypatch, caplog):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(observers, "version", version)
    assert not observers.has_otel()
    assert not caplog.records
