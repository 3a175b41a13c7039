"""Reading the sources into the model, with every problem collected instead of the first one raised."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.problems import Origins, Place, explain, lies_in
from temporal_payloads._settings.root import RootTable, reading
from temporal_payloads._settings.sources import EnvironmentSource, FileSource

SettingsT = TypeVar("SettingsT", bound=RootTable)


@dataclass(frozen=True)
class Found(Generic[SettingsT]):
    """What could be read: the settings without their wrong values, and what is wrong with those."""

    settings: SettingsT
    problems: list[Problem]


def read(file: str | os.PathLike[str] | None, profile: str | None, cls: type[SettingsT]) -> Found[SettingsT]:
    """Read the sources and collect every problem in them, instead of stopping at the first."""
    file_source = FileSource(cls, file, profile)
    environment = EnvironmentSource(cls, file_source)
    sources = (environment, file_source)
    origins = Origins(
        values=tuple(source.origins for source in sources),
        tables=tuple(source.table_origins for source in sources),
    )
    problems = [*file_source.problems, *environment.problems]
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
            settings._origins = origins  # the instance was made two lines above
            return Found(settings, problems)


def _take_out(values: dict[str, Any], place: Place) -> None:
    """Remove the value at this place; if it lies in a list, the whole list; if it is the root, all."""
    if not place:
        values.clear()
    for index, key in enumerate(place):
        inner = values.get(str(key))
        innermost = index == len(place) - 1 or isinstance(place[index + 1], int)
        if innermost or not isinstance(inner, dict):
            values.pop(str(key), None)
            return
        values = inner
