"""The options that commands share, what their values say, and the settings that they ask for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from temporal_payloads._cli.completion import profile_names

if TYPE_CHECKING:
    from temporal_payloads._settings.settings import PayloadSettings

CONFIG_OPTION = "--config"
PROFILE_OPTION = "--profile"
SETTINGS = "Settings"
"""What the help puts them under."""

Config = Annotated[
    Path | None,
    typer.Option(CONFIG_OPTION, metavar="FILE", help="The settings file.", rich_help_panel=SETTINGS),
]
Profile = Annotated[
    str | None,
    typer.Option(
        PROFILE_OPTION,
        metavar="NAME",
        help="The [profile.NAME] of the file to use.",
        autocompletion=profile_names,
        rich_help_panel=SETTINGS,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for a program.")]


def size(text: str) -> int:
    """Return how many bytes the value of an option says: `1048576`, `20MiB`.

    Raises:
        ValueError: It is no size.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError  # noqa: PLC0415  # slow to import

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise ValueError(
            f"{text!r} is no size; write bytes, or a number with a unit: 64KiB, 20MiB"
        ) from error


def duration(text: str) -> timedelta:
    """Return how long the value of an option says: `90s`, `7d`.

    Raises:
        ValueError: It is no duration. The message goes on from the option's name.
    """
    from temporal_payloads._settings.duration import parse_duration  # noqa: PLC0415  # slow to import

    parsed = parse_duration(text)
    assert isinstance(parsed, timedelta), "a text is parsed, or refused"
    return parsed


def settings_asked_for(config: Path | None, profile: str | None) -> PayloadSettings:
    """Return the settings that the options ask for, with their problems, for whoever builds from them."""
    # Importing the settings takes a second, which help and completion need not wait for.
    from temporal_payloads._settings.choices import Caller  # noqa: PLC0415
    from temporal_payloads._settings.reading import read_settings  # noqa: PLC0415
    from temporal_payloads._settings.settings import PayloadSettings  # noqa: PLC0415

    caller = Caller(file=CONFIG_OPTION, profile=PROFILE_OPTION)
    return read_settings(PayloadSettings, config, profile, caller=caller)
