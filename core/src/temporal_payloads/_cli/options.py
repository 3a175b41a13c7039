"""The options that commands share, and the settings that they ask for."""

from __future__ import annotations

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


def settings_asked_for(config: Path | None, profile: str | None) -> PayloadSettings:
    """Return the settings that the options ask for, with their problems, for whoever builds from them."""
    # Importing the settings takes a second, which help and completion need not wait for.
    from temporal_payloads._settings.choices import Caller  # noqa: PLC0415
    from temporal_payloads._settings.reading import read_settings  # noqa: PLC0415
    from temporal_payloads._settings.settings import PayloadSettings  # noqa: PLC0415

    caller = Caller(file=CONFIG_OPTION, profile=PROFILE_OPTION)
    return read_settings(PayloadSettings, config, profile, caller=caller)
