"""The kinds of plugins: all that the registry must know to find one of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from temporal_payloads._plugins.bare import bare_codec, bare_payload_converter
from temporal_payloads._plugins.bare_driver import bare_driver
from temporal_payloads._plugins.contract import PROJECT, CodecPlugin, DriverPlugin, PayloadConverterPlugin
from temporal_payloads._plugins.keys import KeyProviderPlugin
from temporal_payloads._plugins.known import KNOWN_DISTRIBUTIONS

KindName = Literal["driver", "codec", "payload_converter", "key_provider"]
AnyPlugin = DriverPlugin[Any] | CodecPlugin[Any] | PayloadConverterPlugin[Any] | KeyProviderPlugin[Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One thing that a plugin can be."""

    name: KindName
    group: str
    """The entry point group in which distributions offer it."""
    description: type[AnyPlugin]
    """What its hook returns."""
    table: str
    """The table of the settings in which the tables of its plugins are."""
    bare: Callable[[object, str], AnyPlugin | None] | None = None
    """Describes what an import path may lead to beside a plugin: a class of the SDK's.

    It is given that, and the import path as it is written.
    """
    bare_is: str = ""
    """What that is, in the words of an error."""
    otherwise: str = ""
    """How else than by a plugin it can be named, for those who did not mean a plugin."""

    @property
    def distributions(self) -> Mapping[str, str]:
        """The plugins of this project and where they are, so that an error can say what to install."""
        return KNOWN_DISTRIBUTIONS.get(self.group, {})

    @property
    def hook(self) -> str:
        """The hook by which a plugin describes itself."""
        return f"{PROJECT}_{self.name}"

    def __str__(self) -> str:
        """Return the kind in the words of an error."""
        return self.name.replace("_", " ")


KINDS: Mapping[KindName, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="driver",
            group="temporal_payloads.drivers",
            description=DriverPlugin,
            table="storage.drivers",
            bare=bare_driver,
            bare_is="a StorageDriver class or object, to a function that opens one",
            otherwise=" The import path of a class has the form module:name.",
        ),
        Kind(
            name="codec",
            group="temporal_payloads.codecs",
            description=CodecPlugin,
            table="codec",
            bare=lambda named, _path: bare_codec(named),
            bare_is="a PayloadCodec class or object",
            otherwise=" The import path of a class has the form module:name.",
        ),
        Kind(
            name="payload_converter",
            group="temporal_payloads.payload_converters",
            description=PayloadConverterPlugin,
            table="payload_converters",
            bare=lambda named, _path: bare_payload_converter(named),
            bare_is="a PayloadConverter class or a DataConverter",
            otherwise=" The import path of a class has the form module:name.",
        ),
        Kind(
            name="key_provider",
            group="temporal_payloads.key_providers",
            description=KeyProviderPlugin,
            table="key_providers",
        ),
    )
}
