"""A short hash of all that readers and writers of the same payloads must agree on."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from temporal_payloads._codecs.named import NamedCodec
    from temporal_payloads._plugins.registry import PluginRegistry

logger = logging.getLogger("temporal_payloads")


def settings_fingerprint(
    settings: PayloadSettings | None = None, *, registry: PluginRegistry | None = None
) -> str:
    """Return a short hash of all that readers and writers of the same payloads must agree on.

    Workers and the codec server log it when they start, and `temporal-payloads settings fingerprint` prints
    it, with what it is made of. No secret goes into it. What is given in code beside the settings, such as a
    base converter, does not count.

    Args:
        settings: By default `PayloadSettings.load()`: the file and the environment.
        registry: Where plugins are found.

    Returns:
        16 hexadecimal digits.

    Raises:
        ConfigurationError: With every problem that was found.
    """
    if settings is None:
        settings = read_settings(PayloadSettings)
    return fingerprint_of(shared_parts(build(settings, registry=registry)))


def announce_fingerprint(assembly: Assembly) -> None:
    """Log the fingerprint, in the same words wherever payloads are read or written."""
    logger.info(
        "Settings fingerprint: %s (profile: %s). Whatever reads or writes the same payloads should have the "
        "same one; temporal-payloads settings fingerprint shows what it is made of",
        fingerprint_of(shared_parts(assembly)),
        assembly.settings.sources.profile or "none",
    )


def shared_parts(assembly: Assembly) -> dict[str, Any]:
    """Return all that readers and writers of the same payloads must agree on, as data without a secret in it.

    What may differ between them is left out: what only decides about new payloads (routes, threshold, which
    driver is the default, which key writes, how hard a codec compresses), and what concerns one process
    (credentials, timeouts, caches, limits).
    """
    settings, tables, chain = assembly.settings, assembly.settings.storage.drivers, assembly.codecs.chain
    name = settings.payload_converter
    table = settings.payload_converters.get(name) if name else None
    return {
        "payload_converter": {
            "type": (table.type if table else None) or name,
            "settings": dict(assembly.payload_converter_identity),
        },
        "encode_failures": chain.encrypts if settings.encode_failures is None else settings.encode_failures,
        "codecs": [_shared_of_codec(settings, codec) for codec in chain.codecs],
        # Nothing depends on their order.
        "decode_only": _sorted(_shared_of_codec(settings, codec) for codec in chain.decode_only),
        "drivers": _sorted(
            {
                "name": driver.name(),
                "type": driver.type(),
                "store": json.loads(driver.identity.store),
                "read_aliases": sorted(tables[key].read_aliases) if key in tables else [],
                "moved_to": driver.moved_to.name() if driver.moved_to else None,
            }
            for key, driver in assembly.drivers.items()
        ),
    }


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """Return the fingerprint of what `shared_parts` returned."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _shared_of_codec(settings: PayloadSettings, codec: NamedCodec) -> dict[str, Any]:
    table = settings.codec.get(codec.name)
    describe = getattr(codec.codec, "describe_keys", None)
    keys = describe() if describe is not None else ()
    return {
        "type": (table.type if table else None) or codec.name,
        "encodings": sorted(codec.encodings),
        "settings": dict(codec.identity()),
        "keys": _sorted({"id": key.id, "fingerprint": key.fingerprint} for key in keys),
    }


def _sorted(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
