"""The converter's codec: those that the settings name, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._settings.models import PluginTable

if TYPE_CHECKING:
    from temporalio.converter import DataConverter, PayloadCodec

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.problems import Place
    from temporal_payloads._settings.root import RootTable


def codec_chain(
    settings: RootTable, base: DataConverter, registry: PluginRegistry, findings: Findings
) -> CodecChain:
    """Return the codecs of the settings, without those that have problems."""
    if settings.codecs and base.payload_codec is not None:
        findings.add(("codecs",), "the base converter has a payload codec of its own; give one of the two")
    codecs: dict[str, PayloadCodec] = {}
    encodings: dict[str, str] = {}
    for index, name in enumerate(dict.fromkeys(settings.codecs)):
        if findings.left_out("codec", name, "type"):
            continue
        table = settings.codec.get(name, PluginTable())
        named_at: Place = ("codec", name, "type") if table.type else ("codecs", index)
        try:
            plugin = registry.codec(table.type or name)
        except ConfigurationError as error:
            findings.add_error(error, named_at)
            continue
        options = findings.validated(("codec", name), table, plugin.settings)
        if options is None:
            continue
        try:
            codecs[name] = plugin.create(options)
        except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
            findings.add(("codec", name), f"the codec cannot be made: {type(error).__name__}: {error}")
            continue
        encodings |= dict.fromkeys(plugin.encodings, name)
    return CodecChain(codecs, encodings)
