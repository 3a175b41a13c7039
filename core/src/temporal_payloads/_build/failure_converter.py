"""The converter's failure converter, where failures go through the codecs too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes

if TYPE_CHECKING:
    from temporalio.converter import DataConverter

    from temporal_payloads._build.findings import Findings


def encoding_failure_converter(
    base: DataConverter, findings: Findings
) -> type[DefaultFailureConverter] | None:
    """Return the SDK's class that makes payloads of messages and stack traces, or None if base has its own."""
    if base.failure_converter_class not in (
        DefaultFailureConverter,
        DefaultFailureConverterWithEncodedAttributes,
    ):
        findings.add(
            ("encode_failures",),
            "the base converter has a failure converter of its own; let that one encode, or leave this "
            "setting out",
        )
        return None
    return DefaultFailureConverterWithEncodedAttributes
