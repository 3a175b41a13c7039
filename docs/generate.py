"""Write docs/settings.md from the settings' models, and docs/command-line.md from the commands' help.

`python docs/generate.py --check` only tells whether the files are as they would be written; a test does that.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from temporal_payloads import PayloadSettings
from temporal_payloads._build.json_schema import installed_plugins
from temporal_payloads._cli import main
from temporal_payloads._cli.app import PROGRAM, application
from temporal_payloads._cli.commands import Commands
from temporal_payloads._settings.codec_server import CodecServerSettings
from temporal_payloads._settings.collection import CollectionSettings
from temporal_payloads._settings.models import (
    CacheSettings,
    CircuitSettings,
    DriverTable,
    KeyProviderTable,
    PluginTable,
    Route,
    StorageSettings,
)
from temporal_payloads._settings.observability import ObservabilitySettings
from temporal_payloads._settings.problems import variable
from temporal_payloads.plugin import PluginRegistry

DOCS = Path(__file__).parent
INTRODUCTION = """\
# Settings reference

Generated from the models by `python docs/generate.py`; do not edit by hand. How settings are found, merged
and overridden is told in [configuration.md](configuration.md).

Sizes read `"256KiB"`, `"50MB"` or a number of bytes; durations `"30s"`, `"7d"` or a number of seconds. Every
setting can also be given as a variable: `TEMPORAL_PAYLOADS_` and the dotted path in capitals, with `__` for
each dot. Lists of names may be written `a,b` there, other lists and tables as JSON.
"""


def reference() -> str:
    """Return the whole page."""
    sections = [
        INTRODUCTION,
        _section("The whole", PayloadSettings, ()),
        _section("`[storage]`", StorageSettings, ("storage",)),
        _section("`[storage.cache]`", CacheSettings, ("storage", "cache")),
        _section("`[storage.circuit]`", CircuitSettings, ("storage", "circuit")),
        _section("`[observability]`", ObservabilitySettings, ("observability",)),
        _section("`[[storage.routes]]`", Route, (), variables=False),
        _section("`[storage.drivers.KEY]`, every driver", DriverTable, (), variables=False),
        _section("`[codec.NAME]`, every codec", PluginTable, (), variables=False),
        _section("`[payload_converters.NAME]`, every payload converter", PluginTable, (), variables=False),
        _section("`[key_providers.SCHEME]`, every key provider", KeyProviderTable, (), variables=False),
    ]
    for plugin in installed_plugins(PluginRegistry()):
        kind, offer = plugin.kind, plugin.offer
        title = f"{str(kind).capitalize()} `{offer.name}` ({offer.distribution})"
        sections += _nested(title, plugin.settings, (*kind.table.split("."), offer.name))
    sections += _nested("`[codec_server]`", CodecServerSettings, ("codec_server",))
    sections += _nested("`[gc]`", CollectionSettings, ("gc",))
    return "\n".join(sections)


def _nested(title: str, model: type[BaseModel], place: tuple[str, ...]) -> Iterator[str]:
    """Return the section of a table, and one for each table in it."""
    yield _section(title, model, place)
    for name, field in model.model_fields.items():
        for table in _tables_in(field.annotation):
            named = ("NAME",) if get_origin(field.annotation) is dict else ()
            inner = ".".join((*place, name, *named))
            title = f"`[[{inner}]]`" if get_origin(field.annotation) is tuple else f"`[{inner}]`"
            yield from _nested(title, table, (*place, name, *named))


def _section(title: str, model: type[BaseModel], place: tuple[str, ...], *, variables: bool = True) -> str:
    rows = [
        (f"`{name}`", _type(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if not _is_table(field.annotation)
    ]
    if not rows:
        return f"## {title}\n\nIt has no settings.\n"
    example = rows[0][0].strip("`")
    lines = [f"## {title}", ""]
    if variables:
        lines += [f"As a variable, for instance: `{variable((*place, example))}`.", ""]
    lines += ["| setting | type | default | what it is |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _is_table(annotation: Any) -> bool:
    """Tell whether the setting is one table: those have a section of their own, not a row."""
    return any(
        isinstance(each, type) and issubclass(each, BaseModel) for each in (annotation, *_options(annotation))
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    each = [annotation, *get_args(annotation)]
    return [one for one in each if isinstance(one, type) and issubclass(one, BaseModel)]


PLAIN_TYPES = {
    ByteSize: "size",
    timedelta: "duration",
    SecretStr: "secret",
    bool: "true or false",
    int: "number",
    float: "number",
    Path: "path",
}


def _type(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
    origin = get_origin(annotation)
    if not arguments:
        return PLAIN_TYPES.get(annotation, "text")
    if origin is Annotated:
        return _type(arguments[0])
    if origin is tuple:
        inner = _type(arguments[0])
        if _is_table(arguments[0]):
            inner = "table"
        return f"list of {inner}" if inner.startswith("`") else f"list of {inner}s"
    if origin is dict or origin is Mapping:
        return "table"
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    return " or ".join(dict.fromkeys(_type(argument) for argument in arguments))


def _default(field: FieldInfo) -> str:  # noqa: PLR0911  # one for each kind of value
    if field.is_required():
        return "**required**"
    match field.get_default(call_default_factory=True, validated_data={}):
        case None | () | [] | "":
            return ""
        case dict() as table if not table:
            return ""
        case ByteSize() as size:
            return f"`{size.human_readable()}`" if size else "`0`"
        case timedelta() as duration:
            return f"`{duration.total_seconds():g}s`"
        case bool() as truth:
            return f"`{str(truth).lower()}`"
        case tuple() | list() as items if isinstance(items[0], BaseModel):
            return "see its text"
        case tuple() | list() as items:
            return ", ".join(f"`{item}`" for item in items)
        case value:
            return f"`{value}`"


COMMAND_LINE = """\
# The command line

