"""Commands that a distribution adds to the command line."""

import dataclasses

from temporal_payloads.plugin import CommandPlugin, StorageUnavailableError

number = 7


def _add_arguments(parser):
    parser.add_argument("--fail", action="store_true", help="fail")


def _run(arguments, context):
    if arguments.fail:
        raise StorageUnavailableError("the shelf is full")
    for key, settings in context.drivers.items():
        context.say(f"{key}: {settings.boards} boards in {settings.room}")
    return 7


shelf = CommandPlugin(
    api_version=1, help="count the boards", driver_type="shelf", add_arguments=_add_arguments, run=_run
)
newer = dataclasses.replace(shelf, api_version=2)
