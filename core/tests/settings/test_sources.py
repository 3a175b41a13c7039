"""What settings were read from is known, logged once, and may be required."""

import logging
import os
import sys
from types import SimpleNamespace

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
        return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "temporal_payloads"]

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
    assert (
        f"is not read: variables of temporal-payloads begin with TEMPORAL_PAYLOADS_. Did you mean {meant!r}?"
        in text
    )
    assert text.upper().startswith(name.upper())
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


# -- the file that nobody named

posix = pytest.mark.skipif(sys.platform == "win32", reason="a mode says nothing there")


def the_refusal():
    with pytest.raises(ConfigurationError) as caught:
        PayloadSettings.load()
    [problem] = caught.value.problems
    return problem.message


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A working directory whose mode a test can change; pytest's own stays as it is."""
    directory = tmp_path / "shared"
    directory.mkdir(0o755)
    file = directory / "temporal-payloads.toml"
    file.write_text("codecs = ['gzip']")
    file.chmod(0o644)
    monkeypatch.chdir(directory)
    return file


@posix
def test_a_file_that_nobody_named_is_refused_if_others_can_write_it(shared, set_variables):
    assert PayloadSettings.load().codecs == ("gzip",)
    shared.chmod(0o646)
    message = the_refusal()
    assert "is not read, because others can write it (mode 0646)" in message
    assert "chmod go-w" in message
    assert f"TEMPORAL_PAYLOADS_CONFIG_FILE={shared}" in message
    set_variables(CONFIG_FILE=str(shared))
    assert PayloadSettings.load().codecs == ("gzip",)
    assert PayloadSettings.load(shared).codecs == ("gzip",)


@posix
def test_it_is_refused_if_others_can_put_another_one_in_its_place(shared):
    shared.parent.chmod(0o777)
    assert "others can write in its directory (mode 0777)" in the_refusal()
    shared.parent.chmod(0o1777)  # as of /tmp: others can add files, but not replace this one
    assert PayloadSettings.load().codecs == ("gzip",)


class Status:
    """What `stat` tells of a file, with another owner or group."""

    def __init__(self, status, **changes):
        self.__dict__.update(
            {name: getattr(status, name) for name in ("st_mode", "st_uid", "st_gid")}, **changes
        )


@pytest.fixture
def belongs(monkeypatch, shared):
    """Let one of `lstat` and `stat` tell another owner or group; only root could really give files away."""

    def to(path, calls=("stat", "lstat"), **changes):
        for call in calls:
            real = getattr(type(path), call)

            def told(self, real=real, **arguments):
                status = real(self, **arguments)
                return Status(status, **changes) if self.absolute() == path else status

            monkeypatch.setattr(type(path), call, told)

    return to


@posix
@pytest.mark.parametrize("calls", [("stat", "lstat"), ("stat",), ("lstat",)])
def test_it_is_refused_if_it_or_a_link_to_it_belongs_to_somebody_else(shared, belongs, calls):
    belongs(shared, calls, st_uid=4242)
    assert "it belongs to another user (id 4242)" in the_refusal()


@posix
def test_it_is_refused_if_its_directory_belongs_to_somebody_else(shared, belongs):
    belongs(shared.parent, st_uid=4242)
    assert "its directory belongs to another user (id 4242)" in the_refusal()


@posix
def test_what_root_owns_is_trusted(shared, belongs):
    belongs(shared, st_uid=0)
    assert PayloadSettings.load().codecs == ("gzip",)


@posix
def test_a_private_group_may_write_it_and_a_shared_one_may_not(shared, belongs, monkeypatch):
    """Where every user has a group of the same name, files are writable by the group by default."""
    shared.chmod(0o664)
    owner = shared.stat().st_uid
    user = SimpleNamespace(pw_name="ann", pw_gid=1000)
    groups = {
        1000: SimpleNamespace(gr_name="ann", gr_mem=[]),
        1001: SimpleNamespace(gr_name="staff", gr_mem=[]),
        1002: SimpleNamespace(gr_name="ann", gr_mem=["eve"]),
    }
    monkeypatch.setattr("pwd.getpwuid", {owner: user}.__getitem__)
    monkeypatch.setattr("grp.getgrgid", groups.__getitem__)
    belongs(shared, st_gid=1000)
    assert PayloadSettings.load().codecs == ("gzip",)
    belongs(shared, st_gid=1001)
    assert "others can write it (mode 0664)" in the_refusal()
    user.pw_gid = 1002
    belongs(shared, st_gid=1002)
    assert "others can write it" in the_refusal()


@posix
def test_in_a_container_without_user_names_the_group_of_the_owners_number_is_private(
    shared, belongs, monkeypatch
):
    shared.chmod(0o664)

    def nobody(number):
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    belongs(shared, st_gid=shared.stat().st_uid)
    assert PayloadSettings.load().codecs == ("gzip",)
    belongs(shared, st_gid=shared.stat().st_uid + 1)
    assert "others can write it" in the_refusal()


@posix
def test_where_a_volume_is_mounted_read_only_the_mode_of_its_directory_says_nothing(shared, monkeypatch):
    shared.parent.chmod(0o777)
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert PayloadSettings.load().codecs == ("gzip",)
