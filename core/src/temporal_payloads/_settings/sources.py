"""Where settings come from: one TOML file with profiles, and the environment over it."""

from __future__ import annotations

import json
import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_payloads._errors import Problem, did_you_mean
from temporal_payloads._settings.choices import choose_file, choose_profile
from temporal_payloads._settings.mistaken_tables import meant_instead
from temporal_payloads._settings.problems import (
    FILE_VARIABLE,
    OWN_VARIABLES,
    PREFIX,
    TEMPORAL_PROFILE_VARIABLE,
    Place,
    is_variable,
    place_of,
)
from temporal_payloads._settings.provenance import DEFAULT_FILE
from temporal_payloads._settings.source import Source
from temporal_payloads._settings.toml_file import MAX_DEPTH, UnreadableError, depth, read_toml
from temporal_payloads._settings.trust import why_not_trusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_settings import BaseSettings

    from temporal_payloads._settings.choices import Caller, Choice


class FileSource(Source):
    """The TOML file, with the chosen profile merged over it.

    Args:
        settings_cls: The model to fill.
        file: The file; else the variable `TEMPORAL_PAYLOADS_CONFIG_FILE` names it; else
            `temporal-payloads.toml` in the working directory, if there is one.
        profile: The profile; else `TEMPORAL_PAYLOADS_PROFILE`, else `TEMPORAL_PROFILE` names it.
        caller: Whose arguments those are.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        file: str | os.PathLike[str] | None,
        profile: str | None,
        caller: Caller,
    ) -> None:
        super().__init__(settings_cls)
        self.file = choose_file(file, caller)
        origin = str(Path(self.file.value)) if self.file else ""
        document = self._read(self.file) if self.file else {}
        profiles = document.pop("profile", {})
        if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
            self.problems.append(Problem("must be a table of tables, [profile.NAME]", "profile", origin))
            profiles = {}
        self.merge(self.values, document, origin)
        self.profile = choose_profile(profile, caller)
        if self.profile and self.profile.value not in profiles:
            self._miss_profile(self.profile, sorted(profiles))
            self.profile = None
        if self.profile:
            name = self.profile.value
            self.merge(self.values, profiles[name], f"{origin}, profile {name!r}")

    def _read(self, file: Choice) -> dict[str, Any]:
        path = Path(file.value)
        named = f" ({file.named_by} names it)" if file.named_by else ""
        try:
            if file.named_by is None and (why := why_not_trusted(path)):
                what = (
                    f"is not read, because {why}, and it was only found in the working directory. Put that "
                    f"right (chown, chmod go-w), or name the file: {FILE_VARIABLE}={path.absolute()}"
                )
            else:
                return read_toml(path)
        except FileNotFoundError:
            what = f"there is no such file{named}; the working directory is {Path.cwd()}"
        except OSError as error:
            what = f"cannot be read: {error.strerror}{named}"
        except UnreadableError as error:
            what = f"{error}{named}"
        self.problems.append(Problem(what, origin=str(path)))
        return {}

    def _miss_profile(self, profile: Choice, known: list[str]) -> None:
        if profile.named_by == TEMPORAL_PROFILE_VARIABLE and (not known or profile.value == "default"):
            # Temporal's own: it may well be set for a file that has nothing to do with us, and "default" is
            # what Temporal calls the profile of those who chose none.
            return
        if self.problems:
            return  # the file could not be read, so what it has is unknown
        message = f"there is no profile {profile.value!r} ({profile.named_by} asks for it)"
        if self.file is None:
            message += f", for there is no {DEFAULT_FILE}"
        elif known:
            message += f"; the file has: {', '.join(known)}.{did_you_mean(profile.value, known)}"
        else:
            message += "; the file has no profiles."
        self.problems.append(Problem(message, origin=str(Path(self.file.value)) if self.file else None))


class EnvironmentSource(Source):
    """Variables with our prefix; `__` goes one table deeper. An empty variable counts as unset.

    Names are matched without regard to case, and `_` stands for `-` where the file spells a key so.
    """

    def __init__(self, settings_cls: type[BaseSettings], file: FileSource) -> None:
        super().__init__(settings_cls)
        variables = {
            name: value
            for name, value in os.environ.items()
            if value and is_variable(name) and name not in OWN_VARIABLES
        }
        self.variables = tuple(ascii(name)[1:-1] for name in sorted(variables))
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
                what = f"{'.'.join(map(str, path))} is set as a value by {self.origins[path]}"
                hint = meant_instead(place_of(name), name)
                message = f"{what}, so it cannot be a table as well.{hint}"
                self.problems.append(Problem(message, ".".join(map(str, place_of(name))), name))
                return
            inner[key] = {}
            inner = inner[key]
        inner[_spell(leaf, known)] = _parse(text)
        self.merge(self.values, nested, name)


def similar_variables() -> tuple[tuple[str, str], ...]:
    """Return the set variables that almost have our prefix, each with the name that may have been meant."""
    found = []
    for name in sorted(name for name, value in os.environ.items() if value and not is_variable(name)):
        heads = [name.upper()[:length] for length in range(len(PREFIX) - 2, len(PREFIX) + 3)]
        # Near enough for two wrong letters; Temporal's own variables, and words like PAYMENTS, are not.
        if near := get_close_matches(PREFIX, heads, n=1, cutoff=0.88):
            printable = ascii(name)[1:-1]
            found.append((printable, PREFIX + printable[len(near[0]) :].upper().lstrip("-._")))
    return tuple(found)


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
        return value if depth(value) <= MAX_DEPTH else text
    return text
