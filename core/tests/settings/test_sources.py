"""What settings were read from is known, logged once, and may be required."""

import logging

import pytest
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PayloadsPlugin,
    build_data_converter,
    open_data_converter,
)
from temporal_payloads.codec_server import create_app

SECRET = "hunter2"


@pytest.fixture
def logged(caplog):
    """The log's lines about settings, as level and text; not those that other parts write."""
    caplog.set_level(logging.INFO, logger="temporal_payloads")

    def lines():
        records = [r for r in caplog.records if r.name == "temporal_payloads" and r.module == "provenance"]
        return [(r.levelname, r.getMessage()) for r in records]

    return lines


async def opened():
    async with open_data_converter():
        pass


@pytest.mark.parametrize("build", [build_data_converter, opened, PayloadsPlugin, create_app])
async def test_whatever_builds_a_converter_logs_what_was_read(
    write_settings, set_variables, monkeypatch, tmp_path, logged, build
):
    write_settings("[profile.dev]\ncodecs = ['gzip']")
    set_variables(STORAGE__CONCURRENCY="7", STORAGE__TIMEOUT="5s")
    monkeypatch.setenv("TEMPORAL_PROFILE", "dev")
    made = build()
    if build is opened:
        await made
    [(level, text)] = logged()
    assert level == "INFO"
    assert f"File: {tmp_path}/temporal-payloads.toml (found in the working directory)" in text
    assert "profile: dev (TEMPORAL_PROFILE chooses it)" in text
    assert text.endswith(
        "variables: TEMPORAL_PAYLOADS_STORAGE__CONCURRENCY, TEMPORAL_PAYLOADS_STORAGE__TIMEOUT"
    )


def test_it_is_logged_once_however_many_converters_are_built(write_settings, set_variables, logged):
    write_settings("codecs = ['gzip']")
    for _ in range(3):
        build_data_converter()
        build_data_converter(PayloadSettings.load())
    assert len(logged()) == 1
    set_variables(STORAGE__CONCURRENCY="7")
    build_data_converter()
    assert len(logged()) == 2


def test_a_file_that_is_named_is_told_with_who_named_it(write_settings, set_variables, logged):
    file = write_settings("codecs = []", "other.toml")
    build_data_converter(PayloadSettings.load("other.toml"))
    set_variables(CONFIG_FILE="other.toml")
    build_data_converter()
    lines = [text for _, text in logged()]
    assert f"File: {file} (the file argument names it)" in lines[0]
    assert f"File: {file} (TEMPORAL_PAYLOADS_CONFIG_FILE names it)" in lines[1]


def test_settings_made_in_code_say_so(write_settings, logged):
    write_settings("codecs = ['gzip']")
    build_data_converter(PayloadSettings())
    assert logged() == [("INFO", "Settings were given in code")]


def test_no_value_is_logged(registry, set_variables, logged):
    set_variables(STORAGE__DRIVERS__MEMORY__PASSWORD=SECRET)
    build_data_converter(registry=registry)
    assert "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__MEMORY__PASSWORD" in str(logged())
    assert SECRET not in str(logged())


# -- nothing found


def test_to_find_nothing_is_a_warning_that_says_what_follows_and_what_to_do(tmp_path, logged):
    build_data_converter()
    [(level, text)] = logged()
    assert level == "WARNING"
    assert f"No settings were found: there is no temporal-payloads.toml in {tmp_path}" in text
    assert "no variable begins with TEMPORAL_PAYLOADS_" in text
    assert "Payloads stay in the workflow history" in text
    assert "TEMPORAL_PAYLOADS_CONFIG_FILE" in text


@pytest.mark.parametrize("text", ["1", "true", "Yes", "on"])
def test_the_variable_makes_it_an_error(set_variables, text):
    set_variables(REQUIRED=text)
    for build in (PayloadSettings.load, build_data_converter, PayloadsPlugin, create_app):
        with pytest.raises(ConfigurationError, match="settings are required, and none were found"):
            build()


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_the_variable_can_say_that_it_is_none(set_variables, text):
    set_variables(REQUIRED=text)
    build_data_converter()


