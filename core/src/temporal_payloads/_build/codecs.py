"""The converter's codec: those that the settings name, as one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from temporalio.converter import PayloadCodec

from temporal_payloads._build.identity import identity_of
from temporal_payloads._build.key_providers import KeyProviders, ToldElsewhereError
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.bare import tells_nothing
from temporal_payloads._plugins.contract import CodecContext, PluginSettingsError
from temporal_payloads._settings.models import PluginTable
from temporal_payloads._settings.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from temporalio.converter import DataConverter

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._codecs.key_provider import ManagedKeyProvider
    from temporal_payloads._observe.observers import Observers
    from temporal_payloads._plugins.contract import CodecPlugin
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.problems import Place
    from temporal_payloads._settings.root import RootTable

logger = logging.getLogger("temporal_payloads")

_warned_of: set[str] = set()


@dataclass(frozen=True)
class Codecs:
    """The codecs of a converter, and what they need."""

    chain: CodecChain = field(default_factory=CodecChain)
    key_providers: Mapping[str, ManagedKeyProvider] = field(default_factory=dict)


def build_codecs(
    settings: RootTable,
    base: DataConverter,
    registry: PluginRegistry,
    findings: Findings,
    observers: Observers | None = None,
) -> Codecs:
    """Return the codecs of the settings, without those that have problems."""
    if (settings.codecs or settings.decode_only) and base.payload_codec is not None:
        findings.add(
            ("codecs",) if settings.codecs else ("decode_only",), _why_not_beside(base.payload_codec)
        )
    providers = KeyProviders(settings, registry, findings)
    make = _Making(settings, registry, providers, _stored_from(settings, base), findings)
    codecs, decode_only = make.all_of("codecs"), make.all_of("decode_only")
    if len(codecs) == len(settings.codecs) and len(decode_only) == len(settings.decode_only):
        _check_roles(settings, codecs, decode_only, findings)
        made = (*codecs, *decode_only)
        providers.end_of_build(keys_may_change=any(getattr(c.codec, "keys_may_change", False) for c in made))
    chain = CodecChain(
        codecs,
        decode_only=decode_only,
        require_encrypted=settings.require_encrypted,
        raw_encodings=settings.raw_encodings,
        observers=observers,
    )
    return Codecs(chain, providers.all)


@dataclass(frozen=True)
class _Making:
    """Makes codecs, and reports what is wrong with them."""

    settings: RootTable
    registry: PluginRegistry
    providers: KeyProviders
    stored_from: int | None
    findings: Findings

    def all_of(self, setting: Literal["codecs", "decode_only"]) -> list[NamedCodec]:
        """Return the codecs that a setting names, without those that have problems."""
        made = [
            self._one(name, (setting, index))
            for index, name in enumerate(dict.fromkeys(getattr(self.settings, setting)))
            if not self.findings.left_out("codec", name, "type")
        ]
        return [codec for codec in made if codec is not None]

    def _one(self, name: str, named_at: Place) -> NamedCodec | None:
        place: Place = ("codec", name)
        table = self.settings.codec.get(name, PluginTable())
        try:
            plugin = self.registry.codec(table.type or name)
        except ConfigurationError as error:
            self.findings.add_error(error, (*place, "type") if table.type else named_at)
            return None
        missing = None if name in self.settings.codec else named_at
        options = self.findings.validated(place, table, plugin.settings, named_at=missing)
        if options is None:
            return None
        # What has no table, as most import paths, is wrong where it is named.
        codec = self._made(plugin, options, place, missing or place)
        if codec is None:
            return None
        if named_at[0] == "codecs" and tells_nothing(plugin, codec):
            _warn_that_nothing_is_told(name, type(codec), named_at)
        identity = partial(identity_of, options, plugin.identity)
        return NamedCodec(name, codec, frozenset(plugin.encodings), plugin.role, identity)

    def _made(
        self, plugin: CodecPlugin[Any], options: BaseModel, place: Place, of_itself: Place
    ) -> PayloadCodec | None:
        context = CodecContext(
            place=dotted(place), key_provider=self.providers.provider_of, stored_from=self.stored_from
        )
        try:
            made: object = plugin.make(options, context)
        except PluginSettingsError as error:
            for inner, message in error.problems:
                self.findings.add((*place, *inner), message)
        except ToldElsewhereError:
            pass
        except ConfigurationError as error:
            self.findings.add_error(error, of_itself)
        except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
            self.findings.add(of_itself, f"the codec cannot be made: {type(error).__name__}: {error}")
        else:
            if isinstance(made, PayloadCodec):
                return made
            self.findings.add(
                of_itself, f"the codec cannot be made: {type(made).__name__} is no PayloadCodec"
            )
        return None


def _stored_from(settings: RootTable, base: DataConverter) -> int | None:
    """Return from how many bytes on a payload may be stored; None if none is."""
    if settings.storage.stored_from is not None:
        return settings.storage.stored_from
    return base.external_storage.payload_size_threshold if base.external_storage is not None else None


def _warn_that_nothing_is_told(name: str, its_class: type, place: Place) -> None:
    """Say it once in a process, however many converters are built."""
    class_name = f"{its_class.__module__}.{its_class.__qualname__}"
    if class_name in _warned_of:
        return
    _warned_of.add(class_name)
    logger.warning(
        "The codec %r (%s, class %s) tells neither the encodings that it writes nor its role. If it "
        "encrypts, failure messages and stack traces stay in clear by default: give the class role = "
        '"encrypt", or set encode_failures = true. If it does not, give it role = "transform". Add encodings '
        "too, a list of texts: what nobody decoded can then be told",
        name,
        dotted(place),
        class_name,
    )


def _check_roles(
    settings: RootTable, codecs: list[NamedCodec], decode_only: list[NamedCodec], findings: Findings
) -> None:
    encrypting = [codec for codec in codecs if codec.role == "encrypt"]
    if settings.require_encrypted and not encrypting:
        findings.add(
            ("require_encrypted",),
            "no codec of codecs encrypts: add 'encryption' to it, or leave this setting out",
        )
    for codec in (*codecs, *decode_only) if settings.require_encrypted else ():
        # A codec may change a payload, for instance by copying it, without having decrypted it.
        if codec.role == "encrypt" and not codec.encodings:
            findings.add(
                ("require_encrypted",),
                f"{codec.name!r} encrypts, but does not tell the encodings that it writes, without which "
                "nobody knows what is encrypted: give it an attribute encodings",
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
            f"{late[0].name!r} compresses what {encrypting[0].name!r} has encrypted, which cannot become "
            f"smaller. The right order is codecs = [{order}]",
        )


def _why_not_beside(codec: PayloadCodec) -> str:
    """Say what to do with a codec that the base converter has already."""
    if isinstance(codec, CodecChain):
        return (
            "the base converter was built by temporal-payloads already, with codecs of its own "
            f"({codec.names}). Give the converter that it was built from, or leave these out"
        )
    its_own = type(codec)
    path = f"{its_own.__module__}:{its_own.__qualname__}"
    return (
        f"the base converter has a payload codec of its own, {its_own.__name__}, and a converter has one. "
        "Take it off the base, and name it where it belongs among these"
        f"{' by its import path, module:name' if '<' in path else f': {path}'}"
    )
