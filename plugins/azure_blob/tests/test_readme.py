import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from local_servers import AzuriteServer
from temporal_payloads_azure_blob._settings import AzureBlobSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_the_configurations_of_the_readme_are_valid(text):
    AzureBlobSettings(**tomllib.loads(text)["storage"]["drivers"]["azure_blob"])


def test_the_key_of_the_readme_is_the_emulators():
    table = tomllib.loads(CONFIGURATIONS[-1])["storage"]["drivers"]["azure_blob"]
    emulator = AzuriteServer(table["account_url"])
    assert table["account_key"] == emulator.account_key
    assert table["account_url"].endswith(emulator.account_name)


@pytest.mark.parametrize("setting", AzureBlobSettings.model_fields)
def test_the_readme_names_every_setting(setting):
    assert f"| `{setting}` |" in README


async def test_the_program_of_the_readme_makes_a_driver():
    names: dict[str, Any] = {}
    exec(compile(PROGRAM, "README.md", "exec"), names)
    (driver,) = names["data_converter"].external_storage.drivers
    assert driver.name() == "azure_blob"
    await names["container"].close()
    await names["credential"].close()


async def test_the_permissions_of_the_readme_suffice(container, open_driver, store_context, payload):
    (to_write, to_read) = re.search(r"A SAS needs `(\w+)`, or `(\w+)` to read only", README).groups()  # type: ignore[union-attr]  # it is there
    payloads = [payload(1), payload(2, 2_500_000)]
    async with open_driver(**container.settings_with_sas(to_write), block_size="1MiB") as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.store(store_context, payloads) == claims
    async with open_driver(**container.settings_with_sas(to_read), block_size="1MiB") as driver:
        await driver.check()
        assert await driver.retrieve(None, claims) == payloads