def test_the_argument_counts_before_the_variable(set_variables):
    set_variables(REQUIRED="1")
    PayloadSettings.load(required=False)
    build_data_converter(required=False)
    PayloadsPlugin(required=False)
    set_variables(REQUIRED="0")
    for build in (PayloadSettings.load, build_data_converter, PayloadsPlugin):
        with pytest.raises(ConfigurationError, match="settings are required"):
            build(required=True)


async def test_an_open_converter_takes_the_argument_too():
    with pytest.raises(ConfigurationError, match="settings are required"):
        async with open_data_converter(required=True):
            pass


def test_another_value_of_the_variable_is_a_problem_beside_all_others(set_variables):
    set_variables(REQUIRED="perhaps", CODECS="nothing")
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter()
    assert [problem.origin for problem in caught.value.problems] == [
        "TEMPORAL_PAYLOADS_REQUIRED",
        "TEMPORAL_PAYLOADS_CODECS",
    ]


def test_a_file_or_a_variable_is_enough(write_settings, set_variables):
    set_variables(CODECS="gzip")
    assert PayloadSettings.load(required=True).codecs == ("gzip",)
    set_variables(CODECS="")
    write_settings("")
    assert PayloadSettings.load(required=True).codecs == ()


def test_settings_made_in_code_are_found(set_variables):
    set_variables(REQUIRED="1")
    build_data_converter(PayloadSettings(), required=True)


# -- variables that almost have our prefix


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TEMPORAL_PAYLOAD_CODECS", "TEMPORAL_PAYLOADS_CODECS"),
        ("TEMPORALPAYLOADS_CODECS", "TEMPORAL_PAYLOADS_CODECS"),
        ("TEMPORAL_PAYLAODS_CODECS", "TEMPORAL_PAYLOADS_CODECS"),
        ("TEMPORAL-PAYLOADS-CODECS", "TEMPORAL_PAYLOADS_CODECS"),
        ("temporal_payload_storage__driver", "TEMPORAL_PAYLOADS_STORAGE__DRIVER"),
    ],
)
def test_a_variable_that_almost_has_our_prefix_is_a_warning(monkeypatch, write_settings, logged, name, meant):
    write_settings("codecs = []")
    monkeypatch.setenv(name, SECRET)
    build_data_converter()
    [_, (level, text)] = logged()
    assert level == "WARNING"
    assert text.startswith(f"The variable {name} is not read: ")
    assert text.endswith(f" Did you mean {meant!r}?")
    assert SECRET not in text


OF_OTHERS = """
    TEMPORAL_PROFILE TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_API_KEY TEMPORAL_TLS TEMPORAL_CONFIG_FILE
    TEMPORAL_CODEC_ENDPOINT TEMPORAL_CODEC_AUTH TEMPORAL_GRPC_META_X TEMPORAL_PAYMENTS_QUEUE TEMPORAL_HOME
    TEMPORALIO_VERSION TEMPORAL_PROXY PAYLOADS
"""


@pytest.mark.parametrize("name", OF_OTHERS.split())
def test_temporals_own_variables_and_those_of_others_are_let_be(monkeypatch, write_settings, logged, name):
    write_settings("codecs = []")
    monkeypatch.setenv(name, "x")
    build_data_converter()
    assert [level for level, _ in logged()] == ["INFO"]


def test_where_settings_are_required_the_error_names_the_variable_that_was_meant(monkeypatch):
    monkeypatch.setenv("TEMPORAL_PAYLOAD_CODECS", "gzip")
    with pytest.raises(
        ConfigurationError, match="TEMPORAL_PAYLOAD_CODECS is set: did you mean 'TEMPORAL_PAYLOADS_C"
    ):
        PayloadSettings.load(required=True)
