"""No secret is shown to anybody, whatever goes wrong: no part of eight characters, in no form.

Each test makes something fail, or looks at what is there, with a recognisable secret in every setting that
can hold one. The fixture `shown` has what was logged meanwhile, and fails the test if there is a secret in
that or in what the test has seen.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import botocore.session
import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.json_format import MessageToDict
from local_servers import start_redis
from pydantic import BaseModel, SecretBytes, SecretStr
from support.events import StorageEvents
from support.seeded import CLOSED, Seeds, Shown, World
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter, open_data_converter
from temporal_payloads._build.assembly import assemble
from temporal_payloads._cli import main
from temporal_payloads._plugins.kinds import KINDS
from temporal_payloads._storage.references import Reference
from temporal_payloads.codec_server import create_app
from temporal_payloads.plugin import PluginRegistry
from temporal_payloads_aws_kms._provider import KmsKeyProvider
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing, _ring_file
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, StorageDriverClaim

if TYPE_CHECKING:
    from support.stores import S3Store

SEEDED = {
    "codec.encryption.file",
    "codec.encryption.keys.NAME.env",
    "codec.encryption.keys.NAME.file",
    "codec_server.auth.tokens.NAME.token",
    "codec_server.auth.tokens.NAME.token_file",
    "key_providers.awskms.secret_access_key",
    "key_providers.awskms.session_token",
    "storage.drivers.azure_blob.account_key",
    "storage.drivers.azure_blob.connection_string",
    "storage.drivers.azure_blob.sas_token",
    "storage.drivers.postgres.password",
    "storage.drivers.postgres.url",
    "storage.drivers.redis.password",
    "storage.drivers.redis.sentinel.password",
    "storage.drivers.redis.url",
    "storage.drivers.s3.secret_access_key",
    "storage.drivers.s3.session_token",
}
"""The settings that have a secret in the fixture `world`."""
ELSEWHERE = {
    "codec_server.tls.key_file": "test_a_private_key_that_does_not_fit",
    "storage.drivers.redis.key_file": "test_a_private_key_that_does_not_fit",
    "codec_server.auth.jwt.jwks_url": "test_a_url_with_a_password_that_cannot_be_used",
    "key_providers.awskms.endpoint_url": "test_a_url_with_a_password_that_cannot_be_used",
    "storage.drivers.azure_blob.account_url": "test_a_url_with_a_password_that_cannot_be_used",
    "storage.drivers.gcs.endpoint_url": "test_a_url_with_a_password_that_cannot_be_used",
    "storage.drivers.s3.endpoint_url": "test_a_url_with_a_password_that_cannot_be_used",
}
"""Those that can have none where everything is right, and the test that gives them one."""
NO_SECRET = {
    "codec.encryption.kept_data_keys": "a number",
    "codec_server.auth.jwt.jwks_file": "public keys",
    "codec.zstd.dictionary": "a dictionary; nothing of its content is told",
    "codec.zstd.read_dictionaries": "likewise",
    "codec_server.allow_credentials": "a switch",
    "codec_server.allow_unauthenticated": "a switch",
    "codec_server.keys_without_namespace": "a switch",
    "codec_server.tls.cert_file": "a certificate",
    "gc.owners.temporal_profile": "a name",
    "gc.state": "a directory",
    "key_providers.awskms.access_key_id": "it stands in each request, and in AWS' logs",
    "key_providers.awskms.ca_bundle": "certificates",
    "key_providers.awskms.profile": "a name",
    "key_providers.awskms.earlier_keys": "names of keys",
    "storage.cache.dir": "payloads as they are in the store",
    "storage.drivers.azure_blob.ca_bundle": "certificates",
    "storage.drivers.filesystem.path": "a directory",
    "storage.drivers.gcs.ca_bundle": "certificates",
    "storage.drivers.gcs.service_file": "a path; plugins/gcs/tests/test_credentials.py has what is in it",
    "storage.drivers.postgres.ssl_cert": "a certificate",
    "storage.drivers.postgres.ssl_key": "a path, of a file that libpq reads",
    "storage.drivers.postgres.ssl_root_cert": "certificates",
    "storage.drivers.redis.ca_file": "certificates",
    "storage.drivers.redis.cert_file": "a certificate",
    "storage.drivers.redis.key_prefix": "it stands in references",
    "storage.drivers.s3.access_key_id": "it stands in each request, and in AWS' logs",
    "storage.drivers.s3.ca_bundle": "certificates",
    "storage.drivers.s3.kms_key_id": "the name of a key",
    "storage.drivers.s3.profile": "a name",
}
"""Those that sound like one, and what they have instead."""
SOUNDS_SECRET = ("url", "key", "token", "password", "secret", "credential", "auth", "env", "file", "pass")


def may_hold_a_secret(model: type[BaseModel], place: str) -> Iterator[str]:
    """Yield the places of the settings that may."""
    for name, field in model.model_fields.items():
        inner = f"{place}.{name}".lstrip(".")
        parts = list(_parts_of(field.annotation))
        tables = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        for table in tables:
            yield from may_hold_a_secret(
                table, f"{inner}{'.NAME' if get_origin(field.annotation) is dict else ''}"
            )
        secret = any(part in (SecretStr, SecretBytes, Path) for part in parts)
        if not tables and (secret or any(word in name for word in SOUNDS_SECRET)):
            yield inner


def _parts_of(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts_of(part)


def test_every_setting_that_can_hold_a_secret_has_one_in_these_tests() -> None:
    """Whoever adds a setting says here what is in it."""
    registry = PluginRegistry()
    places = set(may_hold_a_secret(PayloadSettings, ""))
    for kind in KINDS.values():
        for offer in registry.offers(kind.name):
            model = getattr(registry, kind.name)(offer.name).settings
            places |= set(may_hold_a_secret(model, f"{kind.table}.{offer.name}"))
    assert places - SEEDED - set(ELSEWHERE) - set(NO_SECRET) == set()


def test_the_settings_of_these_tests_have_a_secret_at_each_of_those_places(world: World) -> None:
    found = set()
    for path, _ in leaves(world.settings):
        table: Any = world.settings
        names = []
        for name in path:
            table = table[name]
            names.append(table.get("type", name) if isinstance(table, dict) else name)
        found.add(".".join(names))
    named = {re.sub(r"(\.keys|\.tokens)\.[a-z0-9-]+", r"\1.NAME", place) for place in found}
    assert named >= SEEDED


# -- what is looked at


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the settings of a table and of those in it."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def reprs(*roots: object) -> Iterator[str]:
    """Yield how each object of ours is shown that can be reached from these."""
    kept: dict[int, object] = {}
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) in kept or isinstance(one, str | bytes | int | float | type | types.ModuleType | None):
            continue
        kept[id(one)] = one
        if isinstance(one, types.MethodType):
            todo.append(one.__self__)
        if _is_ours(one):
            yield f"{type(one).__name__}: {one!r} {one}"
        todo += _reached_from(one)


def _is_ours(one: object) -> bool:
    ours = type(one).__module__.startswith("temporal_payloads")
    return ours or isinstance(one, BaseModel | DataConverter | SecretStr)


def _reached_from(one: Any) -> list[object]:
    if isinstance(one, Mapping):
        return [*one.keys(), *one.values()]
    if isinstance(one, list | tuple | set | frozenset):
        return list(one)
    if isinstance(one, partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.FunctionType):
        return [cell.cell_contents for cell in one.__closure__ or () if _is_filled(cell)]
    if not _is_ours(one) or isinstance(one, SecretStr):
        return []
    slots = [name for base in type(one).__mro__ for name in getattr(base, "__slots__", ())]
    return [*getattr(one, "__dict__", {}).values(), *(getattr(one, name, None) for name in slots)]


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # it raises if there is nothing
    except ValueError:
        return False
    return True


@pytest.fixture
def check(shown: Shown, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], int]:
    """Run `temporal-payloads check` as for a person and as for a program, and look at what it says."""

    def check(file: Path) -> int:
        status = main(["check", "--config", str(file)])
        assert main(["check", "--config", str(file), "--json"]) == status
        written = capsys.readouterr()
        assert written.out
        shown.see(written.out, written.err)
        return status

    return check


def load_and_build(shown: Shown, file: Path) -> DataConverter | None:
    """Build from a file, and look at what is built, or at what is wrong."""
    try:
        settings = PayloadSettings.load(file)
        assembly = assemble(settings)
        app = create_app(settings)
    except ConfigurationError as error:
        shown.see(error)
        return None
    shown.see(*reprs(settings, assembly, app, list(app.values())))
    return assembly.converter


# -- what is built


def test_what_is_built(world: World, shown: Shown) -> None:
    assert load_and_build(shown, world.file())
    # That they were reached says that there is something to look at.
    for name in (
        "LocalKey",
        "EncryptionCodec",
        "S3Settings",
        "RedisSettings",
        "KmsSettings",
        "ManagedDriver",
    ):
        assert f"{name}: " in shown.everything


def test_settings_that_are_given_in_code(world: World, shown: Shown) -> None:
    settings = PayloadSettings.model_validate(world.settings)
    shown.see(repr(settings), str(settings), repr(settings.storage), *reprs(settings))


def test_codecs_that_are_made_by_hand(seeds: Seeds, shown: Shown) -> None:
    ring = KeyRing.of({"one": seeds.key("one"), "two": seeds.key("two")}, "one")
    shown.see(*reprs(EncryptionCodec(ring), ring, ring.keys))
    for keys in ({"short": seeds.key("short")[:20]}, {"one": seeds.key("three"), "other": b""}):
        with pytest.raises(ValueError, match="bytes") as caught:
            KeyRing.of(keys, "one")
        shown.see(caught.value)


# -- wrong settings


def _secret_places(world: World, seeds: Seeds) -> list[tuple[str, ...]]:
    return [
        path for path, value in leaves(world.settings) if isinstance(value, str) and seeds.found_in(value)
    ]


def _changed(
    settings: dict[str, Any], path: tuple[str, ...], change: Callable[[Any, str], None]
) -> dict[str, Any]:
    changed = copy.deepcopy(settings)
    table = changed
    for name in path[:-1]:
        table = table[name]
    change(table, path[-1])
    return changed


def _set(value: Any, table: Any, name: str) -> None:
    table[name] = value


def _add(more: dict[str, Any], table: Any, name: str) -> None:
    table[name] |= more


MISTAKES: dict[str, Callable[[Any, str], None]] = {
    "misspelt": lambda table, name: table.update({f"{name[:-1]}": table.pop(name)}),
    "of another name": lambda table, name: table.update({"xyz": table.pop(name)}),
    "in a list": lambda table, name: table.update({name: [table[name]]}),
    "in a table": lambda table, name: table.update({name: {"value": table[name]}}),
    "as a name": lambda table, name: table.update({name: {table[name]: 1}}),
    "of a number": lambda table, name: table.update({"timeout": table[name], "max_attempts": table[name]}),
    "of a type": lambda table, name: table.update({"type": [table[name]]}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_secret_in_a_wrong_place(
    world: World, shown: Shown, seeds: Seeds, check: Callable[[Path], int], mistake: str
) -> None:
    places = _secret_places(world, seeds)
    assert len(places) >= 8
    for path in places:
        file = world.file(_changed(world.settings, path, MISTAKES[mistake]))
        built = load_and_build(shown, file)
        assert built is None
        if path in places[::4]:  # what the command says of them differs by the place alone
            check(file)


def test_a_secret_in_a_variable_of_the_wrong_name(
    world: World, shown: Shown, seeds: Seeds, monkeypatch: pytest.MonkeyPatch, check: Callable[[Path], int]
) -> None:
    for path in _secret_places(world, seeds):
        value: Any = world.settings
        for name in path:
            value = value[name]
        right = "__".join(path).upper().replace("-", "_")
        for wrong in (
            right[:-1],
            right.replace("__", "_", 1),
            f"{right}__X",
            "__".join(right.split("__")[:-1]),
        ):
            with monkeypatch.context() as patched:
                patched.setenv(f"TEMPORAL_PAYLOADS_{wrong}", value)
                assert load_and_build(shown, world.file()) is None
                if wrong == right[:-1]:
                    check(world.file())


@pytest.mark.parametrize("break_it", ["quote", "twice", "table", "bare"])
def test_a_file_that_is_no_toml(
    world: World, shown: Shown, seeds: Seeds, check: Callable[[Path], int], break_it: str
) -> None:
    for path in _secret_places(world, seeds):
        file = world.file()
        lines = file.read_text().split("\n")
        end = f'"{path[-1]}" = '
        [at] = [n for n, line in enumerate(lines) if line.replace('"', "").startswith(".".join(path) + " = ")]
        secret = lines[at].partition(end)[2]
        lines[at] = {
            "quote": lines[at][:-1],
            "twice": f"{lines[at]}\n{lines[at]}",
            "table": f"{lines[at]}\n{lines[at].partition(' = ')[0]}.more = {secret}",
            "bare": lines[at].replace(secret, secret.strip('"')),
        }[break_it]
        file.write_text("\n".join(lines))
        assert load_and_build(shown, file) is None
        check(file)


URLS = [
    "redis://somebody:{}@127.0.0.1:port/0",
    "redis://somebody:{}@[127.0.0.1/0",
    "redis://somebody:{}@/0",
    "redis://somebody:{}@127.0.0.1/zero",
    "redis://somebody:#{}@127.0.0.1/0",
    "redis://somebody:?{}@127.0.0.1/0",
    "http://somebody:{}@127.0.0.1/",
    "http://somebody:{}@login.example.com/keys",
    "somebody:{}@127.0.0.1",
    "https://127.0.0.1/?password={}",
]


@pytest.mark.parametrize(
    "place",
    [
        ("storage", "drivers", "by-url", "url"),
        ("storage", "drivers", "by-host", "host"),
        ("storage", "drivers", "by-sentinel", "sentinel", "hosts"),
        ("storage", "drivers", "azure-by-key", "account_url"),
        ("storage", "drivers", "gcs", "endpoint_url"),
        ("storage", "drivers", "postgres-by-url", "url"),
        ("storage", "drivers", "postgres-by-host", "host"),
        ("storage", "drivers", "s3", "endpoint_url"),
        ("key_providers", "awskms", "endpoint_url"),
        ("codec_server", "auth", "jwt", "jwks_url"),
    ],
    ids=".".join,
)
def test_a_url_with_a_password_that_cannot_be_used(
    world: World, shown: Shown, seeds: Seeds, check: Callable[[Path], int], place: tuple[str, ...]
) -> None:
    # Public keys may lie at any address; a query is a part of it, and shown.
    for url in URLS[:-1] if place[-1] == "jwks_url" else URLS:
        value: Any = url.format(seeds.text(f"the password in {url}"))
        if place[-1] == "hosts":
            value = [value]
        file = world.file(_changed(world.settings, place, partial(_set, value)))
        if load_and_build(shown, file) is None and place[0] != "codec_server":
            check(file)


def test_secrets_that_exclude_each_other(
    world: World, shown: Shown, seeds: Seeds, check: Callable[[Path], int]
) -> None:
    wrong: dict[tuple[str, ...], dict[str, str]] = {
        ("storage", "drivers", "by-url"): {"password": seeds.text("another password")},
        ("storage", "drivers", "by-host"): {"url": f"redis://:{seeds.text('a password too many')}@h/0"},
        ("storage", "drivers", "s3"): {"profile": "somebody's"},
        ("key_providers", "awskms"): {"profile": "somebody's"},
        ("codec_server", "auth", "tokens", "given"): {"token_file": "nowhere"},
        ("codec_server", "auth", "tokens", "in-file"): {"token": seeds.text("short")[:15]},
    }
    for place, more in wrong.items():
        changed = _changed(world.settings, place, partial(_add, more))
        assert load_and_build(shown, world.file(changed)) is None
        check(world.file(changed))


# -- keys


def wrong_key_texts(seeds: Seeds) -> list[bytes]:
    """Return texts with something of a secret that are no keys."""
    key = seeds.key("a key that is wrong")
    text = seeds.text("a text that is no key")
    return [
        base64.b64encode(key[:31]),
        base64.b64encode(key + b"\0"),
        base64.b64encode(key) + b"!",
        base64.b64encode(key)[:-6],
        key.hex().encode()[:-1],
        key[:31],
        b"text:" + text.encode()[:-1],
        text.encode(),
        f'key = "{text}"'.encode(),
        f"{text}\n{text}".encode(),
        "text:schlüssel".encode() + key,
    ]


def test_keys_that_are_none(
    world: World, shown: Shown, seeds: Seeds, monkeypatch: pytest.MonkeyPatch, check: Callable[[Path], int]
) -> None:
    for wrong in wrong_key_texts(seeds):
        (world.directory / "key-2").write_bytes(wrong)
        monkeypatch.setitem(os.environb, b"SEEDED_KEY", wrong.replace(b"\0", b""))
        assert load_and_build(shown, world.file()) is None
        check(world.file())


def test_a_key_that_stands_in_the_settings(world: World, shown: Shown, check: Callable[[Path], int]) -> None:
    text = base64.b64encode(world.keys["key-1"]).decode()
    for table in (text, {"key": text}, {"env": text}, {"file": text}, {"env": text, "file": text}, [text]):
        path = ("codec", "encryption", "keys", "key-1")
        changed = _changed(world.settings, path, partial(_set, table))
        load_and_build(shown, world.file(changed))
        if not (isinstance(table, dict) and {"env", "file"} & set(table)):
            check(world.file(changed))


def test_a_key_that_stands_where_its_id_belongs(
    world: World, shown: Shown, capsys: pytest.CaptureFixture[str], check: Callable[[Path], int]
) -> None:
    """Ids are shown by every command, and stand in every payload."""
    key = world.keys["key-1"]
    for text in (base64.b64encode(key).decode(), base64.b64encode(key).decode().rstrip("="), key.hex()):
        for changes in (
            {"active": text},
            {"keys": {text: {"env": "SEEDED_KEY"}}},
            {"keys": {text: "key-1"}},
            {"keys": {text: {"env": "SEEDED_KEY", "misspelt": 1}}},
            {"namespaces": {"prod-*": text}},
            {"namespaces": {text: "key-1"}},
        ):
            file = world.file(_changed(world.settings, ("codec", "encryption"), partial(_add, changes)))
            assert load_and_build(shown, file) is None
            check(file)
            assert main(["keys", "--config", str(file)])
            assert main(["keys", "--config", str(file), "--json"])
            shown.see(*capsys.readouterr())


def bad_rings(world: World, seeds: Seeds) -> Iterator[str]:
    """Yield what a key ring's file may hold by mistake."""
    key, other = (base64.b64encode(seeds.key(name)).decode() for name in ("a new key", "another new key"))
    yield f'active = "key-3"\n[keys]\nkey-3 = "{key}"\n'  # another key of the same id
    yield f'active = "new"\n[keys]\nold = "{key}"\n'
    yield f'active = "new"\n[keys]\nnew = "{key}'
    yield f'active = "new"\n[keys]\nnew = {key}\n'
    yield f'active = "new"\nactive = "{key}"\n'
    yield f'active = "new"\n[keys]\nnew = ["{key}"]\n'
    yield f'active = "new"\n[keys]\nnew = {{ key = "{key}", file = "{other}" }}\n'
    yield f'active = "new"\n[keys]\nnew = {{ kee = "{key}" }}\n'
    yield f'active = "new"\n[keys]\nnew = "{key[:-8]}"\n'
    yield f'active = "new"\n[keys]\nnew = "{key}"\nagain = "{key}"\n'
    yield f'active = "new"\nkeys = "{key}"\n'
    yield f'active = ["{key}"]\n'
    yield f'active = "new"\n[keys]\nnew = "{key}"\n[namespaces]\n"prod-*" = {{ a = "{other}" }}\n'
    yield f'active = "new"\n[keys]\n"{key}" = "new"\n'
    yield f'active = "{key}"\n[keys]\nnew = "{key}"\n'
    yield f'active = "new"\n[keys]\nnew = "{key}"\n"{other}" = "another"\n'
    yield f'active = "new"\n[keys]\nnew = "{key}"\n[namespaces]\n"prod-*" = "{other}"\n'
    yield f'active = "new"\n[keys]\nnew = "{key}"\n[namespaces]\n"{other}" = "new"\n'
    yield f"{key}\n"
    yield world.ring.replace('"', "'", 1)


