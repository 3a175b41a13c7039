"""What is named by where it can be imported, and not by a plugin's name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from operator import attrgetter

from temporal_payloads._errors import did_you_mean


@dataclass(frozen=True)
class ImportPath:
    """`module:name`, of a plugin's object, of what its hook returns, or of a class of the SDK's."""

    text: str

    def load(self) -> object:
        """Import the module, and return what has the name.

        Raises:
            ImportError: There is no such module, or nothing of that name in it.
            Exception: What the module raised.
        """
        module, _, name = self.text.partition(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # an import of the module's own
            raise ImportError(
                f"there is no module {error.name!r} on Python's path. Install the distribution that has it, "
                "or add its directory to PYTHONPATH"
            ) from error
        try:
            return attrgetter(name)(found)
        except AttributeError as error:
            public = [each for each in vars(found) if not each.startswith("_")]
            raise ImportError(f"its module has no {name!r}.{did_you_mean(name, public)}") from error


def is_import_path(name: str) -> bool:
    """Tell `module:name` from `distribution:name`, as far as that can be told."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in f"{module}.{attribute}".split("."))
