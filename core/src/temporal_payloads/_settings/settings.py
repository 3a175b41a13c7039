"""The declarative settings, as applications have them."""

from __future__ import annotations

import os
from typing import Self

from temporal_payloads._errors import ConfigurationError
from temporal_payloads._settings.checks import cross_check
from temporal_payloads._settings.reading import read
from temporal_payloads._settings.root import RootTable


class PayloadSettings(RootTable):
    """Everything that makes a `DataConverter`, as data.

    `PayloadSettings.load()` reads the file and the environment. The constructor takes just what it is
    given, and reads neither. Plugin tables are validated by `build_data_converter`, which loads the plugins.
    """

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
        return found.settings
