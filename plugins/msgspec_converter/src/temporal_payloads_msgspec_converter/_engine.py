"""What msgspec finds out about types, safe for threads."""

from __future__ import annotations

import os
import threading
from typing import Any

import msgspec

_one_at_a_time = threading.RLock()  # finding out evaluates annotations, which may use the converter

if hasattr(os, "register_at_fork"):
    # A process that is forked in the middle of it would have half of it for good.
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )


def decoder_for(hint: Any) -> msgspec.json.Decoder[Any]:
    """Return msgspec's decoder for the hint; from then on msgspec knows each class in it.

    msgspec keeps what it knows of a class with the class, *before* it is complete: a thread that uses the
    class meanwhile ends the process. So whatever makes msgspec look at a class for the first time comes here.
    """
    with _one_at_a_time:
        return msgspec.json.Decoder(hint)
