"""The settings as they are in effect: each value, where it comes from, and no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ByteSize, SecretBytes, SecretStr

from temporal_payloads._build.findings import Findings
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.kinds import KINDS, KindName
from temporal_payloads._settings.models import INLINE, PluginTable
from temporal_payloads._settings.problems import Place, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.problems import Origins
    from temporal_payloads._settings.settings import PayloadSettings

HIDDEN = "**********"
DEFAULT = "default"
IN_CODE = "code"
_DRIVERS: Place = ("storage", "drivers")
"""Their tables are looked at by themselves, with the models of their plugins."""


@dataclass(frozen=True)
class EffectiveSetting:
    """A setting, and what it is."""

    setting: str
    """Where it stands, as a dotted path: `storage.drivers.s3.bucket`."""
    value: Any
    """As JSON has it, sizes and durations as people write them; a secret is hidden."""
    origin: str
    """A file (and profile), a variable's name, `default`, or `code`."""


def effective_settings(
    settings: PayloadSettings, registry: PluginRegistry
) -> tuple[list[EffectiveSetting], Findings]:
    """Return every setting that is in effect, those of plugins as their models have them.

    Args:
        settings: As they were read, problems or not.
        registry: Where plugins are found.

    Returns:
        The settings, and what is wrong with any of them. What is wrong in a plugin's table is shown as it
        was written, and hidden, for nobody can say whether it is secret.
    """
    findings = Findings(settings)
    lines = _Lines(settings.origins, in_code=settings.sources.directory is None)
    own = {name: getattr(settings, name) for name in type(settings).model_fields}
    tables: dict[str, Mapping[str, PluginTable]] = {
        "codec": own.pop("codec"),
        "payload_converters": own.pop("payload_converters"),
        "key_providers": own.pop("key_providers"),
        "storage.drivers": settings.storage.drivers,
    }
    found = [*lines.of((), own)]
    named: dict[KindName, Iterable[str]] = {
        "codec": (*settings.codecs, *settings.decode_only),
        "payload_converter": [settings.payload_converter] if settings.payload_converter else [],
        "driver": settings.storage.writable_drivers,
    }
    for kind in KINDS.values():
        configured = tables[kind.table]
        names = dict.fromkeys((*named.get(kind.name, ()), *configured))
        for name in names:
            if name == INLINE:
                continue
            place: Place = (*kind.table.split("."), name)
            table = configured.get(name) or PluginTable()
            found += lines.of(place, {key: getattr(table, key) for key in type(table).model_fields})
            try:
                model = getattr(registry, kind.name)(table.type or name).settings
            except ConfigurationError as error:
                # A table that nobody names is a problem already.
                if name in named.get(kind.name, names):
                    findings.add_error(error, place)
                options = None
            else:
                options = findings.validated(place, table, model)
            if options is None:
                found += lines.of(place, dict.fromkeys(table.options, SecretStr("x")))
            else:
                found += lines.of(place, {key: getattr(options, key) for key in type(options).model_fields})
    return found, findings


@dataclass(frozen=True)
class _Lines:
    """Makes a line of each value."""

    origins: Origins
    in_code: bool

    def of(self, place: Place, value: Any) -> Iterator[EffectiveSetting]:
        """Yield the settings at a place and in it."""
        if isinstance(value, BaseModel):
            # The origin of a list is that of its items, but not of what they leave out.
            left_out = _in_list(place) and type(value).model_fields.keys() - value.model_fields_set
            for name in type(value).model_fields:
                for each in self.of((*place, name), getattr(value, name)):
                    yield replace(each, origin=DEFAULT) if left_out and name in left_out else each
        elif isinstance(value, tuple | list) and any(isinstance(item, BaseModel) for item in value):
            for index, item in enumerate(value):
                yield from self.of((*place, index), item)
        elif isinstance(value, Mapping):
            for name, inner in value.items() if place != _DRIVERS else ():
                yield from self.of((*place, str(name)), inner)
        else:
            yield EffectiveSetting(dotted(place), _shown(value), self._origin(place))

    def _origin(self, place: Place) -> str:
        for length in range(len(place), 0, -1):
            for origins in self.origins.values:
                if place[:length] in origins:
                    return origins[place[:length]]
        return IN_CODE if self.in_code else DEFAULT


def _in_list(place: Place) -> bool:
    return any(isinstance(part, int) for part in place)


def _shown(value: Any) -> Any:  # noqa: PLR0911  # one for each kind of value
    match value:
        case SecretStr() | SecretBytes():
            return HIDDEN if value else ""
        case None | bool() | str():
            return value
        case ByteSize():
            return _size(value)
        case timedelta():
            return f"{value.total_seconds():g}s"
        case int() | float():
            return value
        case Path():
            return str(value)
        case tuple() | list() | set() | frozenset():
            return [_shown(item) for item in value]
        case _:
            return str(value)


def _size(value: ByteSize) -> str | int:
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return int(value)