async def test_a_key_ring_that_is_made_unusable(
    world: World, shown: Shown, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ring_file, "LOOKED_AT_EVERY", 0.0)
    ring = world.directory / "ring.toml"
    converter = build_data_converter(PayloadSettings.load(world.file()))
    told = 0
    for content in bad_rings(world, seeds):
        ring.write_text(content)
        codec = converter.payload_codec
        assert codec is not None
        await codec.decode([Payload(metadata={"encoding": b"binary/encrypted"})] * 0)
        sealed = EncryptionCodec(KeyRing.of({"key-3": world.keys["key-3"]}, "key-3"))
        assert await codec.decode(await sealed.encode([Payload(data=b"x")]))
        told += 1
    assert shown.everything.count("cannot be used; the keys that were read before are kept") >= told
    # The same, of a ring that was never right.
    for content in bad_rings(world, seeds):
        ring.write_text(content)
        load_and_build(shown, world.file())


def secret_payload(seeds: Seeds) -> Payload:
    """Return a payload that nobody may be shown either."""
    return Payload(metadata={"encoding": b"json/plain"}, data=seeds.text("the payload", 4000).encode())


async def test_payloads_that_cannot_be_decrypted(world: World, shown: Shown, seeds: Seeds) -> None:
    confidential = Payload(
        metadata={"encoding": b"json/plain"}, data=seeds.text("the payload", 5000).encode()
    )
    converter = build_data_converter(PayloadSettings.load(world.file()))
    codec = converter.payload_codec
    assert codec is not None
    stranger = seeds.key("the key of a stranger")
    wrong_key = EncryptionCodec(KeyRing.of({"key-1": stranger}, "key-1"))
    unknown_key = EncryptionCodec(KeyRing.of({"unknown": stranger}, "unknown"))
    bound = EncryptionCodec(KeyRing.of({"key-1": world.keys["key-1"]}, "key-1"))
    [sealed] = await bound.encode([confidential])
    wrong = [*await wrong_key.encode([confidential]), *await unknown_key.encode([confidential])]
    changes: list[dict[str, Any]] = [
        {"data": sealed.data[:-1]},
        {"data": sealed.data[:20]},
        {"data": confidential.SerializeToString()},
        {"metadata": {**sealed.metadata, "encryption-key-id": b"awskms:///alias/seeded"}},
        {"metadata": {**sealed.metadata, "encryption-dek": base64.b64encode(stranger)}},
        {"metadata": {**sealed.metadata, "encryption-bind": b"namespace"}},
        {"metadata": {"encoding": b"binary/encrypted"}},
        {"metadata": {"encoding": b"binary/gzip"}, "data": confidential.data},
    ]
    whole = {"metadata": dict(sealed.metadata), "data": sealed.data}
    wrong += [Payload(**{**whole, **change}) for change in changes]
    for payload in wrong:
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever it is, it must show nothing
            await converter.decode([payload])
        shown.see(caught.value)


