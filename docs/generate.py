"""Write docs/settings.md from the settings' models: `python docs/generate.py`.

`python docs/generate.py --check` only tells whether the file is as it would be written; CI runs that as a test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from temporal_payloads import PayloadSettings
from temporal_payloads._models import DriverTable, PluginTable, Route
from temporal_payloads._problems import variable
from temporal_payloads.plugin import PluginRegistry

TARGET = Path(__file__).parent / "settings.md"
INTRODUCTION = """\
# Settings reference

Generated from the models by `python docs/generate.py`; do not edit by hand. How settings are found, merged and
overridden is told in [configuration.md](configuration.md).

Sizes read `"256KiB"`, `"50MB"` or a number of bytes; durations `"30s"`, `"7d"` or a number of seconds. Every
setting can also be given as a variable: `TEMPORAL_PAYLOADS_` and the dotted path in capitals, with `__` for
each dot. Lists of names may be written `a,b` there, other lists and tables as JSON.
"""


def reference() -> str:
    """Return the whole page."""
    storage = PayloadSettings.model_fields["storage"].annotation
    sections = [
        INTRODUCTION,
        _section("The whole", PayloadSettings, ()),
        _section("`[storage]`", storage, ("storage",)),
        _section("`[storage.cache]`", storage.model_fields["cache"].annotation, ("storage", "cache")),
        _section("`[[storage.routes]]`", Route, (), variables=False),
        _section("`[storage.drivers.KEY]`, every driver", DriverTable, (), variables=False),
        _section("`[codec.NAME]`, every codec", PluginTable, (), variables=False),
    ]
    registry = PluginRegistry()
    for offer in registry.offers("driver"):
        model = registry.driver(offer.name).settings
        place = ("storage", "drivers", offer.name)
        sections.append(_section(f"Driver `{offer.name}` ({offer.distribution})", model, place))
    for offer in registry.offers("codec"):
        model = registry.codec(offer.name).settings
        sections.append(_section(f"Codec `{offer.name}` ({offer.distribution})", model, ("codec", offer.name)))
    server = PayloadSettings.model_fields["codec_server"].annotation
    sections += _nested("`[codec_server]`", server, ("codec_server",))
    return "\n".join(sections)


def _nested(title: str, model: type[BaseModel], place: tuple[str, ...]) -> Iterator[str]:
    yield _section(title, model, place)
    for name, field in model.model_fields.items():
        if _is_table(field.annotation):
            yield from _nested(f"`[{'.'.join((*place, name))}]`", field.annotation, (*place, name))


def _section(title: str, model: type[BaseModel], place: tuple[str, ...], *, variables: bool = True) -> str:
    rows = [
        (f"`{name}`", _type(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if not _is_table(field.annotation)
    ]
    if not rows:
        return f"## {title}\n\nIt has no settings.\n"
    example = next(name for name, field in model.model_fields.items() if not _is_table(field.annotation))
    lines = [f"## {title}", ""]
    if variables:
        lines += [f"As a variable, for instance: `{variable((*place, example))}`.", ""]
    lines += ["| setting | type | default | what it is |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _type(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
    names = {ByteSize: "size", timedelta: "duration", SecretStr: "secret", str: "text", bool: "true or false"}
    if isinstance(annotation, type) and not arguments:
        return names.get(annotation, {"int": "number", "float": "number", "Path": "path"}.get(annotation.__name__, "text"))
    origin = getattr(annotation, "__origin__", None)
    if origin in (tuple, list, set, frozenset):
        inner = arguments[0]
        return "list of tables" if _is_table(inner) else f"list of {_type(inner)}s"
    if origin is dict:
        return "table"
    if arguments and all(isinstance(argument, str) for argument in arguments):
        return " or ".join(f"`{argument}`" for argument in arguments)
    return " or ".join(dict.fromkeys(_type(argument) for argument in arguments))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default is PydanticUndefined or default in ((), {}, []):
        return ""
    if isinstance(default, ByteSize):
        return f"`{default.human_readable()}`" if default else "`0`"
    if isinstance(default, timedelta):
        return f"`{default.total_seconds():g}s`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple | list):
        return ", ".join(f"`{item}`" for item in default)
    return f"`{default}`"


if __name__ == "__main__":
    text = reference()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.exists() and TARGET.read_text() == text else f"{TARGET} is out of date; run this without --check")
    TARGET.write_text(text)
