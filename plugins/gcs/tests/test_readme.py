"""The README and the page of the documentation tell the truth."""

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads import plugin as plugin_api
from temporal_payloads_gcs._error_table import BY_REASON, BY_STATUS, NO_BUCKET, NO_OBJECT
from temporal_payloads_gcs._settings import GCSSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PAGE = (Path(__file__).parents[3] / "docs" / "backends" / "gcs.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", README + PAGE, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_the_configurations_are_valid(text: str) -> None:
    GCSSettings(**tomllib.loads(text)["storage"]["drivers"]["gcs"])


def test_the_readme_names_every_setting_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert told.keys() == GCSSettings.model_fields.keys()
    defaults = GCSSettings(bucket="payloads")
    for name in ("connect_timeout", "read_timeout", "max_payload_size", "anonymous"):
        value = told[name].strip("`")
        assert getattr(GCSSettings.model_validate({"bucket": "payloads", name: value}), name) == getattr(
            defaults, name
        )


async def test_the_program_of_the_readme_makes_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    indented = textwrap.indent(PROGRAM, "    ")
    exec(compile(f"async def main():\n{indented}    return driver\n", "README.md", "exec"), names)
    driver = await names["main"]()
    assert driver.type() == "gcp.gcsdriver"


def test_the_page_names_every_failure_type() -> None:
    rules = [*BY_REASON.values(), *BY_STATUS.values(), NO_OBJECT, NO_BUCKET]
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {rule.error.__name__ for rule in rules} <= told
    assert all(hasattr(plugin_api, name) for name in told)


def test_the_permissions_of_the_page_are_those_that_requests_need() -> None:
    from temporal_payloads_gcs._errors import _NEEDED  # noqa: PLC0415  # loads aiohttp

    (sentence,) = re.findall(r"A custom role with (.*?) on the bucket suffices", PAGE)
    assert set(re.findall(r"`(.*?)`", sentence)) == {_NEEDED["read"], _NEEDED["write"]}
    (section,) = re.findall(r"## Listing and moving\n(.*?)\n## ", PAGE, re.DOTALL)
    assert _NEEDED["list"] in set(re.findall(r"`(.*?)`", section))
    (checked,) = re.findall(r"`temporal-payloads check` asks for (.*?)\n\n", PAGE, re.DOTALL)
    assert {_NEEDED["list"], _NEEDED["delete"]} <= set(re.findall(r"`(.*?)`", checked))