# -- stores and key providers


def references(drivers: Mapping[str, Any]) -> list[Payload]:
    """Return a reference to something that each driver could have stored, and one outside of it."""
    digest = "0" * 64
    found = []
    for key in drivers:
        s3 = key == "s3"
        name = "aws.s3driver" if s3 else key
        own = {
            "key": f"v0/d/sha256/{digest}" if s3 else f"temporalio:payloads:v0:d:sha256:{digest}",
            "hash_algorithm": "sha256",
            "hash_value": digest,
            **({"bucket": "seeded"} if s3 else {}),
        }
        claims = (own, {**own, "key": "elsewhere"})
        found += [Reference(name, StorageDriverClaim(claim), 100).to_payload() for claim in claims]
    return found


async def fail_with_stores(shown: Shown, settings: dict[str, Any]) -> None:
    """Open the stores of these settings, store and retrieve; look at everything that is said about it."""
    events = StorageEvents()
    converter = build_data_converter(PayloadSettings.model_validate(settings), registry=events.registry)
    for key in settings["storage"]["drivers"]:
        changed = copy.deepcopy(settings)
        changed["storage"]["driver"] = key
        model = PayloadSettings.model_validate(changed)
        storing = build_data_converter(model, registry=events.registry)
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever it is, it must show nothing
            await storing.encode(["x" * 1000])
        shown.see(caught.value)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # likewise
        async with open_data_converter(PayloadSettings.model_validate(settings)):
            pass
    shown.see(caught.value)
    for reference in references(settings["storage"]["drivers"]):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # likewise
            await converter.decode([reference])
        shown.see(caught.value)
    assert events.seen
    shown.see(*map(repr, events.seen))


