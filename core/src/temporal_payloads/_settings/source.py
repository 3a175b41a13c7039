"""What every source of settings remembers beside their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from temporal_payloads._settings.problems import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from temporal_payloads._errors import Problem


class Source(PydanticBaseSettingsSource):
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

    def merge(self, into: dict[str, Any], values: Mapping[str, Any], origin: str, at: Place = ()) -> None:
        """Merge values over those in a table, and remember where they came from."""
        for key, value in values.items():
            path = (*at, key)
            if isinstance(value, dict):
                table = into.get(key)
                if not isinstance(table, dict):
                    table = into[key] = {}
                self.table_origins.setdefault(path, origin)
                self.merge(table, value, origin, path)
            else:
                into[key] = value
                self.origins[path] = origin
