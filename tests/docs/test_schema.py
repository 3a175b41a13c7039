"""`temporal-payloads schema` takes what is right in a settings file, and refuses what is wrong."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel, ByteSize, ConfigDict, RootModel, TypeAdapter, ValidationError
from support.console import section
from support.pages import ROOT, snippets
from temporal_payloads._build.json_schema import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    installed_plugins,
    settings_schema,
)
from temporal_payloads._cli import main
from temporal_payloads._errors import PluginLoadError
from temporal_payloads.plugin import CodecPlugin, Duration, PluginRegistry, hookimpl

EXAMPLE = ROOT / "examples/order_batch/temporal-payloads.toml"
SCHEMA = settings_schema(installed_plugins(PluginRegistry()))


def problems(toml):
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(tomllib.loads(toml))]


def test_it_is_a_schema_of_its_dialect():
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_every_reference_in_it_leads_somewhere():
    for pointer in re.findall(r'"\$ref": "#/(.*?)"', json.dumps(SCHEMA)):
        there = SCHEMA
        for part in pointer.split("/"):
            there = there[part]


def test_it_takes_every_toml_snippet_of_the_documentation_and_the_example():
    found = {each.id: each.values[0] for each in snippets("toml")}
    assert len(found) > 50
    found["the example"] = EXAMPLE.read_text()
    assert {place: wrong for place, toml in found.items() if (wrong := problems(toml))} == {}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("codec = ['gzip']", "is not of type 'object'"),
        ("codecz = ['gzip']", "'codecz' was unexpected"),
        ("storage.treshold = '256KiB'", "'treshold' was unexpected"),
        ("storage.threshold = '256 parsecs'", "is not valid under any"),
        ("storage.threshold = true", "is not valid under any"),
        ("storage.timeout = 'soon'", "is not valid under any"),
        ("storage.circuit = true", "is not valid under any"),
        ("storage.drivers.s3.buckt = 'payloads'", "'buckt' was unexpected"),
        ("storage.drivers.s3.max_attempts = 'three'", "is not of type 'integer'"),
        ("storage.drivers.redis.bucket = 'payloads'", "'bucket' was unexpected"),
        ("storage.drivers.redis.sentinel.hostz = []", "'hostz' was unexpected"),
        ("storage.drivers.old.url = 'redis://localhost'", "'type' is a required property"),
        ("storage.drivers.old = { type = 'redys' }", "is not valid under any"),
        ("storage.drivers.old = { type = 'redis', bucket = 'payloads' }", "'bucket' was unexpected"),
        ("storage.drivers.old = { type = 'shelf:DRIVER', retrieve_only = 7 }", "is not of type 'boolean'"),
        ("storage.routes = [{ min_size = 1 }]", "'driver' is a required property"),
        ("codec.gzip.level = 99", "is greater than the maximum"),
        ("codec.encryption.keys.k.key = 'in clear'", "'key' was unexpected"),
        ("codec.mine.level = 1", "'type' is a required property"),
        ("payload_converters.msgspec.speed = 1", "'speed' was unexpected"),
        ("key_providers.awskms.max_attempts = 0", "is less than the minimum"),
        ("codec_server.port = 65536", "is greater than the maximum"),
        ("codec_server.limits.payload = 3", "'payload' was unexpected"),
        ("profile.dev.storage.drivers.s3.buckt = 'payloads'", "'buckt' was unexpected"),
        ("profile.dev.storage.drivers.old.retrieve_only = 7", "is not of type 'boolean'"),
        ("profile.dev.profile.eu.codecs = []", "'profile' was unexpected"),
    ],
)
def test_it_refuses_what_is_wrong(toml, message):
    assert any(message in problem for problem in problems(toml)), problems(toml)


@pytest.mark.parametrize(
    "toml",
    [
        "codecs = 'gzip'",  # one needs no brackets
        "codecs = ['my_app.codecs:Legacy']\ncodec.'my_app.codecs:Legacy' = { type = 'my_app.codecs:Legacy' }",
        "codec.gzip = { type = 'my_app.codecs:Gzip', strength = 3 }",
        "codec.mine = { type = 'my_app.codecs:PLUGIN', strength = 3 }",
        "storage.drivers.s3.type = 'temporal-payloads-s3:s3'",
        "storage.drivers.s3 = { type = 'redis', url = 'redis://localhost' }",
        "storage.circuit = false",
        "storage.circuit.failures = 3",
        "storage.drivers.redis.cluster = ['a:6379', 'b']",
        "storage.timeout = 1.5",
        "storage.drivers.s3.region = 'eu-central-1'",  # the bucket may be a variable
        "profile.dev.storage.drivers.old.url = 'redis://localhost'",  # and the type in what is merged
        "profile.dev.storage.drivers.old.ulr = 'redis://localhost'",  # so that nothing tells what keys it has
    ],
)
def test_it_takes_what_is_right(toml):
    assert problems(toml) == []


def reads(kind, text):
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


def test_it_reads_sizes_as_the_settings_do():
    units = (*ByteSize.byte_sizes, "KIB", "q")
    sizes = [f"{number}{unit}" for number in ("5", " 1.5 ", ".5", "x") for unit in units]
    assert [bool(re.search(SIZE_PATTERN, size)) for size in sizes] == [
        reads(ByteSize, size) for size in sizes
    ]


def test_it_reads_durations_as_the_settings_do():
    durations = ["30", "30s", "1.5 H", "500ms", "2min", "2 m", "7d", "2w", "7y", "s", "", "1 2s"]
    assert [bool(re.search(DURATION_PATTERN, each)) for each in durations] == [
        reads(Duration, each) for each in durations
    ]


def test_it_marks_secrets_and_describes_settings_with_defaults_as_a_file_has_them():
    s3 = SCHEMA["definitions"]["driver.s3"]["properties"]
    assert s3["secret_access_key"]["writeOnly"] is True
    assert "default" not in s3["secret_access_key"]
    assert s3["read_timeout"]["default"] == "20s"
    assert s3["read_timeout"]["description"] == "Longest silence of the store in a request."
    assert s3["part_size"]["default"] == "8.0MiB"


def test_every_setting_but_the_tables_is_described():
    bare = [
        f"{name}.{key}"
        for name, definition in SCHEMA["definitions"].items()
        for key, schema in definition.get("properties", {}).items()
        if "description" not in schema and "$ref" not in json.dumps(schema) and not name.endswith(".other")
    ]
    assert bare == []


def test_the_command_writes_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = section((ROOT / "docs/configuration.md").read_text(), "Help in the editor")
    [command] = re.findall(r"^ {4}temporal-payloads (schema .*)$", page, re.MULTILINE)
    assert main(command.split()) == 0
    [named] = re.findall(r"^#:schema \./(.*)$", page, re.MULTILINE)
    assert json.loads(Path(named).read_text()) == SCHEMA
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_the_command_says_that_it_cannot_write(tmp_path, capsys):
    assert main(["schema", "-o", str(tmp_path / "missing" / "schema.json")]) == 3
    assert "cannot write" in capsys.readouterr().err


def schema_with(*distributions):
    """Run the command where these are installed too."""
    folders = [str(ROOT / "core/tests/distributions" / name) for name in distributions]
    done = subprocess.run(
        [sys.executable, "-m", "temporal_payloads", "schema"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["definitions"], done.stderr


def test_a_plugin_that_cannot_be_loaded_is_left_out_and_named():
    definitions, said = schema_with("broken")
    assert "left out of the schema" in said
    assert "broken-plugins 0.1" in said
    assert "driver.s3" in definitions


class Engine:
    """Nothing that JSON has."""


class Rotating(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    engine: Engine


class NoTable(RootModel[dict[str, str]]):
    pass


class Ours:
    def __init__(self, settings):
        self.settings = settings

    def create(self, settings):
        raise AssertionError("a schema needs no codec")

    @hookimpl
    def temporal_payloads_codec(self):
        encodings = ("binary/rotated",)
        return CodecPlugin(api_version=1, settings=self.settings, encodings=encodings, create=self.create)


@pytest.mark.parametrize(
    ("settings", "why"),
    [(Rotating, "PydanticInvalidForJsonSchema: "), (NoTable, "NoTable is no table of settings")],
)
def test_a_plugin_whose_settings_cannot_be_described_is_left_out_and_named(settings, why):
    registry, broken = PluginRegistry(), list[PluginLoadError]()
    registry.register_codec("rotating", Ours(settings))
    assert settings_schema(installed_plugins(registry, broken)) == SCHEMA
    [error] = broken
    assert "the codec 'rotating' of the application" in str(error)
    assert f"has settings that no JSON Schema describes: {why}" in str(error)


def test_plugins_of_somebody_else_are_in_it():
    definitions, said = schema_with("shelf")
    assert "boards" in definitions["driver.shelf"]["properties"]
    assert said == ""


def test_two_plugins_of_one_name_are_told_apart():
    definitions, _ = schema_with("shelf", "rival")
    assert {"driver.shelf-storage:shelf", "driver.rival-storage:shelf"} <= definitions.keys()
    assert "driver.shelf" not in definitions
