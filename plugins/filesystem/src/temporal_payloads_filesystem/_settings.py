"""The settings of a `[storage.drivers.NAME]` table of type `filesystem`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr
from temporal_payloads.plugin import ContentAddressedSettings

DEFAULT_MODE = 0o600


def _mode(value: object) -> str:
    try:
        mode = int(value, 8) if isinstance(value, str) else 0
    except ValueError:
        mode = 0
    if mode & ~0o666 or mode & DEFAULT_MODE != DEFAULT_MODE:
        raise ValueError(
            'must be permissions of files in octal, as text, from "0600" to "0666" '
            '("0660": a group shares them)'
        )
    return f"{mode:04o}"


def _of_its_own(path: Path) -> Path:
    if path == Path():
        raise ValueError("must name a directory of its own, not the working directory")
    if "\0" in str(path):
        raise ValueError("must not hold a NUL character")
    try:
        path.expanduser()
    except RuntimeError:  # of pathlib, whose words do not name it
        raise ValueError(f"begins with {path.parts[0]!r}, and there is no such user or no home") from None
    return path


class FilesystemSettings(ContentAddressedSettings):
    """Where the directory is, and who may read it."""

    path: Annotated[Path, AfterValidator(_of_its_own)] = Field(
        description="The directory. All workers, starters and codec servers must reach the same one, so on "
        "more than one machine it is on a shared volume. `~` is the user's home."
    )
    create: bool | None = Field(
        None,
        description="Whether a store may be made where there is none: in a directory that is missing, or "
        "empty. By default only if `path` is relative, as in a first try; else a volume that is not mounted "
        "would look like an empty store.",
    )
    mode: Annotated[str, BeforeValidator(_mode)] = Field(
        f"{DEFAULT_MODE:04o}",
        description='Permissions of the files, in octal: `"0660"` if the users of a group share them, '
        "each of whom stores and reads. A folder can be entered by whoever can read its files.",
    )
    _directory: Path = PrivateAttr()

    def model_post_init(self, context: object, /) -> None:
        """Resolve the path now: the working directory may change."""
        del context
        self._directory = self.path.expanduser().absolute()

    @property
    def directory(self) -> Path:
        """The absolute path."""
        return self._directory

    @property
    def file_mode(self) -> int:
        """The permissions of the files."""
        return int(self.mode, 8)

    @property
    def may_create(self) -> bool:
        """Whether a store may be made where there is none."""
        return not self.path.expanduser().is_absolute() if self.create is None else self.create