Generated from the commands' help by `python docs/generate.py`; do not edit by hand.

    pip install 'temporal-payloads[cli]'

The command `temporal-payloads` (or `python -m temporal_payloads`) needs the extra `cli`; without it, it
says so and ends with status 2. The library itself needs nothing of it. All commands read the settings as
applications do ([configuration.md](configuration.md)); those that talk to Temporal go by the variables and
the file of Temporal's own tools.

## Exit status

| status | meaning |
| --- | --- |
| 0 | it is done, and all is well |
| 1 | something was found: a check failed, two deployments differ, a payload is missing |
| 2 | the command line or the settings are wrong |
| 3 | it could not be done: Temporal or a store cannot be reached, the output cannot be written |
| 130 | it was interrupted (SIGINT) |
| 141 | nobody reads its output any more (SIGPIPE) |

Each command's help says what they mean for it. An interrupted command can be run again.

## Output

Tables are drawn for terminals. Where one is too narrow, keys, ids and what else must stay whole stand below
their row. In a pipe or a file each row is one line, and nothing is cut or wrapped.
Colour is for terminals too; `NO_COLOR` turns it off. Warnings and errors go to standard error, and so does
the progress of what takes more than a second, if that is a terminal.

## JSON

With `--json` a command prints one document, and nothing else, on standard output. It has the same keys
whatever is wrong:

| key | what it is |
| --- | --- |
| `version` | 1. A key that is added leaves it; one that goes or comes to mean something else raises it |
| `ok` | whether the exit status is 0 |
| ... | what the command has to say: see its help |
| `error` | what kept it from its work: `type` and `message`, or null |
| `problems` | what is wrong in the settings: of each `message`, `place` and `origin` |

The error's type is `WrongUseError` (and the status 2) if the command was asked for what cannot be. What is in
the document is not told on standard error again. Of a command line that cannot be read (an option that there
is not, a number that is none) there is no document: status 2, and standard error says why.

## Completion

`temporal-payloads --install-completion` lets bash, zsh, fish or PowerShell complete commands, options,
profiles and the keys of drivers; `--show-completion` prints what it would install.
"""


def command_line() -> str:
    """Return the whole page."""
    sections = [COMMAND_LINE]
    for path in ((), *_commands(application())):
        name = " ".join((PROGRAM, *path))
        sections.append(f"## `{name}`\n\n```text\n{_help(*path)}```\n")
    return "\n".join(sections)


def _commands(group: Commands, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, entry in list(group.commands.items()):
        if entry.hidden:
            continue
        yield (*path, name)
        made = group.made(name)
        if isinstance(made, Commands):
            yield from _commands(made, (*path, name))


def _help(*path: str) -> str:
    os.environ["COLUMNS"] = "80"
    printed = io.StringIO()
    with redirect_stdout(printed):
        main([*path, "--help"])
    return printed.getvalue().rstrip() + "\n"


PAGES: Mapping[str, Callable[[], str]] = {"settings.md": reference, "command-line.md": command_line}

if __name__ == "__main__":
    for page, make in PAGES.items():
        text, target = make(), DOCS / page
        if "--check" not in sys.argv:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            sys.exit(f"{page} is out of date; run this without --check")
