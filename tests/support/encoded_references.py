"""Life with the SDK of a later release, which lets storage references go through the codecs too.

    pytest -p support.encoded_references tests/end_to_end

What such a reference looks like is in `support.history`.
"""

from __future__ import annotations

from temporalio.converter import _extstore

_extstore._ENCODE_STORAGE_REFERENCES = True
