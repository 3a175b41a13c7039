"""The plugins that the author's guide shows pass the conformance kit, and its other programs run."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._cli import main
from temporal_payloads.plugin import KeyUnavailableError, PluginRegistry
from temporal_payloads.testing import CodecConformance, PayloadConverterConformance

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


MY_VAULT = """
from contextlib import asynccontextmanager

class Forbidden(Exception):
    pass

class Client:
    async def encrypt(self, key, plaintext):
        return key.encode() + plaintext[::-1]

    async def decrypt(self, key, wrapped):
        if not wrapped.startswith(key.encode()):
            raise Forbidden
        return wrapped.removeprefix(key.encode())[::-1]

@asynccontextmanager
async def connect(address):
    assert address == "vault.internal"
    yield Client()
"""


def snippet_with(text):
    snippets = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [snippet for snippet in snippets if text in snippet]
    return found


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    site = tmp_path_factory.mktemp("site-packages")
    (site / "temporal_payloads_directory.py").write_text(snippet_with("class DirectoryDriver"))
    (site / "temporal_payloads_reverse.py").write_text(snippet_with("class ReverseCodec"))
    (site / "temporal_payloads_decimal.py").write_text(snippet_with("class DecimalPayloadConverter"))
    (site / "temporal_payloads_vault.py").write_text(snippet_with("class VaultKeyProvider"))
    (site / "my_vault.py").write_text(MY_VAULT)
    (site / "my_directory_driver.py").write_text(snippet_with("class DirectoryDriver"))
    metadata = site / "temporal_payloads_guide-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: temporal-payloads-guide\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[temporal_payloads.drivers]\ndirectory = temporal_payloads_directory\n"
        "[temporal_payloads.codecs]\nreverse = temporal_payloads_reverse\n"
        "[temporal_payloads.payload_converters]\ndecimal = temporal_payloads_decimal\n"
        "[temporal_payloads.key_providers]\nvault = temporal_payloads_vault\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield


def run(snippet):
    names: dict[str, Any] = {}
    exec(compile(snippet, str(GUIDE), "exec"), names)
    return names


TestTheDriverOfTheGuide = run(snippet_with("class TestConformance"))["TestConformance"]


class TestTheCodecOfTheGuide(CodecConformance):
    entry_point = "reverse"

    @pytest.fixture
    def plugin(self):
        return PluginRegistry().codec("reverse")

    @pytest.fixture
    def settings(self, plugin):
        return plugin.settings()


class TestThePayloadConverterOfTheGuide(PayloadConverterConformance):
    entry_point = "decimal"

    @pytest.fixture
    def plugin(self):
        return PluginRegistry().payload_converter("decimal")

    @pytest.fixture
    def settings(self, plugin):
        return plugin.settings()


def test_the_layout_of_the_guide_writes_and_confines_as_it_says():
    run(snippet_with("layout = KeyLayout("))


def test_a_driver_that_is_registered_in_code_is_one_for_that_converter_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PAYLOADS_STORAGE__DRIVERS__DIRECTORY__PATH", str(tmp_path))
    [driver] = run(snippet_with("registry.register_driver"))["converter"].external_storage.drivers
    assert driver.name() == "directory"


def test_the_command_of_the_guide_writes_the_files_that_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [command] = re.findall(r"^    temporal-payloads (new-plugin driver .*)$", GUIDE.read_text(), re.MULTILINE)
    assert main(command.split()) == 0
    [shown] = re.findall(
        r"^    (temporal-payloads-directory/\n(?:      .*\n)+)", GUIDE.read_text(), re.MULTILINE
    )
    folder, paths = Path(), []
    for line in shown.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2 - 3
        name = line.strip()
        if name.endswith("/"):
            folder = Path(name)
        else:
            paths.append(folder / name if depth else Path(name))
    written = tmp_path / "temporal-payloads-directory"
    assert sorted(paths) == sorted(f.relative_to(written) for f in written.rglob("*") if f.is_file())


def test_the_settings_of_the_guide_are_all_that_the_driver_needs(tmp_path, monkeypatch, capsys):
    [line] = re.findall(
        r"^    (TEMPORAL_PAYLOADS_\S+) temporal-payloads check$", GUIDE.read_text(), re.MULTILINE
    )
    name, _, _ = line.partition("=")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, str(tmp_path))
    assert main(["check"]) == 0
    assert "answers" in capsys.readouterr().out


def test_the_payload_converter_of_the_guide_knows_decimals():
    converter = build_data_converter(PayloadSettings(payload_converter="decimal")).payload_converter
    price = Decimal("12.50")
    assert converter.from_payload(converter.to_payload([price]), list[Decimal]) == [price]


def vault(active, *read):
    return PayloadSettings(
        codecs=["encryption"],
        codec={"encryption": {"active": active, "keys": {key: {} for key in read}}},
        key_providers={"vault": {"address": "vault.internal"}},
    )


async def test_the_key_provider_of_the_guide_gives_the_encryption_codec_its_keys():
    [written] = await build_data_converter(vault("vault:///orders")).encode(["confidential"])
    assert written.metadata["encryption-key-id"] == b"vault:///orders"
    converter = build_data_converter(vault("vault:///new", "vault:///orders"))
    assert await converter.decode([written]) == ["confidential"]
    written.metadata["encryption-key-id"] = b"vault:///new"
    with pytest.raises(KeyUnavailableError, match="The vault refused 'vault:///new'; grant decrypt on it"):
        await converter.decode([written])
