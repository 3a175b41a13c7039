"""Codecs that somebody has already, named by their import path and packaged by nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.keys import KEYS, encryption, variable_of
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PluginLoadError,
    UnknownPluginError,
    build_data_converter,
)
from temporal_payloads._build.assembly import assemble
from temporal_payloads._cli import main
from temporal_payloads.plugin import PluginRegistry

DISTRIBUTIONS = Path(__file__).parents[1] / "distributions"


@pytest.fixture(autouse=True)
def my_app(install):
    """Put the application on the path."""
    install("legacy")


def problem_of(**settings):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(PayloadSettings(**settings))
    [problem] = caught.value.problems
    return problem.place, problem.message


async def encoding_of(settings, value="hello"):
    """Send a value out and in again; return what encoding it had meanwhile."""
    converter = build_data_converter(settings)
    [payload] = await converter.encode([value])
    assert await converter.decode([payload]) == [value]
    return payload.metadata["encoding"].decode()


# -- what an import path may lead to


@pytest.mark.parametrize(
    ("path", "encoding"),
    [
        ("my_app.codecs:LegacyCodec", "binary/legacy"),
        ("my_app.codecs:Inner.Codec", "binary/legacy"),
        ("my_app.codecs:Unnamed", "binary/unnamed"),
        ("my_app.codecs:made", "binary/with-key"),
    ],
)
async def test_a_class_or_an_object_of_the_sdks_own_kind_is_a_codec(path, encoding):
    assert await encoding_of(PayloadSettings(codecs=[path])) == encoding


@pytest.mark.parametrize("path", ["my_app.codecs:described", "my_app.codecs:hooked", "my_app.codecs:Hooked"])
async def test_a_plugin_object_has_settings_in_a_table_under_its_path_or_a_name(path):
    assert await encoding_of(PayloadSettings(codecs=[path], codec={path: {"key": "k"}})) == "binary/with-key"
    named = PayloadSettings(codecs=["mine"], codec={"mine": {"type": path, "key": "k"}})
    assert await encoding_of(named) == "binary/with-key"
    place, message = problem_of(codecs=[path])
    assert place == f"codec.{path}.key"
    assert message == "is required; set it in the file"


async def test_it_stands_among_other_codecs_in_any_place():
    for codecs in (["my_app.codecs:LegacyCodec", "gzip"], ["gzip", "my_app.codecs:Unnamed"]):
        await encoding_of(PayloadSettings(codecs=codecs))


@pytest.mark.parametrize("path", ["my_app.codecs:LegacyCodec", "my_app.codecs:Unnamed"])
@pytest.mark.parametrize("order", [["gzip", "old"], ["old", "gzip"], ["old"]])
async def test_what_it_wrote_is_read_when_it_is_no_longer_written(path, order):
    tables = {"old": {"type": path}}
    before = build_data_converter(PayloadSettings(codecs=order, codec=tables))
    written = await before.encode(["hello"])
    now = PayloadSettings(codecs=["gzip"], decode_only=["old"], codec=tables)
    assert await build_data_converter(now).decode(written) == ["hello"]
    assert await encoding_of(now, "hello" * 100) == "binary/gzip"
    by_its_path = PayloadSettings(codecs=["gzip"], decode_only=[path])
    assert await build_data_converter(by_its_path).decode(written) == ["hello"]


def test_what_it_tells_by_its_attributes_counts_as_what_a_plugin_tells():
    [codec] = assemble(PayloadSettings(codecs=["my_app.codecs:made"])).codecs.chain._codecs
    assert codec.encodings == {"binary/with-key"}
    assert codec.role == "encrypt"
    place, message = problem_of(codecs=["my_app.codecs:made", "gzip"])
    assert (place, 'codecs = ["gzip", "my_app.codecs:made"]' in message) == ("codecs", True)


def test_one_that_encrypts_can_be_required_only_if_it_says_what_it_writes(monkeypatch):
    monkeypatch.setenv(variable_of("key-1"), KEYS["key-1"].hex())
    made = __import__("my_app.codecs").codecs.made
    build_data_converter(PayloadSettings(codecs=["my_app.codecs:made"], require_encrypted=True))
    monkeypatch.setattr(type(made), "encodings", ())
    monkeypatch.setattr(type(made), "encoding", None)
    seal = {"seal": {"type": "encryption", **encryption("key-1")}}
    for found in (
        problem_of(codecs=["my_app.codecs:made"], require_encrypted=True),
        problem_of(codecs=["seal"], codec=seal, decode_only=["my_app.codecs:made"], require_encrypted=True),
    ):
        assert found == (
            "require_encrypted",
            (
                "'my_app.codecs:made' encrypts, but does not tell the encodings that it writes, without "
                "which nobody knows what is encrypted: give it an attribute encodings"
            ),
        )


def test_one_that_tells_nothing_is_told_once_with_what_to_add(caplog):
    path = "my_app.codecs:Unnamed"
    for _ in range(2):
        build_data_converter(PayloadSettings(codecs=["gzip", path]))
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith(
        f"The codec {path!r} (codecs[1], class my_app.codecs.Unnamed) tells neither the encodings that it "
        "writes nor its role. If it encrypts, failure messages and stack traces stay in clear by default: "
        'give the class role = "encrypt", or set encode_failures = true.'
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("my_app.codecs:LegacyCodec", {}),
        ("my_app.codecs:Unnamed", {"role": "transform"}),
        ("my_app.codecs:Unnamed", {"role": "encrypt"}),
    ],
)
def test_one_that_tells_something_is_taken_at_its_word(caplog, monkeypatch, path, told):
    for name, value in told.items():
        monkeypatch.setattr(__import__("my_app.codecs").codecs.Unnamed, name, value, raising=False)
    build_data_converter(PayloadSettings(codecs=[path]))
    assert not caplog.records


def test_one_that_is_only_read_may_tell_nothing(caplog):
    build_data_converter(PayloadSettings(decode_only=["my_app.codecs:Unnamed"]))
    assert not caplog.records


# -- where it is set


async def test_a_file_names_it(write_settings):
    write_settings("""
        codecs = ["gzip", "my_app.codecs:described"]
        [codec."my_app.codecs:described"]
        key = "k"
    """)
    assert await encoding_of(None) == "binary/with-key"


async def test_the_environment_alone_is_enough(set_variables):
    set_variables(CODECS="gzip, my_app.codecs:LegacyCodec", DECODE_ONLY="my_app.codecs:Unnamed,zlib")
    assert await encoding_of(None) == "binary/legacy"
    set_variables(CODECS="mine", CODEC__MINE__TYPE="my_app.codecs:described", CODEC__MINE__KEY="k")
    assert await encoding_of(None) == "binary/with-key"


def test_check_reads_it_as_a_worker_does(write_settings, capsys, caplog):
    file = write_settings('codecs = ["my_app.codecs:LegacyCodec"]\ndecode_only = ["my_app.codecs:Unnamed"]')
    assert main(["check", "--config", str(file)]) == 0
    assert "my_app.codecs:LegacyCodec" in capsys.readouterr().out
    write_settings('codecs = ["my_app.codecs:Unnamed"]')
    assert main(["check", "--config", str(file)]) == 0
    assert "class my_app.codecs.Unnamed) tells neither" in caplog.text
    write_settings('codecs = ["my_app.codecs:LegacyCodek"]')
    assert main(["check", "--config", str(file)]) == 2
    assert "Did you mean 'LegacyCodec'?" in capsys.readouterr().err


def test_the_command_finds_it_on_pythons_path(write_settings):
    write_settings('codecs = ["my_app.codecs:LegacyCodec"]')
    for path, status in ((str(DISTRIBUTIONS / "legacy"), 0), ("", 2)):
        done = subprocess.run(
            [sys.executable, "-m", "temporal_payloads", "check", "--json"],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, json.loads(done.stdout)["ok"]) == (status, not status), done.stderr


# -- what can be wrong with it


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "nobody.codecs:LegacyCodec",
            (
                "cannot be imported: there is no module 'nobody' on Python's path. Install the distribution "
                "that has it, or add its directory to PYTHONPATH"
            ),
        ),
        ("my_app.codec:Codec", "cannot be imported: there is no module 'my_app.codec' on Python's path"),
        (
            "my_app.needs_more:LegacyCodec",
            "cannot be imported: ModuleNotFoundError: No module named 'a_library_that_nobody_has'",
        ),
        (
            "my_app.codecs:LegacyCodecs",
            "cannot be imported: its module has no 'LegacyCodecs'. Did you mean 'LegacyCodec'?",
        ),
        ("my_app.codecs:Inner.Kodek", "cannot be imported: its module has no 'Inner.Kodek'"),
        (
            "my_app.codecs:PASSWORD",
            (
                "is no valid plugin: it is of type str. An import path leads to a PayloadCodec class or "
                "object, to a CodecPlugin, or to an object with the hook temporal_payloads_codec"
            ),
        ),
        ("my_app.codecs:Settings", "is no valid plugin: it is of type ModelMetaclass"),
        (
            "my_app.codecs:WrongRole",
            "is no valid plugin: its attribute role must be one of transform, compress, encrypt",
        ),
        (
            "my_app.codecs:WrongEncodings",
            "is no valid plugin: its attribute encodings must be a list of texts",
        ),
    ],
)
def test_what_is_wrong_with_an_import_path_is_told_where_it_is_named(path, message):
    for setting in ("codecs", "decode_only"):
        assert problem_of(**{setting: [path]})[0] == f"{setting}[0]"
    with pytest.raises(PluginLoadError) as caught:
        build_data_converter(PayloadSettings(codecs=[path]))
    assert caught.value.problems[0].message.startswith(f"the codec {path!r} {message}")
    assert "hunter2" not in str(caught.value)


def test_as_the_type_of_a_table_it_is_told_there():
    place, message = problem_of(codecs=["mine"], codec={"mine": {"type": "my_app.codecs:Mine"}})
    assert place == "codec.mine.type"
    assert message.startswith("the codec 'my_app.codecs:Mine' cannot be imported: its module has no 'Mine'")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "my_app.codecs:WithKey",
            (
                "the codec cannot be made: TypeError: missing a required argument: 'key'. A class that is "
                "named by its import path is made without arguments. Name an object that was made with them, "
                "or a CodecPlugin to give it settings"
            ),
        ),
        ("my_app.codecs:Failing", "the codec cannot be made: RuntimeError: no key file"),
        ("temporalio.converter:PayloadCodec", "the codec cannot be made: TypeError: Can't instantiate"),
    ],
)
def test_a_class_that_cannot_be_made_is_told_where_it_is_named(set_variables, path, message):
    place, text = problem_of(codecs=["gzip", path])
    assert place == "codecs[1]"
    assert text.startswith(message)
    set_variables(CODECS=path)
    with pytest.raises(ConfigurationError, match=r"^codecs\[0\] \(TEMPORAL_PAYLOADS_CODECS\): the "):
        build_data_converter()


def test_a_plugin_that_makes_no_codec_is_told():
    place, message = problem_of(
        codecs=["mine"], codec={"mine": {"type": "my_app.codecs:makes_no_codec", "key": "k"}}
    )
    assert (place, message) == ("codec.mine", "the codec cannot be made: str is no PayloadCodec")


def test_a_class_by_its_import_path_has_no_settings():
    path = "my_app.codecs:LegacyCodec"
    assert problem_of(codecs=[path], codec={path: {"level": 1}}) == (
        f"codec.{path}.level",
        "there is no such setting.",
    )


def test_the_same_error_comes_again_and_disturbs_nobody():
    registry = PluginRegistry()
    for _ in range(2):
        with pytest.raises(PluginLoadError):
            registry.codec("my_app.codecs:PASSWORD")
    assert registry.codec("my_app.codecs:hooked").encodings == ("binary/with-key",)


# -- beside `distribution:name`


def test_a_distribution_and_its_plugin_are_still_named_like_that(install):
    install("reverse")
    for name in ("reverse-codec:reverse", "reverse_codec:reverse", "Reverse.Codec:reverse"):
        assert PluginRegistry().codec(name).encodings == ("binary/reversed",)


def test_a_plugin_that_a_distribution_offers_goes_before_an_import_path_that_reads_the_same(install):
    """`reverse_codec` is a module too: what is said of it in its metadata counts."""
    install("reverse")
    assert PluginRegistry().codec("reverse_codec:reverse").settings.__name__ == "ReverseSettings"
    assert PluginRegistry().codec("reverse_codec:ReverseCodec").settings.__name__ == "NoSettings"


@pytest.mark.parametrize("name", ["my-app:LegacyCodec", "my_app.codecs:", ":LegacyCodec", "my_app:a:b"])
def test_what_can_be_no_import_path_is_an_unknown_plugin(name):
    with pytest.raises(UnknownPluginError, match="there is no codec"):
        PluginRegistry().codec(name)


def test_what_an_application_registered_under_such_a_name_goes_before_both(install):
    install("reverse")
    registry = PluginRegistry()
    registry.register_codec("my_app.codecs:LegacyCodec", __import__("reverse_codec"))
    assert registry.codec("my_app.codecs:LegacyCodec").encodings == ("binary/reversed",)


def test_nothing_is_imported_before_it_is_asked_for():
    PluginRegistry().offers("codec")
    assert "my_app.codecs" not in sys.modules
