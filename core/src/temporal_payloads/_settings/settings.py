"""The declarative settings, as applications have them."""

from __future__ import annotations

import os
from typing import Self

from temporal_payloads._errors import ConfigurationError
from temporal_payloads._settings.checks import cross_check
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.root import RootTable


class PayloadSettings(RootTable):
    """Everything that makes a `DataConverter`, as data.

    `PayloadSettings.load()` reads the file and the environment. The constructor takes just what it is
    given, and reads neither. Plugin tables are validated by `build_data_converter`, which loads the plugins.
    """

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        *,
        required: bool | None = None,
    ) -> Self:
        """Load the settings from the file and the environment.

        What only plugins know of is not looked at here: to be told of every problem at once, call
        `build_data_converter()` without settings, which loads them itself.

        Args:
            file: The TOML file. By default `TEMPORAL_PAYLOADS_CONFIG_FILE`, else `temporal-payloads.toml`
                in the working directory, if there is one. A file that is named must be there.
            profile: The `[profile.NAME]` merged over the file. By default `TEMPORAL_PAYLOADS_PROFILE`, else
                `TEMPORAL_PROFILE`.
            required: Whether it is an error that there is neither a file nor a variable. By default what
                `TEMPORAL_PAYLOADS_REQUIRED` says, else it is none.

        Raises:
            ConfigurationError: With every problem, its place and its origin.
        """
        settings = read_settings(cls, file, profile, required=required)
        if problems := [*settings.problems, *cross_check(settings)]:
            raise ConfigurationError(problems)
        return settings


def without_cache(settings: PayloadSettings) -> PayloadSettings:
    """Return the settings without `[storage.cache]`: each payload is read from its store."""
    off = settings.storage.cache.model_copy(update={"max_size": 0, "dir": None})
    return settings.model_copy(update={"storage": settings.storage.model_copy(update={"cache": off})})
