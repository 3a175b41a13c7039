"""All that the author of a driver, codec or payload converter plugin imports.

The plugin author's guide is `docs/plugins.md`; the conformance kit is `temporal_payloads.testing`.
"""

from pydantic import ByteSize

from temporal_payloads._codecs.base import PerPayloadCodec
from temporal_payloads._codecs.compression import (
    DEFAULT_MAX_DECODED_SIZE,
    CompressionCodec,
    CompressionSettings,
)
from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop
from temporal_payloads._plugins.contract import (
    CodecPlugin,
    ConfinedClaim,
    DriverContext,
    DriverPlugin,
    PayloadConverterPlugin,
    StorageEvent,
    hookimpl,
)
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.duration import Duration
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE, ContentAddressedDriver
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
    UnknownDriverError,
)
from temporal_payloads._storage.serialized import (
    SerializedDriver,
    SerializedPayload,
    serialize_all,
)

__all__ = [
    "DEFAULT_MAX_DECODED_SIZE",
    "DEFAULT_MAX_PAYLOAD_SIZE",
    "OFFLOAD_SIZE",
    "ByteSize",
    "ClaimRejectedError",
    "CodecPlugin",
    "CompressionCodec",
    "CompressionSettings",
    "ConfinedClaim",
    "ContentAddressedDriver",
    "DriverContext",
    "DriverPlugin",
    "Duration",
    "PayloadConverterPlugin",
    "PayloadIntegrityError",
    "PayloadNotDecodedError",
    "PayloadNotFoundError",
    "PayloadTooLargeError",
    "PerPayloadCodec",
    "PluginRegistry",
    "SerializedDriver",
    "SerializedPayload",
    "StorageError",
    "StorageEvent",
    "StorageMisconfiguredError",
    "StoragePermissionError",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "UnknownDriverError",
    "gather_bounded",
    "hookimpl",
    "run_off_loop",
    "serialize_all",
]
