"""`make differential`: hold the converter against the SDK's own for as long as one likes."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from support.differential.converters import converter_under_test
from support.differential.outcomes import TRIED, DifferenceError
from support.differential.properties import PROPERTIES
from support.differential.shapes import Draw
from temporalio.converter import PayloadConverter

Property = Callable[[Draw, PayloadConverter], None]
SHRINKING = 30.0
"""How long to look for a smaller program that shows a difference, in seconds."""


class _EnoughShrinkingError(KeyboardInterrupt):
    """Ends a search that `hypothesis` itself would go on with for minutes."""


def main() -> int:
    """Run until the time is over; print what was tried, and each difference with a program that shows it."""
    parser = argparse.ArgumentParser(prog="make differential", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="where to start (default: anywhere)")
    parser.add_argument("--property", choices=[each.__name__ for each in PROPERTIES], help="only this one")
    parser.add_argument("--keep-going", action="store_true", help="go on after a difference")
    arguments = parser.parse_args()
    converter = converter_under_test()()
    properties = [each for each in PROPERTIES if arguments.property in (None, each.__name__)]
    start = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    end = time.monotonic() + arguments.seconds
    number, found = start, 0
    while time.monotonic() < end and (arguments.keep_going or not found):
        for tried in properties:
            found += not _holds(tried, converter, number)
        number += 1
        _say(f"seeds {start}..{number - 1}: {sum(TRIED.values())} comparisons, {found} differences")
    for what, count in sorted(TRIED.items()):
        _say(f"  {count:9} {what}")
    return int(found > 0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _holds(tried: Property, converter: PayloadConverter, number: int) -> bool:
    """Try one property with one seed; print the difference that it finds."""

    smallest: DifferenceError | None = None
    enough = float("inf")

    @seed(number)
    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal smallest, enough
        if time.monotonic() > enough:
            raise _EnoughShrinkingError
        try:
            tried(data.draw, converter)
        except DifferenceError as difference:
            if smallest is None:
                enough = time.monotonic() + SHRINKING
            if smallest is None or len(str(difference)) <= len(str(smallest)):
                smallest = difference
            raise

    with contextlib.suppress(DifferenceError, _EnoughShrinkingError):
        run()
    if smallest is not None:
        _say(f"\n--- {tried.__name__}, --seed {number}\n{smallest}\n")
    return smallest is None


if __name__ == "__main__":
    sys.exit(main())
