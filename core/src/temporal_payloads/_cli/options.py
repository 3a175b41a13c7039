"""The options that all commands share, and the settings that they ask for."""

from __future__ import annotations

import argparse

from temporal_payloads._settings.choices import Caller
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings

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
