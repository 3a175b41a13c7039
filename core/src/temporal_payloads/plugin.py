"""All that the author of a driver, codec, payload converter or key provider plugin imports.

The plugin author's guide is `docs/plugins.md`; the conformance kit is `temporal_payloads.testing`.

`ByteSize` is pydantic's, for settings that read `"256KiB"` or a number of bytes.

Example::

    class BoxSettings(BaseModel):
        room: ByteSize = Field(ByteSize(1024), gt=0, description="How much goes into the box.")

    assert BoxSettings(room="256KiB").room == 262144
"""

from pydantic import ByteSize

from temporal_payloads._codecs.base import PerPayloadCodec
from temporal_payloads._codecs.compression import (
    DEFAULT_MAX_DECODED_SIZE,
    CompressionCodec,
    CompressionSettings,
)
from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop
from temporal_payloads._plugins.commands import CommandContext, CommandPlugin
from temporal_payloads._plugins.contract import (
    CodecContext,
    CodecPlugin,
    ConfinedClaim,
    DriverContext,
    DriverPlugin,
    PayloadConverterPlugin,
    PayloadReaderContext,
    PluginSettingsError,
    hookimpl,
)
from temporal_payloads._plugins.events import (
    CircuitEvent,
    CodecEvent,
    CollectionEvent,
    InlineEvent,
    StorageEvent,
)
from temporal_payloads._plugins.keys import (
    DataKey,
    KeyDescription,
    KeyProvider,
    KeyProviderContext,
    KeyProviderPlugin,
)
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.duration import Duration, PositiveDuration
from temporal_payloads._settings.problems import explain_settings_error
from temporal_payloads._storage.bucket_claims import BucketClaims, bucket_of_namespace
from temporal_payloads._storage.change import Change
from temporal_payloads._storage.changing import change_batches, change_each
from temporal_payloads._storage.collecting import (
    CollectableDriver,
    ListedPage,
    ListedPayload,
    StateStore,
)
from temporal_payloads._storage.content_addressed import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    ContentAddressedDriver,
    ContentAddressedSettings,
)
from temporal_payloads._storage.diagnosing import (
    COLLECTOR,
    READERS,
    WRITERS,
    Diagnosis,
    DiagnosisContext,
    Finding,
)
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
from temporal_payloads._storage.key_layout import KeyLayout, ParsedKey
from temporal_payloads._storage.probing import probe_conditions
from temporal_payloads._storage.sdk_bucket_driver import SDKBucketDriver
from temporal_payloads._storage.serialized import (
    SerializedDriver,
    SerializedPayload,
    data_prefix,
    serialize,
    serialize_all,
)

__all__ = [
    "COLLECTOR",
    "DEFAULT_MAX_DECODED_SIZE",
    "DEFAULT_MAX_PAYLOAD_SIZE",
    "OFFLOAD_SIZE",
    "READERS",
    "WRITERS",
    "BucketClaims",
    "ByteSize",
    "Change",
    "CircuitEvent",
    "ClaimRejectedError",
    "CodecContext",
    "CodecEvent",
    "CodecPlugin",
    "CollectableDriver",
    "CollectionEvent",
    "CommandContext",
    "CommandPlugin",
    "CompressionCodec",
    "CompressionSettings",
    "ConfinedClaim",
    "ContentAddressedDriver",
    "ContentAddressedSettings",
    "DataKey",
    "Diagnosis",
    "DiagnosisContext",
    "DriverContext",
    "DriverPlugin",
    "Duration",
    "Finding",
    "InlineEvent",
    "KeyDescription",
    "KeyLayout",
    "KeyNotForNamespaceError",
    "KeyProvider",
    "KeyProviderContext",
    "KeyProviderPlugin",
    "KeyUnavailableError",
    "ListedPage",
    "ListedPayload",
    "ParsedKey",
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
    "PositiveDuration",
    "SDKBucketDriver",
    "SerializedDriver",
    "SerializedPayload",
    "StateStore",
    "StorageError",
    "StorageEvent",
    "StorageMisconfiguredError",
    "StoragePermissionError",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "UnknownDriverError",
    "bucket_of_namespace",
    "change_batches",
    "change_each",
    "data_prefix",
    "explain_settings_error",
    "gather_bounded",
    "hookimpl",
    "probe_conditions",
    "renewed_after_fork",
    "run_off_loop",
    "serialize",
    "serialize_all",
]
