"""What is required of codecs that encrypt: their order, and what goes through them."""

import dataclasses
import json
import logging

import pytest
from pydantic import BaseModel
from support.keys import encryption, put_keys_into_environment
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    build_data_converter,
)
from temporal_payloads.plugin import CodecPlugin, PluginRegistry, hookimpl
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

ENCODING = DefaultFailureConverterWithEncodedAttributes


@pytest.fixture(autouse=True)
def keys_in_environment(monkeypatch, clean_environment):
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


def settings(*codecs, **values):
    """Settings with these codecs and, under that name, one that encrypts."""
    values.setdefault("codec", {"encryption": encryption("key-1")})
    return PayloadSettings(codecs=codecs or ["encryption"], **values)


def problems_of(settings=None, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings, **arguments)
    return [(problem.place, problem.message) for problem in caught.value.problems]


def the_problem(settings=None, **arguments):
    [problem] = problems_of(settings, **arguments)
    return problem


class NoSettings(BaseModel):
    pass


class Nothing(PayloadCodec):
    """A codec that does nothing."""

    async def encode(self, payloads):
        return list(payloads)

    async def decode(self, payloads):
        return list(payloads)


def with_codec(codec):
    return dataclasses.replace(DataConverter.default, payload_codec=codec)


# -- order


@pytest.mark.parametrize("codecs", [["gzip", "encryption"], ["zlib", "gzip", "encryption"], ["encryption"]])
def test_what_compresses_stands_before_what_encrypts(codecs):
    build_data_converter(settings(*codecs))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (["encryption", "gzip"], '["gzip", "encryption"]'),
        (["zlib", "encryption", "gzip"], '["zlib", "gzip", "encryption"]'),
        (["encryption", "gzip", "zlib"], '["gzip", "zlib", "encryption"]'),
        (["encryption", "armor", "gzip"], '["gzip", "encryption", "armor"]'),
    ],
)
def test_compression_after_encryption_is_an_error_that_tells_the_right_order(wrong, right, armor):
    place, message = the_problem(settings(*wrong), registry=armor)
    assert place == "codecs"
    assert "compresses what 'encryption' has encrypted, which cannot become smaller" in message
    assert message.endswith(f"The right order is codecs = {right}")
    build_data_converter(settings(*json.loads(right)), registry=armor)


@pytest.fixture
def armor():
    """A registry that has also a codec which neither compresses nor encrypts."""

    class Plugin:
        @staticmethod
        @hookimpl
        def temporal_payloads_codec():
            return CodecPlugin(api_version=1, settings=NoSettings, encodings=(), create=lambda _: Nothing())

    registry = PluginRegistry()
    registry.register_codec("armor", Plugin())
    return registry


def test_the_order_counts_by_what_codecs_do_and_not_by_their_names():
    tables = {"seal": {"type": "encryption", **encryption("key-1")}, "squeeze": {"type": "gzip"}}
    _, message = the_problem(settings("seal", "squeeze", codec=tables))
    assert message.endswith('The right order is codecs = ["squeeze", "seal"]')


def test_what_is_only_read_may_have_stood_in_any_order():
    build_data_converter(settings("encryption", decode_only=["gzip"]))


# -- require_encrypted


def test_requiring_encryption_without_a_codec_that_encrypts_is_an_error():
    for codecs in ([], ["gzip"]):
        place, message = the_problem(PayloadSettings(require_encrypted=True, codecs=codecs))
        assert place == "require_encrypted"
        assert message == ("no codec of codecs encrypts: add 'encryption' to it, or leave this setting out")


def test_a_codec_that_is_only_read_encrypts_nothing():
    found = settings("gzip", decode_only=["encryption"], require_encrypted=True)
    assert the_problem(found)[0] == "require_encrypted"


def test_requiring_it_is_told_once_beside_what_is_wrong_with_the_codec_itself():
    wrong = settings("encryption", require_encrypted=True, codec={"encryption": {"activ": "key-1"}})
    assert "require_encrypted" not in [place for place, _ in problems_of(wrong)]


async def test_with_it_a_payload_in_clear_is_refused_and_an_encrypted_one_read():
    converter = build_data_converter(settings("gzip", "encryption", require_encrypted=True))
    assert await converter.decode(await converter.encode(["hello"])) == ["hello"]
    with pytest.raises(Exception, match="came in clear"):
        await converter.decode(await DataConverter.default.encode(["hello"]))


# -- decode_only


@pytest.mark.parametrize(
    ("codecs", "decode_only", "place", "message"),
    [
        (["gzip"], ["zlib", "zlib"], "decode_only", "'zlib' is listed 2 times; list it once"),
        (["gzip", "gzip"], [], "codecs", "'gzip' is listed 2 times; list it once"),
        (["gzip"], ["gzip"], "decode_only", "'gzip' is in codecs, where it is read too"),
        (["gzip"], ["gizp"], "decode_only[0]", "Did you mean 'gzip'?"),
    ],
)
def test_each_codec_stands_once_in_one_of_the_two_lists(codecs, decode_only, place, message):
    found, text = the_problem(PayloadSettings(codecs=codecs, decode_only=decode_only))
    assert found == place
    assert message in text


def test_a_codec_that_is_only_read_has_its_table_too():
    wrong = PayloadSettings(decode_only=["gzip"], codec={"gzip": {"max_decoded_size": "much"}})
    assert the_problem(wrong)[0] == "codec.gzip.max_decoded_size"


def test_the_table_of_a_codec_in_neither_list_is_told():
    _, message = the_problem(PayloadSettings(decode_only=["zlib"], codec={"gzip": {"level": 1}}))
    assert "Add 'gzip' to codecs, or remove the table" in message


