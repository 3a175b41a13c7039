"""The converter's failure converter, where failures go through the codecs too."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from temporalio.converter import DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes

from temporal_payloads._storage.failures import with_payload_failures

if TYPE_CHECKING:
    from temporalio.converter import DataConverter

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._settings.root import RootTable

logger = logging.getLogger("temporal_payloads")


def encodes_failures(
    settings: RootTable, base: DataConverter, codecs: CodecChain, findings: Findings
) -> bool:
    """Tell whether failures go through the codecs: as the settings say, else if a codec encrypts.

    What a base converter has of its own is not replaced unasked. It is told, unless encryption is required:
    then whoever builds must say what they want.
    """
    if settings.encode_failures is not None:
        if settings.require_encrypted and not settings.encode_failures and _is_the_sdks(base):
            findings.add(
                ("encode_failures",),
                "is false, so messages and stack traces of failures would leave in clear, which "
                "require_encrypted forbids; leave one of the two out",
            )
        return settings.encode_failures
    if not codecs.encrypts or _is_the_sdks(base) or settings.require_encrypted:
        return codecs.encrypts
    logger.warning(
        "Payloads are encrypted, but failure messages and stack traces are left to %s, the base converter's "
        "own failure converter. Say encode_failures = false if that is meant",
        base.failure_converter_class.__qualname__,
    )
    return False


def encoding_failure_converter(
    base: DataConverter, findings: Findings
) -> type[DefaultFailureConverter] | None:
    """Return the SDK's class that encodes messages and stack traces, or None if base has its own."""
    if not _is_the_sdks(base):
        findings.add(
            ("encode_failures",),
            "the base converter has a failure converter of its own; let that one encode, and set this to "
            "false",
        )
        return None
    return DefaultFailureConverterWithEncodedAttributes


def _is_the_sdks(base: DataConverter) -> bool:
    its_own = base.failure_converter_class
    # Ours stand for the SDK's: an earlier build may have put them there.
    return any(
        its_own in (theirs, with_payload_failures(theirs))
        for theirs in (DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes)
    )
