"""The documentation tells the truth: its snippets are loaded and run, its reference is up to date."""

import asyncio
import importlib.metadata
import logging
import os
import re
import subprocess
import sys
import tomllib
import traceback
from pathlib import Path
from textwrap import dedent

import pytest
from support.console import section
from support.distributions import CORE, FOLDERS, OFFERS
from support.pages import PAGES, ROOT, path_of, snippets
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PayloadsPlugin,
    build_data_converter,
    open_data_converter,
)
from temporal_payloads._cli import main
from temporal_payloads.codec_server import create_app
from temporal_payloads_redis._settings import SentinelSettings
from temporalio.converter import DataConverter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DISTRIBUTIONS = {
    plugin.name: plugin.dist.name
    for kind in ("drivers", "codecs", "payload_converters", "key_providers")
    for plugin in importlib.metadata.entry_points(group=f"temporal_payloads.{kind}")
    if plugin.dist is not None
}


def first_steps():
    """Return what each page installs first, and the first settings after it."""
    steps = re.compile(r"^(?: {4}|\$ )pip install ([^\n]*)$.*?^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = [(page, steps.search(page.read_text())) for page in PAGES]
    return [pytest.param(*match.groups(), id=path_of(page)) for page, match in found if match]


def provide(snippet, directory, monkeypatch):
    """Have all the variables and files that a snippet names."""
    monkeypatch.chdir(directory)
    for number, name in enumerate(re.findall(r'"([\w-]+\.dict)"', snippet)):
        samples = [
            f'{{"order": "ORD-{n}", "of": "{name}", "quantity": {n % 7}}}'.encode() for n in range(2000)
        ]
        Path(name).write_bytes(zstd.train_dict(samples, 2048 + number).dict_content)
    for number, name in enumerate(dict.fromkeys(re.findall(r'\benv"?[ =:]+"(\w+)"', snippet)), 1):
        monkeypatch.setenv(name, bytes([number] * 32).hex())
    for number, name in enumerate(dict.fromkeys(re.findall(r'file = "([\w.-]+)"', snippet)), 100):
        text = snippets("toml ring")[0].values[0] if name.endswith(".toml") else bytes([number] * 32).hex()
        Path(name).write_text(text)


@pytest.mark.parametrize("snippet", snippets("toml"))
def test_every_toml_snippet_is_a_configuration_that_builds(snippet, tmp_path, monkeypatch):
    provide(snippet, tmp_path, monkeypatch)
    file = tmp_path / "temporal-payloads.toml"
    file.write_text(snippet)
    profiles = tomllib.loads(snippet).get("profile", {})
    for profile in (None, *profiles):
        converter = build_data_converter(PayloadSettings.load(file, profile))
        assert isinstance(converter, DataConverter)


@pytest.mark.parametrize(("installed", "settings"), first_steps())
def test_what_a_page_installs_first_has_all_that_its_first_settings_name(installed, settings):
    named = set(re.findall(r"[\w-]+", re.sub("#.*", "", settings)))
    needed = {distribution for plugin, distribution in DISTRIBUTIONS.items() if plugin in named}
    assert needed
    assert needed <= set(re.findall(r"[\w-]+", installed))


@pytest.mark.parametrize("snippet", snippets("env"))
def test_every_environment_snippet_is_a_configuration_that_builds(snippet, monkeypatch, tmp_path):
    provide(snippet, tmp_path, monkeypatch)
    for line in snippet.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value.strip("'\""))
    assert build_data_converter() != DataConverter.default


@pytest.mark.parametrize("snippet", snippets("python"))
def test_every_python_snippet_compiles(snippet):
    compile(snippet, "snippet", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT


def indented_blocks(section):
    """Return what stands indented by four spaces in a section of the README."""
    text = (ROOT / "README.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    return [dedent(block).strip() for block in blocks if block.strip()]


@pytest.fixture
def without_zstd(monkeypatch):
    """Let only those plugins be installed that the README's example has."""

    def installed(group):
        found = importlib.metadata.entry_points(group=group)
        return [entry_point for entry_point in found if entry_point.name in ("s3", "redis", "gzip", "zlib")]

    monkeypatch.setattr("temporal_payloads._plugins.registry.entry_points", installed)


async def open_converter():
    async with open_data_converter():
        pass


@pytest.mark.parametrize(
    "build",
    [
        build_data_converter,
        PayloadsPlugin,
        create_app,
        lambda: asyncio.run(open_converter()),
        lambda: main(["check"]),
        lambda: main(["codec-server"]),
    ],
    ids=["converter", "plugin", "codec server in code", "open converter", "check", "codec-server"],
)
def test_a_wrong_configuration_is_told_as_the_readme_shows(
    without_zstd, monkeypatch, tmp_path, capsys, build
):
    monkeypatch.chdir(tmp_path)
    # A command sets up logging for its process.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    file, message = indented_blocks("When the configuration is wrong")
    Path("temporal-payloads.toml").write_text(file)
    monkeypatch.setenv("TEMPORAL_PAYLOADS_STORAGE_DRIVER", "s3")
    try:
        build()
    except ConfigurationError as error:
        [said] = traceback.format_exception_only(error)
    else:
        said = f"temporal_payloads.ConfigurationError:{capsys.readouterr().err.partition('error:')[2]}"
    assert said.strip() == message


def test_the_settings_reference_and_the_page_of_the_commands_are_generated():
    check = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_the_settings_reference_has_a_payload_converter_that_is_installed():
    program = f"import runpy; print(runpy.run_path({str(ROOT / 'docs/generate.py')!r})['reference']())"
    reference = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "core/tests/distributions/tidy")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    _, _, tidy = reference.partition("## Payload converter `tidy` (tidy-converter)")
    assert "`TEMPORAL_PAYLOADS_PAYLOAD_CONVERTERS__TIDY__INDENT`" in tidy
    assert "| `indent` | true or false | `false` | Whether each key has a line of its own. |" in tidy


def test_the_settings_reference_has_the_tables_within_a_plugins_settings():
    reference = (ROOT / "docs/settings.md").read_text()
    _, _, sentinel = reference.partition("## `[storage.drivers.redis.sentinel]`")
    table = sentinel.partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(SentinelSettings.model_fields)


def anchors(page):
    """Return what a link can name in a page, as GitHub makes it of its headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    found = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    return {f"{slug}-{before}" if (before := found[:n].count(slug)) else slug for n, slug in enumerate(found)}


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("distribution", FOLDERS)
def test_the_page_of_a_package_links_to_nothing_beside_it(distribution):
    # A package index shows it alone.
    assert re.findall(r"\]\((?!https:|#)(.*?)\)", (FOLDERS[distribution] / "README.md").read_text()) == []


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_a_page_that_lists_the_plugins_lists_all_of_them(page):
    table = section((ROOT / page).read_text(), "Plugins")
    rows = re.findall(r"^\| `?([^|`]+)`? \| ([^|`]+?)s? (`[^|]*) \|", table, re.MULTILINE)
    listed = {(kind, name): where for where, kind, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {
        (kind.removesuffix("s").replace("_", " "), name): "nothing more" if where == CORE else where
        for (kind, name), where in OFFERS.items()
    }
