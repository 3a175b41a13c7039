"""From settings to the codec."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporal_payloads.plugin import PluginSettingsError

from temporal_payloads_encryption_codec._codec import EncryptionCodec
from temporal_payloads_encryption_codec._data_keys import DataKeys
from temporal_payloads_encryption_codec._key_ring import Key, KeyRing, LocalKey, ProvidedKey, missing_ids
from temporal_payloads_encryption_codec._key_text import read_key
from temporal_payloads_encryption_codec._ring_file import ReadRing, WatchedRing
from temporal_payloads_encryption_codec._settings import (
    EncryptionSettings,
    KeyInFile,
    KeyTable,
    RingFile,
    is_uri,
)

if TYPE_CHECKING:
    from temporal_payloads.plugin import CodecContext

LARGEST_FILE = 1024 * 1024

Place = tuple[str | int, ...]
Problems = list[tuple[Place, str]]


def make_codec(settings: EncryptionSettings, context: CodecContext) -> EncryptionCodec:
    """Make the codec that the settings describe. Keys are read, and no provider is asked.

    Raises:
        PluginSettingsError: A key cannot be read, is missing, or is there twice.
        ConfigurationError: A key's provider cannot be used.
    """
    ring = WatchedRing(
        lambda known: _read_ring(settings, context, known),
        context.place,
        is_described_by_file=settings.file is not None,
    )
    data_keys = DataKeys(
        duration=settings.duration,
        renew_before=settings.renew_before,
        keep_for=settings.keep_for,
        most=settings.kept_data_keys,
    )
    return EncryptionCodec(
        ring,
        data_keys=data_keys,
        bind=settings.bind is not None,
        accept_unbound=settings.accept_unbound,
        deterministic=settings.deterministic,
    )


def _read_ring(settings: EncryptionSettings, context: CodecContext, known: KeyRing | None) -> ReadRing:
    if settings.file is None:
        return _make_ring(settings, (), context, known)
    try:
        content = _read_file(settings.file).decode()
        ring = RingFile.model_validate(tomllib.loads(content))
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details]
        raise PluginSettingsError([(("file",), f"{settings.file}: {text}") for text in found]) from None
    except (OSError, ValueError) as error:
        raise PluginSettingsError([(("file",), _why(settings.file, error))]) from None
    try:
        return _make_ring(ring, (settings.file,), context, known)
    except PluginSettingsError as error:
        raise PluginSettingsError(
            [
                (("file",), f"{settings.file}: {'.'.join(map(str, place))}: {text}")
                for place, text in error.problems
            ]
        ) from None


def _make_ring(
    described: EncryptionSettings | RingFile,
    files: Sequence[Path],
    context: CodecContext,
    known: KeyRing | None,
) -> ReadRing:
    active, tables, namespaces = described.active, described.keys, described.namespaces
    assert active is not None  # the models see to it
    keys: dict[str, Key] = {}
    problems: Problems = []
    for key_id, table in {
        **tables,
        **{uri: KeyTable() for uri in missing_ids(active, namespaces, tables)},
    }.items():
        place: Place = ("keys", key_id)
        sources = [name for name in ("env", "file", "key") if getattr(table, name, None) is not None]
        if is_uri(key_id):
            if sources:
                problems.append((place, "a key that a provider keeps has a table without settings"))
            else:
                keys[key_id] = ProvidedKey(key_id, context.key_provider(key_id))
        elif len(sources) != 1:
            have = f"has {' and '.join(sources)}" if sources else "has no key"
            problems.append((place, f"{have}; give one of env and file"))
        else:
            try:
                secret = _secret(table)
            except (OSError, ValueError) as error:
                problems.append(((*place, sources[0]), str(error)))
            else:
                keys[key_id] = _local(key_id, secret, known, _source(table, files))
    if problems:
        raise PluginSettingsError(problems)
    try:
        ring = KeyRing(keys, active, namespaces)
    except ValueError as error:
        raise PluginSettingsError([((), str(error))]) from None
    return ReadRing(ring, [*files, *(table.file for table in tables.values() if table.file is not None)])


def _source(table: KeyTable, files: Sequence[Path]) -> str:
    """Say where a key was read, for a person."""
    if table.env is not None:
        return f"variable {table.env}"
    return f"file {table.file if table.file is not None else files[0]}"


def _local(key_id: str, secret: bytes, known: KeyRing | None, source: str) -> LocalKey:
    """Return the key; what it has encrypted in this process is counted on."""
    before = known.keys.get(key_id) if known is not None else None
    usage = before.usage if isinstance(before, LocalKey) else None
    return LocalKey.of(key_id, secret, usage, source)


def _secret(table: KeyTable) -> bytes:
    if table.env is not None:
        value = os.environ.get(table.env)
        if value is None:
            raise ValueError(f"the variable {table.env} is not set")
        return _read(value, f"the variable {table.env}")
    if table.file is not None:
        try:
            content = _read_file(table.file)
        except (OSError, ValueError) as error:
            raise ValueError(_why(table.file, error)) from None
        return _read(content, str(table.file))
    assert isinstance(table, KeyInFile)  # one of the three was given
    assert table.key is not None
    return _read(table.key.get_secret_value(), "the key")


def _read(text: str | bytes, what: str) -> bytes:
    try:
        return read_key(text)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from None


def _read_file(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"has more than {LARGEST_FILE:,} bytes")
    return content


def _why(file: Path, error: Exception) -> str:
    """Say why a file cannot be used, without what it holds."""
    if isinstance(error, OSError):
        return f"{file} cannot be read: {error.strerror or type(error).__name__}"
    if isinstance(error, tomllib.TOMLDecodeError):
        # Its text tells a place, and quotes a character at most.
        return f"{file} is no TOML: {error}"
    if isinstance(error, UnicodeDecodeError):
        return f"{file} is no text"
    return f"{file} {error}"
