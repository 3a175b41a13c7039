"""From settings to the codec."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporal_payloads.plugin import PluginSettingsError, explain_settings_error

from temporal_payloads_encryption_codec._codec import EncryptionCodec
from temporal_payloads_encryption_codec._data_keys import DataKeys
from temporal_payloads_encryption_codec._key_ring import (
    Key,
    KeyRing,
    KeyRingError,
    LocalKey,
    ProvidedKey,
    missing_ids,
)
from temporal_payloads_encryption_codec._key_text import read_key
from temporal_payloads_encryption_codec._ring_file import Files, WatchedRing
from temporal_payloads_encryption_codec._settings import (
    EncryptionSettings,
    KeyInFile,
    KeyTable,
    RingFile,
    is_uri,
)

if TYPE_CHECKING:
    from pathlib import Path

    from temporal_payloads.plugin import CodecContext

Place = tuple[str | int, ...]
Problems = list[tuple[Place, str]]


def make_codec(settings: EncryptionSettings, context: CodecContext) -> EncryptionCodec:
    """Make the codec that the settings describe. Keys are read, and no provider is asked.

    Raises:
        PluginSettingsError: A key cannot be read, is missing, or is there twice.
        ConfigurationError: A key's provider cannot be used.
    """
    ring = WatchedRing(
        lambda known, files: _read_ring(settings, context, known, files),
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
        remember_from=context.stored_from,
    )


def _read_ring(
    settings: EncryptionSettings, context: CodecContext, known: KeyRing | None, files: Files
) -> KeyRing:
    if settings.file is None:
        return _make_ring(settings, None, context, known, files)
    try:
        content = files.read(settings.file).decode()
        described = tomllib.loads(content)
    except (OSError, ValueError) as error:
        raise PluginSettingsError([(("file",), _why(settings.file, error))]) from None
    try:
        return _make_ring(RingFile.model_validate(described), settings.file, context, known, files)
    except ValidationError as error:
        problems: Problems = explain_settings_error(error, RingFile)
    except PluginSettingsError as error:
        problems = list(error.problems)
    raise PluginSettingsError([(("file",), _in_file(settings.file, *problem)) for problem in problems])


def _make_ring(
    described: EncryptionSettings | RingFile,
    described_in: Path | None,
    context: CodecContext,
    known: KeyRing | None,
    files: Files,
) -> KeyRing:
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
                secret = _secret(table, files)
            except (OSError, ValueError) as error:
                problems.append(((*place, sources[0]), str(error)))
            else:
                keys[key_id] = _local(key_id, secret, known, _source(table, described_in))
    if problems:
        raise PluginSettingsError(problems)
    try:
        return KeyRing(keys, active, namespaces)
    except KeyRingError as error:
        raise PluginSettingsError([(error.place, error.text)]) from None


def _source(table: KeyTable, described_in: Path | None) -> str:
    """Say where a key was read, for a person."""
    if table.env is not None:
        return f"variable {table.env}"
    return f"file {table.file or described_in}"


def _local(key_id: str, secret: bytes, known: KeyRing | None, source: str) -> LocalKey:
    """Return the key; what it has encrypted in this process is counted on."""
    before = known.keys.get(key_id) if known is not None else None
    usage = before.usage if isinstance(before, LocalKey) else None
    return LocalKey.of(key_id, secret, usage, source)


def _secret(table: KeyTable, files: Files) -> bytes:
    if table.env is not None:
        value = os.environ.get(table.env)
        if value is None:
            raise ValueError(f"the variable {table.env} is not set")
        return _read(value, f"the variable {table.env}")
    if table.file is not None:
        try:
            content = files.read(table.file)
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


def _in_file(file: Path, place: Place, text: str) -> str:
    where = f"{'.'.join(map(str, place))}: " if place else ""
    return f"{file}: {where}{text}"


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
