"""No payload that somebody needs is lost, whatever writers and a collector do at once."""

import os
import random

from support.collecting_storm import CollectingStorm, rounds


async def test_nothing_that_somebody_needs_is_lost(directory, open_driver, monkeypatch):
    # What this is about happens in memory, and is over when the disk has written.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    async with open_driver(directory) as calm, open_driver(directory) as one, open_driver(directory) as other:
        storm = CollectingStorm(writers=[one, other], collector=other, calm=calm, random=random.Random(11))
        outcomes = await storm.run(rounds(500))
    expected = {"put_aside: done", "put_aside: changed", "delete: done", "delete: changed"}
    assert expected <= set(outcomes), outcomes
