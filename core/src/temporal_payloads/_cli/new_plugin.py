"""`temporal-payloads new-plugin`: a distribution to start from, for a store or a codec of one's own."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from shlex import quote
from string import Template
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.options import Json
from temporal_payloads._cli.output import say, say_json
from temporal_payloads._codecs.chain import CONVERTERS_ENCODINGS
from temporal_payloads._plugins.kinds import KINDS
from temporal_payloads._plugins.known import KNOWN_DISTRIBUTIONS
from temporal_payloads._plugins.registry import KNOWN_ENCODINGS
from temporal_payloads._settings.models import INLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

MAX_NAME_LENGTH = 24
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")

EPILOG = """\
NAME is what settings will call the plugin: [storage.drivers.NAME], codecs = ["NAME"]. It has lower-case
letters, digits, and - or _ between them; a - becomes a _ in settings. The distribution is called
temporal-payloads-NAME, and that of a codec temporal-payloads-NAME-codec.

Nothing that exists is changed: the directory must not be there yet, or be empty.

Exit status:
  0 all is written, 2 the name or the command line is wrong, 3 it cannot be
  written

--json prints:
  version, ok, distribution, kind, type, directory, files (in it), error,
    problems (none)
  error: type, message (why it cannot be written, or null)

Examples:
  temporal-payloads new-plugin driver shelf
  temporal-payloads new-plugin codec brotli --directory ~/src/brotli-codec
"""
_NEXT = """\
Wrote {distribution} to {directory}. It works as it is. In settings it is the {kind} {type}. Next:

  cd {quoted}
  python -m venv .venv && . .venv/bin/activate
  pip install -e '.[dev]'
  pytest && mypy
  grep -rn TODO --exclude-dir=.venv .

The last one lists where your own code belongs.
"""


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that is to be written.

    Raises:
        ValueError: No plugin can be called so; the message says why.
    """

    kind: Literal["driver", "codec"]
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > MAX_NAME_LENGTH:
            raise ValueError(
                f"{self.name!r} can be no plugin's name: it has lower-case letters, digits, and - or _ "
                f"between them, begins with a letter, and is at most {MAX_NAME_LENGTH} characters long"
            )
        if whose := self._in_the_way_of():
            raise ValueError(f"{self.name!r} would stand in the way of {whose}; choose another name")
        if self.kind == "driver" and self.type == INLINE:
            raise ValueError(f"{INLINE!r} means the history itself, in settings; choose another name")

    def _in_the_way_of(self) -> str | None:
        """Return the distribution whose plugin, encoding or own name this one would take."""
        known = KINDS[self.kind].distributions
        if self.encoding in CONVERTERS_ENCODINGS:
            return f"the SDK's payload converters, which write {self.encoding!r}"
        if self.encoding in KNOWN_ENCODINGS:
            return known[KNOWN_ENCODINGS[self.encoding]]
        published = {name for group in KNOWN_DISTRIBUTIONS.values() for name in group.values()}
        if self.distribution in published:
            return self.distribution
        return known.get(self.type)

    @property
    def type(self) -> str:
        """What settings call it."""
        return self.name.replace("-", "_")

    @property
    def encoding(self) -> str:
        """What a codec writes into `encoding`."""
        return f"binary/{self.type}" if self.kind == "codec" else ""

    @property
    def distribution(self) -> str:
        """What is installed."""
        suffix = "-codec" if self.kind == "codec" else ""
        return f"temporal-payloads-{self.name.replace('_', '-')}{suffix}"

    @property
    def words(self) -> dict[str, str]:
        """What the templates leave open."""
        return {
            "distribution": self.distribution,
            "package": self.distribution.replace("-", "_"),
            "name": self.type,
            "upper_name": self.type.upper(),
            "Name": "".join(part.capitalize() for part in self.type.split("_")),
            "encoding": self.encoding,
            "core_versions": compatible_with(version("temporal-payloads")),
        }

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield each file with its path in the distribution."""
        root = files("temporal_payloads._cli") / "templates" / self.kind
        for path, template in _templates(root, Path()):
            yield self._named(path), Template(template).substitute(self.words)

    def _named(self, path: Path) -> Path:
        # `.txt` keeps tools from taking a template for what it will be.
        parts = [self.words["package"] if part == "package" else part for part in path.parts]
        name = parts.pop().removesuffix(".txt")
        return Path(*parts, ".gitignore" if name == "gitignore" else name)

    def write_to(self, directory: Path) -> None:
        """Write all files, or none.

        Raises:
            OSError: It cannot be written, or there is something.
        """
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise FileExistsError("it exists already, and nothing is overwritten; name another --directory")
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            for path, text in self.files():
                file = beside / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            beside.chmod(0o755)
            if directory.exists():
                directory.rmdir()
            beside.rename(directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def compatible_with(release: str) -> str:
    """Return the versions of core that a plugin works with which was written for this release."""
    major, minor, *_ = release.split(".")
    following = f"{major}.{int(minor) + 1}" if major == "0" else f"{int(major) + 1}"
    return f">={major}.{minor},<{following}"


def _templates(folder: Traversable, path: Path) -> Iterator[tuple[Path, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _templates(entry, path / entry.name)
        elif entry.name.endswith(".txt"):
            yield path / entry.name, entry.read_text(encoding="utf-8")


def run(
    kind: Annotated[
        Literal["driver", "codec"], typer.Argument(metavar="KIND", help="What it will be: driver or codec.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What settings will call it.")],
    *,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="D",
            help="The directory that is written; by default it is called as the distribution, and lies here.",
        ),
    ] = None,
    as_json: Json = False,
) -> ExitStatus:
    """Write a plugin to start from: a driver or a codec of your own.

    Writes a distribution with a plugin: typed, tested, ready to be built and installed, and found by its
    entry point as the plugins of temporal-payloads are. What it writes works as it is. A driver keeps
    payloads in a directory, a codec turns their bytes around; each place where your own code belongs is
    marked TODO.
    """
    asked: dict[str, Any] = {"kind": kind, "type": name, "files": []}
    with errors_in_document(as_json, distribution=None, **asked, directory=None):
        try:
            plugin = NewPlugin(kind, name)
        except ValueError as error:
            raise WrongUseError(str(error)) from error
    directory = directory or Path(plugin.distribution)
    told: dict[str, Any] = {"distribution": plugin.distribution, "kind": plugin.kind, "type": plugin.type}
    with errors_in_document(as_json, **told, directory=str(directory), files=[]):
        try:
            plugin.write_to(directory)
        except OSError as error:
            raise UnfinishedError(f"cannot write {directory}: {error.strerror or error}") from error
    if as_json:
        files = [str(path) for path, _ in plugin.files()]
        say_json(document(ok=True, **told, directory=str(directory), files=files))
        return ExitStatus.FINE
    shown = told | {"type": repr(plugin.type)}
    say(_NEXT.format(**shown, directory=directory, quoted=quote(str(directory))).rstrip())
    return ExitStatus.FINE
