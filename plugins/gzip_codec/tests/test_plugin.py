"""The plugins as the registry and the settings see them."""

import subprocess
import sys

import pytest
import temporal_payloads_gzip_codec
from pydantic import ValidationError
from temporal_payloads.plugin import PluginRegistry
from temporalio.converter import PayloadCodec

NAMES = ["gzip", "zlib"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_entry_point_makes_a_codec_from_settings(name, orders):
    plugin = PluginRegistry().codec(name)
    assert plugin.encodings == (f"binary/{name}",)
    settings = plugin.settings.model_validate({"level": "9", "min_size": "1KiB", "max_decoded_size": "1MB"})
    codec = plugin.create(settings)
    encoded = await codec.encode([orders])
    assert encoded[0].metadata["encoding"] == f"binary/{name}".encode()
    assert await codec.decode(encoded) == [orders]
    [fastest] = await plugin.create(plugin.settings()).encode([orders])
    assert encoded[0].ByteSize() < fastest.ByteSize()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"level": 0}, "level"),
        ({"level": 10}, "level"),
        ({"level": "fast"}, "level"),
        ({"min_size": -1}, "min_size"),
        ({"min_size": "256 parsecs"}, "min_size"),
        ({"max_decoded_size": 0}, "max_decoded_size"),
        ({"keep_if_not_smaller": "perhaps"}, "keep_if_not_smaller"),
        ({"levle": 3}, "levle"),
    ],
)
def test_a_wrong_setting_is_refused_at_its_place(name, table, place):
    with pytest.raises(ValidationError) as caught:
        PluginRegistry().codec(name).settings.model_validate(table)
    assert [error["loc"] for error in caught.value.errors()] == [(place,)]


@pytest.mark.parametrize(
    "arguments", [{"level": 0}, {"level": 10}, {"min_size": -1}, {"max_decoded_size": 0}], ids=str
)
def test_a_wrong_argument_is_refused_by_name(codec_class, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        codec_class(**arguments)


def test_loading_the_plugins_imports_no_compression_library():
    program = (
        "import sys\n"
        "from temporal_payloads.plugin import PluginRegistry\n"
        "plugins = [PluginRegistry().codec(name) for name in ('gzip', 'zlib')]\n"
        "assert not {'isal', 'deflate'} & set(sys.modules)\n"
        "plugins[0].create(plugins[0].settings())\n"
        "assert {'isal', 'deflate'} <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_package_offers_its_codecs_and_nothing_else():
    assert isinstance(temporal_payloads_gzip_codec.GzipCodec(level=3), PayloadCodec)
    with pytest.raises(AttributeError, match="no attribute 'Gzip'"):
        temporal_payloads_gzip_codec.Gzip  # noqa: B018  # looked up for its error
