"""What is found to be wrong while a converter is built; collected, so that all of it is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from temporal_payloads._errors import ConfigurationError, Problem, raise_all
from temporal_payloads._settings.checks import cross_check
from temporal_payloads._settings.mistaken_tables import table_meant
from temporal_payloads._settings.problems import Place, dotted, explain, lies_in

if TYPE_CHECKING:
    from temporal_payloads._settings.models import PluginTable
    from temporal_payloads._settings.root import RootTable


class Findings:
    """The problems of one build.

    Args:
        settings: What is built from; its origins say where a value was set. Values that were wrong were
            left out when it was read.
    """

    def __init__(self, settings: RootTable) -> None:
        self.sources = settings.sources
        """What the settings were read from."""
        self._origins = settings.origins
        self._broken = [table_meant(problem.place) for problem in settings.problems]
        problems = (*settings.problems, *cross_check(settings))
        self._errors = [ConfigurationError(problem) for problem in problems]

    def add(self, place: Place, message: str) -> None:
        """Report what is wrong with the value at a place."""
        self.add_error(ConfigurationError(Problem(message)), place)

    def add_error(self, error: ConfigurationError, place: Place) -> None:
        """Report an error of the registry, which does not know the place at which a plugin was named."""
        self._errors.append(error.at(dotted(place), self._origins.of(place)))

    def origin_of(self, place: Place) -> str | None:
        """Return where the value at a place was set."""
        return self._origins.of(place)

    def left_out(self, *place: str) -> bool:
        """Tell whether the value that would stand here was left out of the settings, for it was wrong."""
        return any(lies_in(dotted(place), broken) for broken in self._broken)

    def validated(
        self, place: Place, table: PluginTable, model: type[BaseModel], *, named_at: Place | None = None
    ) -> BaseModel | None:
        """Return a plugin's own settings, or None if there are problems with them.

        Args:
            place: Where their table stands, or would stand.
            table: The table.
            model: The plugin's.
            named_at: Where the plugin is named, if there is no such table.
        """
        try:
            return model.model_validate(table.options)
        except ValidationError as error:
            beside = tuple(type(table).model_fields)
            for problem in explain(error, model, self._origins, prefix=place, also_known=beside):
                if named_at is not None and problem.place == dotted(place):
                    # Of the table as a whole, and nobody wrote one: what is there is the name.
                    self.add(
                        named_at, f"there is no table [{dotted(place)}], which it needs: {problem.message}"
                    )
                else:
                    self._errors.append(ConfigurationError(problem))
            return None

    def raise_all(self) -> None:
        """Raise everything that was found, if anything was."""
        raise_all(self._errors)
