"""Keeps data keys out of the AWS library's own log, which has whole answers at the level DEBUG."""

from __future__ import annotations

import logging

ANSWERS = "botocore.parsers"
"""The logger of the answers, of aiobotocore too."""


def hide_data_keys() -> None:
    """Hide data keys in what is logged of answers, from now on and in all of the process."""
    # A filter that is there already is not added again.
    logging.getLogger(ANSWERS).addFilter(_without_data_keys)


def _without_data_keys(record: logging.LogRecord) -> bool:
    if "Plaintext" in record.getMessage():
        record.msg, record.args = "An answer of KMS with a data key, which is not shown", ()
    return True
