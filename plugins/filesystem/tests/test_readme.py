"""README and documentation page are true: their settings load, their commands make a store."""

import errno
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads.plugin import StorageMisconfiguredError, StorageUnavailableError
from temporal_payloads_filesystem import _paths
from temporal_payloads_filesystem._errors import OTHERWISE, RULES
from temporal_payloads_filesystem._settings import FilesystemSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PAGE = (Path(__file__).parents[3] / "docs/backends/filesystem.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", README + PAGE, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(TROUBLES,) = re.findall(r"## Troubleshooting\n(.*)", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_the_configurations_are_valid(text):
    FilesystemSettings(**tomllib.loads(text)["storage"]["drivers"]["filesystem"])


@pytest.mark.parametrize("setting", FilesystemSettings.model_fields)
def test_the_readme_names_every_setting(setting):
    assert f"`{setting}`" in README


async def test_the_program_makes_a_driver():
    names: dict[str, Any] = {}
    exec(compile(PROGRAM, "README.md", "exec"), names)
    assert names["driver"].name() == "filesystem"
    await names["driver"].aclose()


async def test_the_first_configuration_needs_nothing_that_was_there_before(
    tmp_path, monkeypatch, open_driver, store_context, retrieve_context, make_payloads
):
    monkeypatch.chdir(tmp_path)
    settings = tomllib.loads(CONFIGURATIONS[0])["storage"]["drivers"]["filesystem"]
    async with open_driver(**settings, create=None) as driver:
        await driver.check()
        claims = await driver.store(store_context, make_payloads(2))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(2)


@pytest.mark.parametrize("text", [README, PAGE], ids=["README", "page"])
def test_the_commands_make_a_store(text, tmp_path, open_driver):
    (commands,) = re.findall(r"```\n(mkdir .*?)```", text, re.DOTALL)
    subprocess.run(
        ["sh", "-e", "-c", commands.replace("/mnt", str(tmp_path))], check=True, capture_output=True
    )
    store = tmp_path / "payloads/orders"
    assert [path.name for path in store.iterdir()] == ["temporal-payloads.store"]


async def test_all_files_of_a_group_s_store_belong_to_the_group(
    directory, open_driver, store_context, make_payloads
):
    (commands,) = re.findall(r"```\n(chgrp .*?)```", PAGE, re.DOTALL)
    if os.geteuid() != 0:
        pytest.skip("giving a directory to a group takes root")
    for command in commands.replace("/mnt/payloads/orders", str(directory)).splitlines():
        subprocess.run(command.replace("chgrp payloads", "chgrp nogroup").split(), check=True)  # noqa: ASYNC221  # quick
    async with open_driver(directory, mode="0660") as driver:
        await driver.store(store_context, make_payloads(1))
    for path in directory.rglob("*"):
        assert path.stat().st_gid == directory.stat().st_gid
        assert path.stat().st_mode & 0o7777 == (0o2770 if path.is_dir() else 0o660)


def test_the_page_knows_what_errors_say_and_which():
    sentences = [*(rule.sentence for rule in RULES), OTHERWISE.sentence]
    said = re.findall(r"^\| (.*?) \|.*\|$", TROUBLES, re.MULTILINE)[2:]
    known = [text for cell in said for text in re.findall(r"`(.*?)`", cell)]
    for text in known[3:]:
        assert any(text in sentence for sentence in sentences), text
    names = set(re.findall(r"`(E[A-Z]+)`", TROUBLES))
    assert names <= set(errno.errorcode.values())


async def test_the_page_knows_what_is_said_of_a_store_that_is_none(tmp_path, directory, open_driver):
    said = []
    for path, settings in ((tmp_path / "none", {"create": False}), (directory, {"create": False})):
        async with open_driver(path, **settings) as driver:
            with pytest.raises(StorageUnavailableError) as caught:
                await driver.check()
            said.append(str(caught.value))
    (directory / "other").touch()
    async with open_driver(directory) as driver:
        with pytest.raises(StorageMisconfiguredError) as refused:
            await driver.check()
        said.append(str(refused.value))
    first, second, third = re.findall(r"`(.*?)`", TROUBLES)[:3]
    assert first in said[0]
    assert second in said[1]
    assert third in said[2]


def test_the_page_tells_the_limits_of_names():
    assert f"{_paths.LONGEST_NAME}\nbytes goes on" in PAGE or f"{_paths.LONGEST_NAME} bytes" in PAGE
    assert f"{_paths.LAYOUT.max_key_length:,} bytes" in PAGE
