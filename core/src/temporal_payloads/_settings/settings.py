"""The declarative settings: their model, and how they are loaded with every problem named at once."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.checks import cross_check
from temporal_payloads._settings.codec_server import CodecServerSettings
from temporal_payloads._settings.models import PluginTable, StorageSettings, Words
from temporal_payloads._settings.problems import Origins, Place, explain, lies_in
from temporal_payloads._settings.sources import EnvironmentSource, FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator

_sources: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("_sources", default=())


class PayloadSettings(BaseSettings):
    """Everything that makes a `DataConverter`, as data.

    `PayloadSettings.load()` reads the file and the environment. The constructor takes just what it is
    given, and reads neither. Plugin tables are validated by `build_data_converter`, which loads the plugins.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    codecs: Words = Field((), description="Codecs in the order in which they encode; they decode in reverse.")
    payload_converter: str | None = Field(
        None, description="Import path, `module:name`, of a PayloadConverter class or a DataConverter."
    )
    encode_failures: bool = Field(
        False, description="Failure messages and stack traces go through the codecs and the storage too."
    )
    codec: dict[str, PluginTable] = Field(default_factory=dict)
    storage: StorageSettings = StorageSettings()
    codec_server: CodecServerSettings = CodecServerSettings()

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the sources that `load` chose; none for the plain constructor."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings, *_sources.get())

    @classmethod
    def load(cls, file: str | os.PathLike[str] | None = None, profile: str | None = None) -> Self:
        """Load the settings from the file and the environment.

        Args:
            file: The TOML file. By default `TEMPORAL_PAYLOADS_CONFIG_FILE`, else `temporal-payloads.toml`
                in the working directory, if there is one. A file that is named must be there.
            profile: The `[profile.NAME]` merged over the file. By default `TEMPORAL_PAYLOADS_PROFILE`, else
                `TEMPORAL_PROFILE`.

        Raises:
            ConfigurationError: With every problem, its place and its origin.
        """
        found = read(file, profile, cls)
        if problems := [*found.problems, *cross_check(found.settings, found.problems)]:
            raise ConfigurationError(problems)
        assert isinstance(found.settings, cls)
        return found.settings

    @property
    def origins(self) -> Origins:
        """Where each value was set: a file, a variable, or nowhere for values given in code."""
        return self._origins


@dataclass(frozen=True)
class Found:
    """What could be read: the settings without their wrong values, and what is wrong with those."""

    settings: PayloadSettings
    problems: list[Problem]


def read(
    file: str | os.PathLike[str] | None, profile: str | None, cls: type[PayloadSettings] = PayloadSettings
) -> Found:
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
            with _reading(sources):
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


@contextmanager
def _reading(sources: tuple[PydanticBaseSettingsSource, ...]) -> Iterator[None]:
    token = _sources.set(sources)
    try:
        yield
    finally:
        _sources.reset(token)


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
