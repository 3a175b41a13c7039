"""The plugin as the registry and the settings see it."""

import subprocess
import sys

import pytest
import temporal_payloads_zstd_codec
from pydantic import ValidationError
from temporal_payloads.plugin import PluginRegistry
from temporal_payloads_zstd_codec import ZstdCodec


async def test_the_entry_point_makes_a_codec_from_settings(orders):
    plugin = PluginRegistry().codec("zstd")
    assert plugin.encodings == ("binary/zstd",)
    settings = plugin.settings.model_validate(
        {"level": "19", "min_size": "1KiB", "max_decoded_size": "1MB", "max_window_size": "8MiB"}
    )
    codec = plugin.create(settings)
    encoded = await codec.encode([orders])
    assert encoded[0].metadata["encoding"] == b"binary/zstd"
    assert await codec.decode(encoded) == [orders]
    [default] = await plugin.create(plugin.settings()).encode([orders])
    assert encoded[0].ByteSize() < default.ByteSize()


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"level": 0}, "level"),
        ({"level": 23}, "level"),
        ({"level": "fast"}, "level"),
        ({"min_size": -1}, "min_size"),
        ({"max_decoded_size": 0}, "max_decoded_size"),
        ({"max_window_size": "1MiB"}, "max_window_size"),
        ({"max_window_size": "4GiB"}, "max_window_size"),
        ({"dictionary": "no/such/file"}, "dictionary"),
        ({"levle": 3}, "levle"),
    ],
)
def test_a_wrong_setting_is_refused_at_its_place(table, place):
    with pytest.raises(ValidationError) as caught:
        PluginRegistry().codec("zstd").settings.model_validate(table)
    assert [error["loc"] for error in caught.value.errors()] == [(place,)]


@pytest.mark.parametrize(
    "arguments",
    [{"level": 0}, {"level": 23}, {"min_size": -1}, {"max_decoded_size": 0}, {"max_window_size": 1024}],
    ids=str,
)
def test_a_wrong_argument_is_refused_by_name(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ZstdCodec(**arguments)


def test_loading_the_plugin_imports_no_compression_library():
    program = (
        "import sys\n"
        "from temporal_payloads.plugin import PluginRegistry\n"
        "plugin = PluginRegistry().codec('zstd')\n"
        "libraries = {'backports.zstd', 'compression.zstd'}\n"
        "assert not libraries & set(sys.modules)\n"
        "plugin.create(plugin.settings())\n"
        "assert libraries & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_offers_its_codec_and_nothing_else():
    assert temporal_payloads_zstd_codec.ZstdCodec is ZstdCodec
    with pytest.raises(AttributeError, match="no attribute 'Zstd'"):
        temporal_payloads_zstd_codec.Zstd  # noqa: B018  # looked up for its error