async def test_stores_that_cannot_be_reached(world: World, shown: Shown) -> None:
    await fail_with_stores(shown, world.settings)


def test_checking_stores_that_cannot_be_reached(world: World, check: Callable[[Path], int]) -> None:
    assert check(world.file()) == 3


@pytest.mark.parametrize(
    "command", [["settings", "show"], ["settings", "show", "--json"], ["settings", "fingerprint", "--json"]]
)
def test_showing_the_settings(
    world: World, shown: Shown, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "--config", str(world.file())]) == 0
    written = capsys.readouterr()
    assert "storage" in written.out or "drivers" in written.out
    shown.see(written.out, written.err)


async def test_stores_that_refuse(
    world: World, shown: Shown, seeds: Seeds, s3_store: S3Store, tmp_path: Path
) -> None:
    right = seeds.text("the right password of Redis")
    drivers = world.settings["storage"]["drivers"]
    with start_redis(tmp_path / "redis", password=right) as server:
        wrong = seeds.text("the wrong password of Redis")
        settings = _changed(
            world.settings,
            ("storage", "drivers"),
            lambda table, name: table.update(
                {
                    name: {
                        "s3": {**s3_store.table(), "bucket": "seeded", **_wrong_credentials(drivers["s3"])},
                        "by-url": {
                            **drivers["by-url"],
                            "url": f"redis://default:{wrong}@{server.host}:{server.port}/0",
                        },
                        "by-host": {**drivers["by-host"], "port": server.port},
                    }
                }
            ),
        )
        await fail_with_stores(shown, settings)
    assert "AuthenticationError" in shown.everything
    assert "StoragePermissionError" in shown.everything


