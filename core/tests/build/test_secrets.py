"""No secret is shown: not in settings, not in errors, not in converters."""

import logging
import traceback

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter
from temporal_payloads._build.assembly import assemble

SECRET = "Tr0ub4dor&3"


def everything_shown(error):
    """What a traceback, a log record, or a person sees of an error and its causes."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(getattr(error, "problems", ""))


@pytest.fixture
def settings(write_settings):
    write_settings(f"""
        [storage.drivers.memory]
        shelf = "s"
        password = "{SECRET}"
    """)
    return PayloadSettings.load()


def test_settings_show_which_options_are_set_and_not_what_they_are(settings):
    for shown in (repr(settings), str(settings), f"{settings.storage.drivers}", repr(settings.storage)):
        assert SECRET not in shown
        assert "password=**********" in shown


def test_settings_made_in_code_show_no_secret_either():
    settings = PayloadSettings(
        codecs=["x"], codec={"x": {"key": SECRET}}, storage={"drivers": {"m": {"password": SECRET}}}
    )
    assert SECRET not in repr(settings)


def test_cores_own_values_are_shown(settings):
    assert "threshold=262144" in repr(settings)
    assert "retrieve_only=False" in repr(settings)


def test_a_converter_shows_no_secret(settings, registry):
    converter = build_data_converter(settings, registry=registry)
    assert SECRET not in repr(converter)
    assert "example.memory" not in repr(settings)


@pytest.mark.parametrize(
    "table",
    [
        f'passwrd = "{SECRET}"',
        f'password = ["{SECRET}"]',
        f'password = {{a = "{SECRET}"}}',
        f'shelf = ["{SECRET}"]',
        f'max_payload_size = "{SECRET}"',
        f'type = "memory"\nretrieve_only = "{SECRET}"',
        f'read_aliases = {{a = "{SECRET}"}}',
    ],
)
def test_an_error_about_a_value_does_not_show_it(write_settings, registry, table):
    write_settings(f"[storage.drivers.memory]\n{table}")
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(registry=registry)
    assert SECRET not in everything_shown(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f'[storage.drivers.memory]\npassword = "{SECRET}',
        f"[storage.drivers.memory]\npassword = {SECRET}",
        f'[storage.drivers.memory]\npassword = "{SECRET}"\npassword = "{SECRET}"',
        f'storage.drivers.memory = "{SECRET}"',
        f'storage.drivers = "{SECRET}"',
        f'storage = "{SECRET}"',
        f'codec = "{SECRET}"',
        f'[[storage.routes]]\npassword = "{SECRET}"',
    ],
)
def test_an_error_about_the_file_does_not_show_what_stands_in_it(write_settings, text):
    write_settings(text)
    with pytest.raises(ConfigurationError) as caught:
        PayloadSettings.load()
    assert SECRET not in everything_shown(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "STORAGE__DRIVERS__MEMORY__PASSWRD",
        "STORAGE__DRIVERS__MEMORY__MAX_PAYLOAD_SIZE",
        "STORAGE_DRIVERS__MEMORY__PASSWORD",
        "STORAGE__DRIVERS__MEMORY",
        "STORAGE__DRIVERS__MEMORY__PASSWORD__VALUE",
        "STORAGE",
        "PASSWORD",
    ],
)
def test_an_error_about_a_variable_does_not_show_its_value(set_variables, registry, name):
    set_variables(**{name: SECRET})
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(registry=registry)
    assert SECRET not in everything_shown(caught.value)


def test_a_secret_that_looks_like_json_but_is_none_is_taken_as_it_is(set_variables, registry):
    set_variables(STORAGE__DRIVERS__MEMORY__PASSWORD="{" + SECRET)
    build_data_converter(registry=registry)


def test_building_logs_no_secret(settings, registry, caplog):
    with caplog.at_level(logging.DEBUG):
        build_data_converter(settings, registry=registry)
    assert SECRET not in caplog.text


def test_two_stores_behind_one_secret_address_do_not_share_a_cache(registry, memory):
    """A password is no part of what tells stores apart, for hashes can be guessed; the address is."""

    def fingerprint(**options):
        drivers = assemble(
            PayloadSettings(storage={"drivers": {"memory": options}}), registry=registry
        ).drivers
        return drivers["memory"]._identity.fingerprint

    at_a = fingerprint(password="redis://user:one@a:6379/0")
    assert at_a == fingerprint(password="redis://user:two@a:6379/0")
    assert at_a != fingerprint(password="redis://user:one@b:6379/0")
    assert at_a != fingerprint(password="redis://user:one@a:6379/1")