async def test_one_plugin_may_be_written_with_some_settings_and_read_with_others():
    tables = {
        "new": {"type": "encryption", **encryption("key-2")},
        "old": {"type": "encryption", **encryption("key-1")},
    }
    before = build_data_converter(settings("old", codec={"old": tables["old"]}))
    now = build_data_converter(settings("new", decode_only=["old"], codec=tables))
    assert await now.decode(await before.encode(["hello"])) == ["hello"]


# -- a base converter with parts of its own


@pytest.mark.parametrize("values", [{"codecs": ["gzip"]}, {"decode_only": ["gzip"]}])
def test_a_codec_of_the_bases_own_is_told_where_to_go(values):
    place, message = the_problem(PayloadSettings(**values), base=with_codec(Nothing()))
    assert place == next(iter(values))
    assert message == (
        "the base converter has a payload codec of its own, Nothing, and a converter has one. Take it off "
        f"the base, and name it where it belongs among these: {__name__}:Nothing"
    )


def test_a_codec_that_no_import_path_leads_to_is_told_without_one():
    class Local(Nothing):
        pass

    _, message = the_problem(PayloadSettings(codecs=["gzip"]), base=with_codec(Local()))
    assert "a payload codec of its own, Local" in message
    assert "<locals>" not in message
    assert message.endswith("by its import path, module:name")


def test_a_base_that_was_built_from_settings_already_is_told_as_such():
    base = build_data_converter(PayloadSettings(codecs=["gzip"]))
    _, message = the_problem(PayloadSettings(codecs=["gzip"]), base=base)
    assert message == (
        "the base converter was built by temporal-payloads already, with codecs of its own (gzip). Give the "
        "converter that it was built from, or leave these out"
    )


def test_the_bases_own_codec_is_kept_where_the_settings_name_none():
    codec = Nothing()
    assert build_data_converter(PayloadSettings(), base=with_codec(codec)).payload_codec is codec


def test_the_bases_own_codec_is_none_that_is_known_to_encrypt():
    place, _ = the_problem(PayloadSettings(require_encrypted=True), base=with_codec(Nothing()))
    assert place == "require_encrypted"


# -- failures


class OwnFailureConverter(DefaultFailureConverter):
    pass


OWN = dataclasses.replace(DataConverter.default, failure_converter_class=OwnFailureConverter)


def encodes_failures(settings, **arguments):
    return issubclass(build_data_converter(settings, **arguments).failure_converter_class, ENCODING)


def test_failures_go_through_the_codecs_once_one_of_them_encrypts():
    assert encodes_failures(settings("gzip", "encryption"))
    assert not encodes_failures(PayloadSettings(codecs=["gzip"]))
    assert not encodes_failures(settings("gzip", decode_only=["encryption"]))


def test_the_settings_have_the_last_word():
    assert not encodes_failures(settings("encryption", encode_failures=False))
    assert encodes_failures(PayloadSettings(codecs=["gzip"], encode_failures=True))


def test_failures_in_clear_are_an_error_where_encryption_is_required():
    place, message = the_problem(settings("encryption", encode_failures=False, require_encrypted=True))
    assert place == "encode_failures"
    assert "would leave in clear, which require_encrypted forbids" in message


def test_a_failure_converter_of_the_bases_own_is_kept_and_that_is_logged(caplog):
    converter = build_data_converter(settings("encryption"), base=OWN)
    assert issubclass(converter.failure_converter_class, OwnFailureConverter)
    assert not issubclass(converter.failure_converter_class, ENCODING)
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "failure messages and stack traces are left to OwnFailureConverter" in record.getMessage()
    assert "Say encode_failures = false if that is meant" in record.getMessage()


@pytest.mark.parametrize(
    "values", [{"encode_failures": False}, {"encode_failures": False, "require_encrypted": True}]
)
def test_who_says_that_it_is_meant_is_not_warned(caplog, values):
    converter = build_data_converter(settings("encryption", **values), base=OWN)
    assert issubclass(converter.failure_converter_class, OwnFailureConverter)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("values", [{"require_encrypted": True}, {"encode_failures": True}])
def test_where_encryption_is_required_it_is_an_error_until_the_settings_say_which(values):
    place, message = the_problem(settings("encryption", **values), base=OWN)
    assert place == "encode_failures"
    assert message == (
        "the base converter has a failure converter of its own; let that one encode, and set this to false"
    )


def test_a_converter_that_was_built_before_has_no_failure_converter_of_its_own(caplog):
    """What an application builds upon may itself come from empty settings, as with two of our plugins."""
    assert encodes_failures(settings("encryption"), base=build_data_converter(PayloadSettings()))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# -- what a codec is told


@pytest.mark.parametrize(
    ("storage", "stored_from"),
    [
        ({}, None),
        ({"drivers": {"memory": {"retrieve_only": True}}}, None),
        ({"drivers": {"memory": {}}}, 256 * 1024),
        ({"driver": "memory", "threshold": 1000}, 1000),
        ({"drivers": {"memory": {}}, "driver": "inline"}, None),
        ({"routes": [{"driver": "memory", "workflow_type": "Big*"}], "driver": "inline", "threshold": 0}, 0),
    ],
)
def test_a_codec_is_told_from_which_size_on_payloads_are_stored(registry, storage, stored_from):
    told = []

    class Plugin:
        @hookimpl
        def temporal_payloads_codec(self):
            def create(settings, context):
                told.append(context.stored_from)
                return Nothing()

            return CodecPlugin(api_version=1, settings=NoSettings, encodings=(), create_with=create)

    registry.register_codec("curious", Plugin())
    build_data_converter(PayloadSettings(codecs=["curious"], storage=storage), registry=registry)
    assert told == [stored_from]
