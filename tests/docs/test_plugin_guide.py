"""The plugins that the author's guide shows, installed as it says, pass the conformance kit."""

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import KeyUnavailableError, PluginRegistry
from temporal_payloads.testing import CodecConformance, DriverConformance, PayloadConverterConformance

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


class TestTheDriverOfTheGuide(DriverConformance):
    entry_point = "directory"

    @pytest.fixture
    def plugin(self):
        return PluginRegistry().driver("directory")

    @pytest.fixture
    def settings(self, plugin, tmp_path):
        return plugin.settings(path=tmp_path)


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
