"""The page on encryption lists what stays readable: what a real server showed, and nothing else."""

import re
from pathlib import Path

from support.readable import READABLE, READABLE_OF_ENCRYPTED, READABLE_PAYLOADS

PAGE = Path(__file__).parents[2] / "docs/encryption.md"


def test_what_stays_readable_is_what_the_test_on_a_real_server_finds():
    section = PAGE.read_text().partition("## What stays readable\n")[2].partition("\n## ")[0]
    listed = [line.rstrip(";.") for line in re.findall(r"^- (.*)$", section, re.MULTILINE)]
    found = [*READABLE, *READABLE_PAYLOADS, *READABLE_OF_ENCRYPTED]
    # The page may explain more, and speaks of sizes and times, which are no text.
    assert [line for line in listed if line != "sizes and times"] == [
        next((line for line in listed if line.startswith(sentence)), sentence) for sentence in found
    ]
