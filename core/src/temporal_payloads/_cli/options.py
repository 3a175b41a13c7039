"""The options that all commands share, and the settings that they ask for."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from temporal_payloads._settings.choices import Caller
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG_OPTION = "--config"
PROFILE_OPTION = "--profile"


def settings_options() -> argparse.ArgumentParser:
    """Return a parser of the options, for those of the commands to inherit from."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("settings")
    group.add_argument(CONFIG_OPTION, metavar="FILE", help="the settings file")
    group.add_argument(PROFILE_OPTION, metavar="NAME", help="the [profile.NAME] of the file to use")
    return parser


def settings_asked_for(arguments: argparse.Namespace) -> PayloadSettings:
    """Return the settings that the options ask for, with their problems, for whoever builds from them."""
    caller = Caller(file=CONFIG_OPTION, profile=PROFILE_OPTION)
    return read_settings(PayloadSettings, arguments.config, arguments.profile, caller=caller)


def whole_number(*, up_to: int | None = None) -> Callable[[str], int]:
    """Return what reads a number of 0 or more; argparse's own words for a wrong one name our functions."""
    wanted = "a number, 0 or more" if up_to is None else f"a number from 0 to {up_to}"

    def read(text: str) -> int:
        # No sign, and few enough digits for Python to take them.
        number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
        if number < 0 or (up_to is not None and number > up_to):
            raise argparse.ArgumentTypeError(f"must be {wanted}")
        return number

    return read
