"""The converter's codec: those that the settings name, as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from temporalio.converter import PayloadCodec

from temporal_payloads._build.key_providers import KeyProviders, ToldElsewhereError
from temporal_payloads._codecs.chain import CodecChain, NamedCodec
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.contract import CodecContext, PluginSettingsError
from temporal_payloads._settings.models import PluginTable
from temporal_payloads._settings.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporalio.converter import DataConverter

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._codecs.key_provider import ManagedKeyProvider
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.problems import Place
    from temporal_payloads._settings.root import RootTable


@dataclass(frozen=True)
class Codecs:
    """The codecs of a converter, and what they need."""

    chain: CodecChain = field(default_factory=CodecChain)
    key_providers: Mapping[str, ManagedKeyProvider] = field(default_factory=dict)


def build_codecs(
    settings: RootTable, base: DataConverter, registry: PluginRegistry, findings: Findings
) -> Codecs:
    """Return the codecs of the settings, without those that have problems."""
    if (settings.codecs or settings.decode_only) and base.payload_codec is not None:
        findings.add(("codecs",) if settings.codecs else ("decode_only",), _why_not_beside(base.payload_codec))
    providers = KeyProviders(settings, registry, findings)
    codecs = _named(settings, "codecs", registry, providers, findings)
    decode_only = _named(settings, "decode_only", registry, providers, findings)
    if len(codecs) == len(settings.codecs) and len(decode_only) == len(settings.decode_only):
        _check_roles(settings, codecs, decode_only, findings)
        made = (*codecs, *decode_only)
        providers.end_of_build(keys_may_change=any(getattr(c.codec, "keys_may_change", False) for c in made))
    chain = CodecChain(codecs, decode_only=decode_only, require_encrypted=settings.require_encrypted)
    return Codecs(chain, providers.all)


def _named(
    settings: RootTable,
    setting: Literal["codecs", "decode_only"],
    registry: PluginRegistry,
    providers: KeyProviders,
    findings: Findings,
) -> list[NamedCodec]:
    codecs = []
    for index, name in enumerate(dict.fromkeys(getattr(settings, setting))):
        if not findings.left_out("codec", name, "type"):
            made = _make(settings, name, (setting, index), registry, providers, findings)
            if made is not None:
                codecs.append(made)
    return codecs


def _make(
    settings: RootTable,
    name: str,
    named_at: Place,
    registry: PluginRegistry,
    providers: KeyProviders,
    findings: Findings,
) -> NamedCodec | None:
    place: Place = ("codec", name)
    table = settings.codec.get(name, PluginTable())
    # What has no table, as most import paths, is wrong where it is named.
    of_itself = place if name in settings.codec else named_at
    try:
        plugin = registry.codec(table.type or name)
    except ConfigurationError as error:
        findings.add_error(error, (*place, "type") if table.type else named_at)
        return None
    options = findings.validated(place, table, plugin.settings)
    if options is None:
        return None
    try:
        codec = plugin.make(
            options, CodecContext(place=dotted(place), key_provider=providers.provider_of)
        )
    except PluginSettingsError as error:
        for inner, message in error.problems:
            findings.add((*place, *inner), message)
    except ToldElsewhereError:
        pass
    except ConfigurationError as error:
        findings.add_error(error, of_itself)
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        findings.add(of_itself, f"the codec cannot be made: {type(error).__name__}: {error}")
    else:
        made: object = codec
        if not isinstance(made, PayloadCodec):
            findings.add(of_itself, f"the codec cannot be made: {type(made).__name__} is no PayloadCodec")
            return None
        return NamedCodec(name, codec, frozenset(plugin.encodings), plugin.role)
    return None


def _check_roles(
    settings: RootTable, codecs: list[NamedCodec], decode_only: list[NamedCodec], findings: Findings
) -> None:
    encrypting = [codec for codec in codecs if codec.role == "encrypt"]
    if settings.require_encrypted and not encrypting:
        findings.add(
            ("require_encrypted",), "no codec of codecs encrypts: add 'encryption' to it, or leave this setting out"
        )
    for codec in (*codecs, *decode_only) if settings.require_encrypted else ():
        # A codec may change a payload, for instance by copying it, without having decrypted it.
        if codec.role == "encrypt" and not codec.encodings:
            findings.add(
                ("require_encrypted",),
                f"{codec.name!r} encrypts, but does not tell the encodings that it writes, without which nobody "
                "knows what is encrypted: give it an attribute encodings",
            )
    late = [
        codec
        for number, codec in enumerate(codecs)
        if codec.role == "compress" and any(each.role == "encrypt" for each in codecs[:number])
    ]
    if late:
        first = codecs.index(encrypting[0])
        right = [*codecs[:first], *late, *(codec for codec in codecs[first:] if codec not in late)]
        order = ", ".join(f'"{codec.name}"' for codec in right)
        findings.add(
            ("codecs",),
            f"{late[0].name!r} compresses what {encrypting[0].name!r} has encrypted, which cannot become smaller. "
            f"The right order is codecs = [{order}]",
        )


def _why_not_beside(codec: PayloadCodec) -> str:
    """Say what to do with a codec that the base converter has already."""
    if isinstance(codec, CodecChain):
        return (
            f"the base converter was built by temporal-payloads already, with codecs of its own ({codec.names}). "
            "Give the converter that it was built from, or leave these out"
        )
    its_own = type(codec)
    path = f"{its_own.__module__}:{its_own.__qualname__}"
    return (
        f"the base converter has a payload codec of its own, {its_own.__name__}, and a converter has one. Take "
        "it off the base, and name it where it belongs among these"
        f"{' by its import path, module:name' if '<' in path else f': {path}'}"
    )
