"""Where settings come from: one TOML file with profiles, and the environment over it."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from temporal_payloads._errors import Problem, did_you_mean
from temporal_payloads._settings.problems import FILE_VARIABLE, OWN_VARIABLES, PREFIX, PROFILE_VARIABLE, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

DEFAULT_FILE = "temporal-payloads.toml"
TEMPORAL_PROFILE_VARIABLE = "TEMPORAL_PROFILE"
MAX_DEPTH = 32
"""Far more tables inside each other than any settings have, far fewer than Python can recurse through."""


class _Source(PydanticBaseSettingsSource):
    """A source that remembers where each of its values came from, and what it could not read."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.values: dict[str, Any] = {}
        self.origins: dict[Place, str] = {}
        self.table_origins: dict[Place, str] = {}
        self.problems: list[Problem] = []

    def __call__(self) -> dict[str, Any]:
        return self.values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the base class's interface; the values are given as a whole by `__call__`."""
        del field
        return self.values.get(field_name), field_name, False

    def _merge(self, into: dict[str, Any], values: Mapping[str, Any], origin: str, at: Place = ()) -> None:
        for key, value in values.items():
            path = (*at, key)
            if isinstance(value, dict):
                table = into.get(key)
                if not isinstance(table, dict):
                    table = into[key] = {}
                self.table_origins.setdefault(path, origin)
                self._merge(table, value, origin, path)
            else:
                into[key] = value
                self.origins[path] = origin


class FileSource(_Source):
    """The TOML file, with the chosen profile merged over it.

    Args:
        settings_cls: The model to fill.
        file: The file; else the variable `TEMPORAL_PAYLOADS_CONFIG_FILE` names it; else
            `temporal-payloads.toml` in the working directory, if there is one.
        profile: The profile; else `TEMPORAL_PAYLOADS_PROFILE`, else `TEMPORAL_PROFILE` names it.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], file: str | os.PathLike[str] | None, profile: str | None
    ) -> None:
        super().__init__(settings_cls)
        path, named_by = _choose_file(file)
        document = self._read(path, named_by) if path else {}
        profiles = document.pop("profile", {})
        if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
            self.problems.append(Problem("must be a table of tables, [profile.NAME]", "profile", str(path)))
            profiles = {}
        self.profiles = sorted(profiles)
        self._merge(self.values, document, str(path))
        chosen = self._choose_profile(profile, path)
        if chosen is not None:
            self._merge(self.values, profiles[chosen], f"{path}, profile {chosen!r}")

    def _read(self, path: Path, named_by: str | None) -> dict[str, Any]:
        named = f" ({named_by} names it)" if named_by else ""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
            if _depth(document) <= MAX_DEPTH:
                return document
            what = f"has tables more than {MAX_DEPTH} deep"
        except FileNotFoundError:
            what = f"there is no such file{named}; the working directory is {Path.cwd()}"
        except IsADirectoryError:
            what = f"is a directory, not a TOML file{named}"
        except OSError as error:
            what = f"cannot be read: {error.strerror}{named}"
        except UnicodeDecodeError as error:
            what = f"is not UTF-8 text (byte {error.start}), so it is no TOML file{named}"
        except tomllib.TOMLDecodeError as error:
            what = f"is not valid TOML: {error}"
        except (ValueError, RecursionError) as error:
            # A name with a null byte, a number with thousands of digits, brackets nested by the hundred.
            what = f"cannot be read: {error}{named}"
        self.problems.append(Problem(what, origin=str(path)))
        return {}

    def _choose_profile(self, argument: str | None, path: Path | None) -> str | None:
        own = argument or os.environ.get(PROFILE_VARIABLE)
        name = own or os.environ.get(TEMPORAL_PROFILE_VARIABLE)
        if not name or name in self.profiles:
            return name or None
        # TEMPORAL_PROFILE is Temporal's own: it may well be set for a file that has nothing to do with us.
        if (own or self.profiles) and not self.problems:
            variable = PROFILE_VARIABLE if own else TEMPORAL_PROFILE_VARIABLE
            chosen_by = "the profile argument" if argument else variable
            known = (
                f"the file has: {', '.join(self.profiles)}" if self.profiles else "the file has no profiles"
            )
            hint = did_you_mean(name, self.profiles)
            message = (
                f"there is no profile {name!r} ({chosen_by} asks for it); {known}.{hint}"
                if path
                else f"there is no profile {name!r} ({chosen_by} asks for it), for there is no {DEFAULT_FILE}"
            )
            self.problems.append(Problem(message, origin=str(path) if path else None))
        return None


def _choose_file(argument: str | os.PathLike[str] | None) -> tuple[Path | None, str | None]:
    if argument is not None:
        return Path(argument), "the file argument"
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named), FILE_VARIABLE
    default = Path(DEFAULT_FILE)
    return (default, None) if default.exists() else (None, None)


class EnvironmentSource(_Source):
    """Variables with our prefix; `__` goes one table deeper. An empty variable counts as unset.

    Names are matched without regard to case, and `_` stands for `-` where the file spells a key so.
    """

    def __init__(self, settings_cls: type[BaseSettings], file: FileSource) -> None:
        super().__init__(settings_cls)
        variables = {
            name: value
            for name, value in os.environ.items()
            if value and name.upper().startswith(PREFIX) and name not in OWN_VARIABLES
        }
        # Shallow ones first: a whole table given as JSON is what the deeper variables then refine.
        for name in sorted(variables, key=lambda name: (name.count("__"), name)):
            if _is_text(name) and _is_text(variables[name]):
                self._add(name, variables[name], file.values)
            else:
                self.problems.append(Problem("is not UTF-8 text", origin=ascii(name)[1:-1]))

    def _add(self, name: str, text: str, spelling: Mapping[str, Any]) -> None:
        *tables, leaf = name[len(PREFIX) :].split("__")
        if len(tables) > MAX_DEPTH:
            self.problems.append(Problem(f"has tables more than {MAX_DEPTH} deep", origin=name))
            return
        nested: dict[str, Any] = {}
        inner = nested
        known: tuple[object, ...] = (self.values, spelling)
        path: Place = ()
        for part in tables:
            key = _spell(part, known)
            path = (*path, key)
            known = tuple(table.get(key) for table in known if isinstance(table, dict))
            if path in self.origins and not isinstance(_at(self.values, path), dict):
                self.problems.append(
                    Problem(
                        f"is set as a value by {self.origins[path]}, so it cannot be a table as well",
                        ".".join(map(str, path)),
                        name,
                    )
                )
                return
            inner[key] = {}
            inner = inner[key]
        inner[_spell(leaf, known)] = _parse(text)
        self._merge(self.values, nested, name)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spell(part: str, known: Iterable[object]) -> str:
    plain = part.lower()
    for table in known:
        for key in table if isinstance(table, dict) else ():
            if key.lower().replace("-", "_") == plain:
                return str(key)
    return plain


def _at(values: Any, path: Place) -> Any:
    for key in path:
        values = values[key]
    return values


def _parse(text: str) -> Any:
    """Lists and tables are JSON; everything else stays text, and the models turn it into values."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if _depth(value) <= MAX_DEPTH else text
    return text


def _depth(value: object) -> int:
    """Return how many tables and lists lie inside each other; without recursion, for it may be many."""
    depth = 0
    level = [value]
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        depth += 1
    return depth
