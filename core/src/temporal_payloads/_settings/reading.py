"""Reading the sources into the model, with every problem collected instead of the first one raised."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.choices import Caller, must_be_found
from temporal_payloads._settings.mistaken_tables import take_out_mistaken_tables
from temporal_payloads._settings.problems import Origins, Place, explain, lies_in
from temporal_payloads._settings.provenance import Sources
from temporal_payloads._settings.root import RootTable, reading
from temporal_payloads._settings.sources import EnvironmentSource, FileSource, similar_variables

SettingsT = TypeVar("SettingsT", bound=RootTable)


def read_settings(
    cls: type[SettingsT],
    file: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    *,
    required: bool | None = None,
    caller: Caller = Caller(),  # noqa: B008  # frozen
) -> SettingsT:
    """Read the sources and collect every problem in them, instead of stopping at the first.

    Args:
        cls: The model to fill.
        file: As of `PayloadSettings.load`.
        profile: Likewise.
        required: Likewise.
        caller: How those three are called where they were given.

    Returns:
        The settings without their wrong values, which have problems instead.
    """
    file_source = FileSource(cls, file, profile, caller)
    environment = EnvironmentSource(cls, file_source)
    required, problems = must_be_found(required)
    found = _sources(file_source, environment, required=required)
    if found.nothing_found and required:
        problems.append(Problem(found.missing()))
    sources = (environment, file_source)
    origins = Origins(
        values=tuple(source.origins for source in sources),
        tables=tuple(source.table_origins for source in sources),
    )
    for source in (file_source, environment):
        problems += [*source.problems, *take_out_mistaken_tables(source)]
    rounds: Counter[Place] = Counter()
    while True:
        try:
            with reading(sources):
                settings = cls()
        except ValidationError as error:
            known = [problem.place for problem in problems if problem.place]
            # That a wrong value is missing once it was taken out is no problem of its own.
            problems += [
                new
                for new in explain(error, cls, origins)
                if not any(lies_in(old, new.place) for old in known)
            ]
            if not any(source.values for source in sources):
                raise ConfigurationError(problems) from None  # of a subclass that wants more than defaults
            # Without its wrong values the rest can be checked too, by whoever comes next.
            for one in error.errors(include_url=False, include_context=False, include_input=False):
                loc = one["loc"][: -1 if one["type"] == "missing" else None]
                # What is not found where the error says it is goes with more and more of what is around it.
                around: list[Place] = [loc, loc[:1], ()]
                place = around[min(rounds[loc], len(around) - 1)]
                rounds[loc] += 1
                for source in sources:
                    _take_out(source.values, place)
        else:
            # The instance was made a few lines above.
            settings._origins, settings._sources, settings._problems = origins, found, tuple(problems)
            return settings


def _sources(file: FileSource, environment: EnvironmentSource, *, required: bool) -> Sources:
    return Sources(
        directory=Path.cwd(),
        file=Path(file.file.value).absolute() if file.file else None,
        file_named_by=file.file.named_by if file.file else None,
        profile=file.profile.value if file.profile else None,
        profile_chosen_by=file.profile.named_by if file.profile else None,
        variables=environment.variables,
        similar_variables=similar_variables(),
        required=required,
    )


def _take_out(values: dict[str, Any], place: Place) -> None:
    """Remove the value at this place; if it is an item of a list, the whole list; if it is the root, all."""
    if not place:
        values.clear()
        return
    table, key = values, str(place[0])
    inner: Any = table.get(key)
    for part in place[1:]:
        if isinstance(inner, dict):
            table, key = inner, str(part)
            inner = table.get(key)
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
        else:
            break
    table.pop(key, None)
