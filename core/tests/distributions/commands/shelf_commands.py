"""Commands that a distribution adds to the command line."""

import dataclasses
from typing import Annotated

from temporal_payloads.plugin import CommandContext, CommandPlugin, StorageUnavailableError
from typer import Option

number = 7


def _run(context: CommandContext, fail: Annotated[bool, Option("--fail", help="Fail.")] = False):
    if fail:
        raise StorageUnavailableError("the shelf is full")
    for key, settings in context.drivers.items():
        context.say(f"{key}: {settings.boards} boards in {settings.room}")
    return 7


shelf = CommandPlugin(api_version=1, help="Count the boards.", driver_type="shelf", run=_run)
newer = dataclasses.replace(shelf, api_version=2)