def _wrong_credentials(table: dict[str, Any]) -> dict[str, str]:
    return {"secret_access_key": table["secret_access_key"]}


async def test_key_providers_that_refuse(
    world: World, shown: Shown, seeds: Seeds, moto_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = KmsKeyProvider.make_data_key

    async def make_data_key(self: KmsKeyProvider, key: str) -> Any:
        made = await make(self, key)
        seeds.know("a data key", made.plaintext)
        return made

    monkeypatch.setattr(KmsKeyProvider, "make_data_key", make_data_key)
    kms = botocore.session.get_session().create_client(
        "kms",
        region_name="eu-central-1",
        endpoint_url=moto_server.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    key: Any = kms.create_key()["KeyMetadata"]["Arn"]  # type: ignore[attr-defined]  # botocore has no types
    for uri, endpoint in (
        (f"awskms:///{key}", moto_server.endpoint_url),
        ("awskms:///alias/not-there", moto_server.endpoint_url),
        (f"awskms:///{key}", f"http://127.0.0.1:{CLOSED}"),
    ):
        settings = copy.deepcopy(world.settings)
        del settings["storage"]
        settings["key_providers"]["awskms"]["endpoint_url"] = endpoint
        settings["codec"]["encryption"]["active"] = uri
        assembly = assemble(PayloadSettings.model_validate(settings))
        try:
            [sealed] = await assembly.converter.encode(["confidential"])
            assert await assembly.converter.decode([sealed]) == ["confidential"]
        except Exception as error:  # noqa: BLE001  # whichever it is, it must show nothing
            shown.see(error)
        else:
            assert endpoint == moto_server.endpoint_url
            assert "a data key" in seeds.names
            sealed.metadata["encryption-dek"] = base64.b64encode(b"x" * 150)
            with pytest.raises(Exception) as caught:  # noqa: PT011  # likewise
                await assembly.converter.decode([sealed])
            shown.see(caught.value)
        shown.see(*reprs(assembly))
    kms.close()
    assert "NotFoundException" in shown.everything
    assert "EndpointConnectionError" in shown.everything or "ClientConnector" in shown.everything


def test_a_private_key_that_does_not_fit(
    world: World, shown: Shown, private_key: Path, check: Callable[[Path], int]
) -> None:
    certificate = world.directory / "certificate.pem"
    for content in (b"", private_key.read_bytes()):
        certificate.write_bytes(content)
        files = {"cert_file": certificate, "key_file": private_key}
        settings = copy.deepcopy(world.settings)
        settings["codec_server"]["tls"] = files
        settings["storage"]["drivers"]["by-host"] |= {"tls": True, **files}
        load_and_build(shown, world.file(settings))
        check(world.file(settings))
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(main(["codec-server", "--config", str(world.file(settings)), "--port", "0"]))
        assert ended.value.code


# -- the codec server


async def test_the_codec_server(world: World, shown: Shown, seeds: Seeds) -> None:
    confidential = Payload(
        metadata={"encoding": b"json/plain"}, data=seeds.text("the payload", 3000).encode()
    )
    sealed = await EncryptionCodec(KeyRing.of({"key-1": world.keys["key-1"]}, "key-1")).encode([confidential])
    corrupted = Payload(metadata=dict(sealed[0].metadata), data=sealed[0].data[:-1])
    app = create_app(PayloadSettings.load(world.file()))
    tokens = [*world.tokens.values(), seeds.text("a wrong token"), world.tokens["given"][:-1], None]
    bodies = [
        json.dumps({"payloads": [MessageToDict(payload)]}).encode()
        for payload in (*sealed, corrupted, *references(world.settings["storage"]["drivers"]), confidential)
    ]
    bodies += [b"", b"{", json.dumps({"payloads": world.tokens["given"]}).encode(), confidential.data]
    answered = set()
    async with TestClient(TestServer(app)) as client:
        for token in tokens:
            headers = {
                "Content-Type": "application/json",
                "X-Namespace": "default",
                "Origin": "http://localhost:8233",
            }
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
            for path in ("/", "/readyz", "/livez", "/nowhere", f"/{seeds.text('a path')[:7]}"):
                async with client.get(path, headers=headers) as response:
                    shown.see(await response.text(), str(response.headers))
            for operation in ("encode", "decode", "download"):
                for body in bodies:
                    async with client.post(f"/{operation}", data=body, headers=headers) as response:
                        answered.add(response.status)
                        text = await response.text()
                        # Whoever may decode is shown the payload.
                        if response.status != 200:
                            shown.see(text)
                        shown.see(str(response.headers))
    assert {200, 400, 401} <= answered
    assert "codec_server.access" in shown.everything
