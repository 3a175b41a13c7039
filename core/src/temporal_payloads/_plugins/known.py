"""The plugins of this project, so that an error can say what to install.

Made from the plugins' metadata by `make generate`; do not edit by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

KNOWN_DISTRIBUTIONS: Mapping[str, Mapping[str, str]] = {
    "temporal_payloads.codecs": {
        "encryption": "temporal-payloads-encryption-codec",
        "gzip": "temporal-payloads-gzip-codec",
        "zlib": "temporal-payloads-gzip-codec",
        "zstd": "temporal-payloads-zstd-codec",
    },
    "temporal_payloads.commands": {
        "postgres": "temporal-payloads-postgres",
    },
    "temporal_payloads.drivers": {
        "azure_blob": "temporal-payloads-azure-blob",
        "filesystem": "temporal-payloads-filesystem",
        "gcs": "temporal-payloads-gcs",
        "memory": "temporal-payloads",
        "postgres": "temporal-payloads-postgres",
        "redis": "temporal-payloads-redis",
        "s3": "temporal-payloads-s3",
    },
    "temporal_payloads.key_providers": {
        "awskms": "temporal-payloads-aws-kms",
    },
    "temporal_payloads.payload_converters": {
        "msgspec": "temporal-payloads-msgspec-converter",
    },
}
"""Their distributions, by entry point group and name."""
