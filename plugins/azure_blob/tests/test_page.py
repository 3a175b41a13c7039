"""The page of the documentation is true."""

import re
import tomllib
from pathlib import Path

import pytest
from temporal_payloads_azure_blob import _error_table
from temporal_payloads_azure_blob._driver import key_layout
from temporal_payloads_azure_blob._plugin import temporal_payloads_driver
from temporal_payloads_azure_blob._settings import AzureBlobSettings

PAGE = (Path(__file__).parents[3] / "docs" / "backends" / "azure_blob.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_its_configuration_is_the_readmes_and_valid():
    (configuration,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert configuration in README
    AzureBlobSettings(**tomllib.loads(configuration)["storage"]["drivers"]["azure_blob"])


@pytest.mark.parametrize("code", re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE))
def test_each_code_that_it_explains_is_azures_and_has_advice(code):
    by_status = {"AuthorizationPermissionMismatch"}  # like every other refusal
    assert code in {*_error_table.BY_CODE, *by_status}


def test_its_permissions_are_those_of_the_readme():
    for permission in ("Storage Blob Data Contributor", "Storage Blob Data Reader", "`rcw`", "`r`"):
        assert permission in PAGE
        assert permission in README


def test_a_name_has_no_more_characters_than_it_says():
    (limit,) = re.findall(r"at most ([\d,]+) characters", PAGE)
    settings = AzureBlobSettings(container="payloads", account_url="https://a.blob.core.windows.net")
    assert temporal_payloads_driver().expiry(settings) is None
    assert key_layout("payloads").max_key_length == int(limit.replace(",", ""))
