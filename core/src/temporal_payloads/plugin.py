"""All that the author of a driver, codec, payload converter or key provider plugin imports.

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
    CodecContext,
    CodecPlugin,
    ConfinedClaim,
    DriverContext,
    DriverPlugin,
    PayloadConverterPlugin,
    PayloadReaderContext,
    PluginSettingsError,
    StorageEvent,
    hookimpl,
)
from temporal_payloads._plugins.keys import (
    DataKey,
    KeyDescription,
    KeyProvider,
    KeyProviderContext,
    KeyProviderPlugin,
)
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.duration import Duration
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE, ContentAddressedDriver
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    KeyNotForNamespaceError,
    KeyUnavailableError,
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadNotEncryptedError,
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
    data_prefix,
    serialize,
    serialize_all,
)

__all__ = [
    "DEFAULT_MAX_DECODED_SIZE",
    "DEFAULT_MAX_PAYLOAD_SIZE",
    "OFFLOAD_SIZE",
    "ByteSize",
    "ClaimRejectedError",
    "CodecContext",
    "CodecPlugin",
    "CompressionCodec",
    "CompressionSettings",
    "ConfinedClaim",
    "ContentAddressedDriver",
    "DataKey",
    "DriverContext",
    "DriverPlugin",
    "Duration",
    "KeyDescription",
    "KeyNotForNamespaceError",
    "KeyProvider",
    "KeyProviderContext",
    "KeyProviderPlugin",
    "KeyUnavailableError",
    "PayloadConverterPlugin",
    "PayloadIntegrityError",
    "PayloadNotDecodedError",
    "PayloadNotEncryptedError",
    "PayloadNotFoundError",
    "PayloadReaderContext",
    "PayloadTooLargeError",
    "PerPayloadCodec",
    "PluginRegistry",
    "PluginSettingsError",
    "SerializedDriver",
    "SerializedPayload",
    "StorageError",
    "StorageEvent",
    "StorageMisconfiguredError",
    "StoragePermissionError",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "UnknownDriverError",
    "data_prefix",
    "gather_bounded",
    "hookimpl",
    "run_off_loop",
    "serialize",
    "serialize_all",
]
