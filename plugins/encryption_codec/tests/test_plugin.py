"""What the entry point says, and that saying it costs nothing."""

import subprocess
import sys

from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads_encryption_codec._plugin import temporal_payloads_codec


def test_it_is_a_codec_that_encrypts():
    plugin = temporal_payloads_codec()
    assert plugin.encodings == ("binary/encrypted",)
    assert plugin.role == "encrypt"


def test_registering_imports_no_cryptographic_library():
    program = (
        "import sys\n"
        "from temporal_payloads_encryption_codec._plugin import temporal_payloads_codec\n"
        "temporal_payloads_codec()\n"
        "assert not [m for m in sys.modules if m.startswith('cryptography')], 'cryptography was imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_a_converter_is_built_with_it(keys):
    converter = build_data_converter(
        PayloadSettings(
            codecs=["encryption"],
            codec={"encryption": {"active": "one", "keys": {"one": {"env": "KEY_1"}}}},
            require_encrypted=True,
        )
    )
    [payload] = await converter.encode(["confidential"])
    assert payload.metadata["encoding"] == b"binary/encrypted"
    assert b"confidential" not in payload.data
    assert await converter.decode([payload]) == ["confidential"]
