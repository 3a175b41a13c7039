"""What is shown: a plugin, and what the kit says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class Exhibit:
    name: str
    """A sentence about the fault; "a good ..." has none."""
    kit: type
    plugin: Callable[[], Any]
    """Makes the plugin, anew for each test."""
    settings: Callable[[], BaseModel]
    breaks: str | None = None
    """The test of the kit that fails, without `test_`."""
    says: str = ""
    """A pattern for what the failure says has happened."""
    also: frozenset[str] = frozenset()
    """Tests that cannot but fail with it."""
    entry_point: str | None = None
    """Its name where the plugin is installed; None if it is made in code."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Of the test class."""
    fixtures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Beside `plugin` and `settings`."""

    @property
    def class_name(self) -> str:
        return "Test" + "".join(word.capitalize() for word in self.name.replace("-", " ").split())
