"""Every name that a plugin author imports is documented with an example, and the examples run.

The docstrings are the reference. An example stands below `Example::`, or `Example, of ...::`, and uses the
public names, those of the SDK, pydantic and the standard library, and what `AUTHOR` says that an author has.
"""

import ast
import asyncio
import builtins
import importlib
import inspect
import itertools
import re
import symtable
import sys
import textwrap
import types

import pytest
from temporal_payloads import plugin

AUTHOR = """
import asyncio, bz2, hashlib, logging, os, re, secrets, threading, zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import *
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DefaultPayloadConverter,
    PayloadCodec,
    SerializationContext,
    StorageDriver,
    StorageDriverClaim,
    WithSerializationContext,
    WorkflowSerializationContext,
)
import my_shelf_plugin, my_vault, shelf_client

logger = logging.getLogger("example")
payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"order"')
data = b"some bytes"
file = Path("a-file")
file.write_bytes(data)
shelf = shelf_client.Shelf()
converter = build_data_converter(PayloadSettings())
unknown = Payload(metadata={"encoding": b"binary/unknown"})
from_another_driver = Payload(
    metadata={"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"},
    data=b'{"driverName": "another", "claimData": {"key": "k"}}',
)


class Ring(BaseModel):
    active: str


class ReverseSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DictionarySettings(ReverseSettings):
    dictionary: Path


class VaultSettings(ReverseSettings):
    address: str


class ShelfSettings(ContentAddressedSettings):
    url: str
    prefix: str = ""


settings = ShelfSettings(url="shelf://main")
settings = settings.model_copy(update={"bucket": "payloads", "key_prefix": "orders"})


class ShelfDriver(ContentAddressedDriver):
    def __init__(self, shelf, **arguments):
        super().__init__(**arguments)
        self._shelf = shelf

    async def write(self, items):
        raise NotImplementedError

    read = write


class ReverseCodec(PerPayloadCodec):
    def encode_payload(self, payload):
        return payload

    decode_payload = encode_payload


class DictionaryCodec(ReverseCodec):
    def __init__(self, dictionary):
        pass


class VaultKeyProvider(KeyProvider):
    def __init__(self, client):
        pass

    async def make_data_key(self, key):
        raise NotImplementedError

    unwrap_data_key = make_data_key


def create(settings):
    return ReverseCodec()


@asynccontextmanager
async def open_driver(settings, context):
    yield ShelfDriver(shelf, driver_name=context.name)


@asynccontextmanager
async def open_provider(settings, context):
    yield VaultKeyProvider(None)
"""
MODULES = {
    "shelf_client": """
from contextlib import asynccontextmanager

class Forbidden(Exception): ...
class Missing(Exception):
    key = ""
class Busy(Exception): ...
class Full(Exception): ...

class Shelf:
    async def ping(self):
        import asyncio
        await asyncio.sleep(1)

@asynccontextmanager
async def connect(url, connections):
    yield Shelf()
""",
    "my_vault": "class Forbidden(Exception): ...\ndef connect(address): ...",
    "my_shelf_plugin": """
from temporal_payloads.plugin import ContentAddressedSettings, DriverPlugin, KeyLayout, hookimpl

class Settings(ContentAddressedSettings):
    url: str

@hookimpl
def temporal_payloads_driver():
    return DriverPlugin(
        api_version=1, settings=Settings, driver_type="shelf", driver_name="shelf", open=None,
        confine=lambda settings, claim: KeyLayout().confine(claim),
    )
""",
}
VALUES_OF_OTHERS = {"ByteSize": plugin}
"""What somebody else has made and documented; what is said of it stands in the docstring of the module."""


@pytest.fixture(autouse=True)
def what_an_author_has(monkeypatch, tmp_path):
    for name, source in MODULES.items():
        module = types.ModuleType(name)
        exec(source, vars(module))
        monkeypatch.setitem(sys.modules, name, module)


def defining_modules():
    """Return the module from which `temporal_payloads.plugin` takes each name."""
    tree = ast.parse(inspect.getsource(plugin))
    return {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def documentation(name):
    """Return the docstring of a class or function, or what stands below a value where it is defined."""
    value = VALUES_OF_OTHERS.get(name, getattr(plugin, name))
    if isinstance(value, type | types.FunctionType | types.ModuleType):
        return inspect.cleandoc(value.__doc__ or "")
    body = ast.parse(inspect.getsource(importlib.import_module(defining_modules()[name]))).body
    for node, following in itertools.pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            told = getattr(following, "value", None)
            return told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else ""
    raise LookupError(name)


def example_of(name):
    """Return the program below the line that ends in `Example::`."""
    _, found, rest = re.split(r"^(Example\b.*::)\n", documentation(name), maxsplit=1, flags=re.MULTILINE)
    assert found
    lines = rest.split("\n")
    end = next((i for i, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return textwrap.dedent("\n".join(lines[:end]))


def names_that_nobody_has(program, known):
    """Return the names that a program takes from outside, its functions too, which may never run."""

    def globals_of(table):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                yield symbol.get_name()
        for child in table.get_children():
            yield from globals_of(child)

    # The top may wait, and a program may not: as the body of a function it can.
    inside = "async def program():\n" + textwrap.indent(program, "    ")
    return set(globals_of(symtable.symtable(inside, "example", "exec"))) - set(known) - set(dir(builtins))


@pytest.mark.parametrize("name", plugin.__all__)
def test_it_is_documented_with_an_example(name):
    told = documentation(name)
    assert len(told.split("\n")[0]) > 20
    assert re.search(r"^Example\b.*::\n\n    \S", told, re.MULTILINE), f"{name} has no Example::"
    assert name in example_of(name), f"the example of {name} does not show it"


@pytest.mark.parametrize("name", plugin.__all__)
def test_its_example_runs(name):
    known: dict[str, object] = {}
    exec(AUTHOR, known)
    program = example_of(name)
    assert names_that_nobody_has(program, known) <= {"program"}
    code = compile(program, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)

    async def story():
        if (running := eval(code, known)) is not None:
            await running

    asyncio.run(story())


def test_the_names_are_sorted_and_there():
    assert sorted(plugin.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)) == list(
        plugin.__all__
    )
    assert all(hasattr(plugin, name) for name in plugin.__all__)
