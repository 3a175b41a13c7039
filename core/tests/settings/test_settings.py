"""Settings come from one file, its profiles, and the environment."""

import os

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter


def problems_of(load=PayloadSettings.load, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    return caught.value.problems


def the_problem(load=PayloadSettings.load, **arguments):
    (problem,) = problems_of(load, **arguments)
    return problem


# -- where settings come from


def test_without_any_configuration_the_settings_are_the_defaults():
    settings = PayloadSettings.load()
    assert settings.model_dump() == PayloadSettings().model_dump()
    assert settings.codecs == ()
    assert settings.storage.drivers == {}
    assert settings.storage.threshold == 256 * 1024
    assert settings.storage.concurrency == 32
    assert settings.storage.timeout.total_seconds() == 30


def test_the_file_in_the_working_directory_is_read(write_settings):
    write_settings('codecs = ["gzip"]')
    assert PayloadSettings.load().codecs == ("gzip",)


def test_the_variable_names_another_file(write_settings, set_variables):
    write_settings('codecs = ["gzip"]')
    other = write_settings('codecs = ["zlib"]', name="other.toml")
    set_variables(CONFIG_FILE=str(other))
    assert PayloadSettings.load().codecs == ("zlib",)


def test_the_argument_names_the_file_before_the_variable_does(write_settings, set_variables):
    set_variables(CONFIG_FILE=str(write_settings('codecs = ["zlib"]', name="other.toml")))
    assert PayloadSettings.load(write_settings('codecs = ["zstd"]', name="third.toml")).codecs == ("zstd",)


def test_a_variable_overrides_the_file_and_leaves_the_rest_of_the_table(write_settings, set_variables):
    write_settings("""
        [storage.drivers.s3]
        bucket = "from-file"
        region = "eu-west-1"
    """)
    set_variables(STORAGE__DRIVERS__S3__BUCKET="from-variable")
    options = PayloadSettings.load().storage.drivers["s3"].options
    assert options == {"bucket": "from-variable", "region": "eu-west-1"}


def test_the_constructor_reads_neither_file_nor_environment(write_settings, set_variables):
    write_settings('codecs = ["gzip"]')
    set_variables(STORAGE__THRESHOLD="1")
    settings = PayloadSettings()
    assert settings.codecs == ()
    assert settings.storage.threshold == 256 * 1024


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        PayloadSettings().codecs = ("gzip",)  # type: ignore[misc]  # the point of it


def test_an_empty_variable_counts_as_unset(write_settings, set_variables):
    write_settings('codecs = ["gzip"]')
    set_variables(CODECS="", STORAGE__THRESHOLD="", CONFIG_FILE="", PROFILE="")
    assert PayloadSettings.load().codecs == ("gzip",)


# -- the environment alone


def test_lists_in_variables_are_comma_separated_or_json(set_variables):
    set_variables(CODECS="gzip, encryption")
    assert PayloadSettings.load().codecs == ("gzip", "encryption")
    set_variables(CODECS='["gzip", "encryption"]')
    assert PayloadSettings.load().codecs == ("gzip", "encryption")


def test_a_table_may_be_given_as_json_and_refined_by_deeper_variables(set_variables):
    set_variables(
        STORAGE__DRIVERS='{"my-s3": {"type": "s3", "bucket": "a"}}',
        STORAGE__DRIVERS__MY_S3__BUCKET="b",
    )
    drivers = PayloadSettings.load().storage.drivers
    assert drivers["my-s3"].options == {"bucket": "b"}
    assert list(drivers) == ["my-s3"]


def test_routes_are_given_as_json(set_variables):
    set_variables(
        STORAGE__DRIVER="s3",
        STORAGE__ROUTES='[{"driver": "inline", "workflow_type": ["A*", "B"], "max_size": "1MiB"}]',
    )
    (route,) = PayloadSettings.load().storage.routes
    assert (route.driver, route.workflow_type, route.max_size) == ("inline", ("A*", "B"), 1024 * 1024)


def test_a_key_with_dashes_in_the_file_is_written_with_underscores_in_a_variable(
    write_settings, set_variables
):
    write_settings("""
        [storage.drivers.old-store]
        type = "redis"
    """)
    set_variables(STORAGE__DRIVERS__OLD_STORE__URL="redis://localhost")
    drivers = PayloadSettings.load().storage.drivers
    assert list(drivers) == ["old-store"]
    assert drivers["old-store"].options == {"url": "redis://localhost"}


def test_a_key_with_dashes_that_stands_in_no_file_is_given_as_json(set_variables):
    set_variables(CODECS="encryption", CODEC__ENCRYPTION__KEYS__2026_11__ENV="ORDERS_KEY")
    assert PayloadSettings.load().codec["encryption"].options["keys"] == {"2026_11": {"env": "ORDERS_KEY"}}
    set_variables(CODEC__ENCRYPTION__KEYS__2026_11__ENV="")
    set_variables(CODEC__ENCRYPTION__KEYS='{"2026-11": {"env": "ORDERS_KEY"}}')
    assert PayloadSettings.load().codec["encryption"].options["keys"] == {"2026-11": {"env": "ORDERS_KEY"}}


@pytest.mark.parametrize("text", ["false", "False", "no", "off", "0"])
@pytest.mark.parametrize("file", ["", "[storage.circuit]\nfailures = 3"])
def test_the_circuit_can_be_turned_off_by_a_variable(write_settings, set_variables, text, file):
    write_settings(file)
    set_variables(STORAGE__CIRCUIT=text)
    assert PayloadSettings.load().storage.circuit.failures == 0


def test_the_case_of_a_variable_does_not_count(monkeypatch):
    monkeypatch.setenv("temporal_payloads_storage__threshold", "7")
    assert PayloadSettings.load().storage.threshold == 7


EVERY_FIELD = {
    "CODECS": "gzip",
    "OBSERVABILITY__METRICS": "false",
    "OBSERVABILITY__SPANS": "false",
    "OBSERVABILITY__RUNTIME_METRICS": "false",
    "DECODE_ONLY": "zlib",
    "RAW_ENCODINGS": "binary/avro",
    "REQUIRE_ENCRYPTED": "true",
    "PAYLOAD_CONVERTER": "temporalio.converter:DefaultPayloadConverter",
    "ENCODE_FAILURES": "true",
    "CODEC__GZIP__TYPE": "gzip",
    "PAYLOAD_CONVERTERS__MSGSPEC__TYPE": "msgspec",
    "KEY_PROVIDERS__AWSKMS__TYPE": "awskms",
    "KEY_PROVIDERS__AWSKMS__TIMEOUT": "3s",
    "STORAGE__DRIVER": "inline",
    "STORAGE__THRESHOLD": "1KiB",
    "STORAGE__CONCURRENCY": "5",
    "STORAGE__TIMEOUT": "5s",
    "STORAGE__CACHE__MAX_SIZE": "1MiB",
    "STORAGE__CACHE__DIR": "cache",
    "STORAGE__CACHE__DIR_MAX_SIZE": "2MiB",
    "STORAGE__NAMESPACES": "orders",
    "STORAGE__DRIVERS__OLD__TYPE": "redis",
    "STORAGE__DRIVERS__OLD__DRIVER_NAME": "redis",
    "STORAGE__DRIVERS__OLD__RETRIEVE_ONLY": "true",
    "STORAGE__DRIVERS__OLD__READ_ALIASES": "older,oldest",
    "STORAGE__DRIVERS__OLD__MISSING_PAYLOAD": "retry",
    "STORAGE__DRIVERS__OLD__FALLBACK": "other",
    "STORAGE__DRIVERS__OLD__MOVED_TO": "other",
    "STORAGE__DRIVERS__OLD__OFF": "true",
    "STORAGE__INLINE_LIMIT": "2000KiB",
    "STORAGE__CIRCUIT__FAILURES": "3",
    "STORAGE__CIRCUIT__WITHIN": "1m",
    "STORAGE__CIRCUIT__OPEN_FOR": "3s",
    "STORAGE__ROUTES": '[{"driver": "inline", "namespace": "x"}]',
    "GC__GRACE": "3d",
    "GC__OWNERS": '[{"namespaces": ["orders"]}]',
    "GC__WITHOUT_NAMESPACE": "true",
    "GC__STATE": "state",
    "GC__REQUESTS_PER_SECOND": "10",
    "GC__STORE_REQUESTS_PER_SECOND": "2.5",
}


@pytest.mark.parametrize("name", EVERY_FIELD)
def test_every_setting_can_be_set_by_its_variable(set_variables, name):
    needed = {
        "CODEC__GZIP__TYPE": {"CODECS": "gzip"},
        "PAYLOAD_CONVERTERS__MSGSPEC__TYPE": {"PAYLOAD_CONVERTER": "msgspec"},
        "STORAGE__DRIVERS__OLD__FALLBACK": {"STORAGE__DRIVER": "old"},
        "STORAGE__DRIVERS__OLD__OFF": {"STORAGE__DRIVERS__OLD__MOVED_TO": "other"},
    }.get(name, {})
    set_variables(**needed)
    before = PayloadSettings.load().model_dump()
    set_variables(**{name: EVERY_FIELD[name]})
    assert PayloadSettings.load().model_dump() != before


def paths_of(model, place=()):
    """Walk the models: the places of all fields that are no tables themselves."""
    for name, field in model.model_fields.items():
        if name == "codec_server":
            continue  # tested with the codec server
        inner = getattr(field.annotation, "model_fields", None)
        values = getattr(field.annotation, "__args__", (None,))[-1]
        if inner is not None:
            yield from paths_of(field.annotation, (*place, name))
        elif hasattr(values, "model_fields"):
            yield from paths_of(values, (*place, name, "*"))
        else:
            yield (*place, name)


def test_no_field_was_forgotten_above():
    keys = {"GZIP": "*", "MSGSPEC": "*", "AWSKMS": "*", "OLD": "*"}
    tested = {".".join(keys.get(part, part.lower()) for part in name.split("__")) for name in EVERY_FIELD}
    assert {".".join(path) for path in paths_of(PayloadSettings)} == tested


# -- profiles


@pytest.fixture
def with_profiles(write_settings):
    return write_settings("""
        codecs = ["gzip"]
        [storage]
        concurrency = 1
        threshold = "1KiB"
        [profile.dev.storage]
        concurrency = 2
        [profile.Prod-EU.storage]
        concurrency = 3
    """)


def test_a_profile_is_merged_over_the_rest_of_the_file(with_profiles):
    settings = PayloadSettings.load(profile="dev")
    assert (settings.storage.concurrency, settings.storage.threshold) == (2, 1024)
    assert settings.codecs == ("gzip",)
    assert PayloadSettings.load().storage.concurrency == 1


def test_the_profile_is_chosen_by_argument_then_our_variable_then_temporals(
    with_profiles, monkeypatch, set_variables
):
    monkeypatch.setenv("TEMPORAL_PROFILE", "dev")
    assert PayloadSettings.load().storage.concurrency == 2
    set_variables(PROFILE="Prod-EU")
    assert PayloadSettings.load().storage.concurrency == 3
    assert PayloadSettings.load(profile="dev").storage.concurrency == 2


def test_variables_are_stronger_than_a_profile(with_profiles, set_variables):
    set_variables(STORAGE__CONCURRENCY="9")
    assert PayloadSettings.load(profile="dev").storage.concurrency == 9


@pytest.mark.parametrize(
    ("argument", "variables", "chosen_by"),
    [
        ("deV2", {}, "the profile argument"),
        (None, {"TEMPORAL_PAYLOADS_PROFILE": "deV2"}, "TEMPORAL_PAYLOADS_PROFILE"),
        (None, {"TEMPORAL_PROFILE": "deV2"}, "TEMPORAL_PROFILE"),
    ],
)
def test_an_unknown_profile_says_who_chose_it_and_which_there_are(
    with_profiles, monkeypatch, argument, variables, chosen_by
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    problem = the_problem(profile=argument)
    assert f"there is no profile 'deV2' ({chosen_by} asks for it)" in problem.message
    assert "the file has: Prod-EU, dev. Did you mean 'dev'?" in problem.message
    assert problem.origin == "temporal-payloads.toml"


@pytest.mark.parametrize("name", ["TEMPORAL_PROFILE", "TEMPORAL_PAYLOADS_PROFILE"])
def test_temporals_name_for_no_profile_in_particular_needs_no_table(with_profiles, monkeypatch, name):
    monkeypatch.setenv(name, "default")
    if name == "TEMPORAL_PROFILE":
        assert PayloadSettings.load().storage.concurrency == 1
    else:
        assert "there is no profile 'default'" in the_problem().message


def test_a_profile_called_default_is_taken_where_there_is_one(write_settings, monkeypatch):
    write_settings("[profile.default.storage]\nconcurrency = 7")
    monkeypatch.setenv("TEMPORAL_PROFILE", "default")
    assert PayloadSettings.load().storage.concurrency == 7


def test_temporals_own_profile_variable_may_be_about_something_else(write_settings, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    assert PayloadSettings.load().codecs == ()
    write_settings('codecs = ["gzip"]')
    assert PayloadSettings.load().codecs == ("gzip",)


def test_our_profile_without_a_file_is_an_error():
    assert "there is no temporal-payloads.toml" in the_problem(profile="dev").message


def test_a_profile_is_no_table_within_a_profile(write_settings):
    write_settings("[profile.dev.profile.other]\ncodecs = []")
    problem = the_problem(profile="dev")
    assert problem.place == "profile"
    assert "there is no such setting" in problem.message


@pytest.mark.parametrize("text", ["profile = 3", "[profile]\ndev = 3", "[[profile]]\na = 1"])
def test_profiles_must_be_tables(write_settings, text):
    write_settings(text)
    problem = the_problem()
    assert (problem.place, problem.message) == ("profile", "must be a table of tables, [profile.NAME]")


def test_the_origin_of_a_wrong_value_in_a_profile_names_the_profile(write_settings):
    write_settings("""
        [profile.dev.storage]
        concurrency = 0
    """)
    problem = the_problem(profile="dev")
    assert problem.place == "storage.concurrency"
    assert problem.origin == "temporal-payloads.toml, profile 'dev'"


# -- the file itself


def test_a_file_that_is_named_must_be_there(tmp_path, set_variables):
    problem = the_problem(file=tmp_path / "none.toml")
    assert problem.origin == str(tmp_path / "none.toml")
    assert "there is no such file (the file argument names it)" in problem.message
    set_variables(CONFIG_FILE="none.toml")
    problem = the_problem()
    assert "(TEMPORAL_PAYLOADS_CONFIG_FILE names it)" in problem.message
    assert str(tmp_path) in problem.message


def test_a_directory_is_no_file(tmp_path):
    assert "is a directory, not a TOML file" in the_problem(file=tmp_path).message
    (tmp_path / "temporal-payloads.toml").mkdir()
    assert "is a directory, not a TOML file" in the_problem().message


def test_invalid_toml_is_told_with_line_and_column(write_settings):
    write_settings('codecs = ["gzip"]\nstorage = = 3\n')
    problem = the_problem()
    assert problem.origin == "temporal-payloads.toml"
    assert "is not valid TOML" in problem.message
    assert "line 2, column 11" in problem.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("\ufeffcodecs = []", "begins with a byte order mark (BOM); save it as UTF-8 without one"),
        ("encode_failures = True", "TOML writes true and false in small letters"),
        ("x = [1, False]", "TOML writes true and false in small letters"),
        ("codecs = [\n  'gzip',\n  None,\n]", "TOML has no such value; leave the setting out"),
        ("storage.driver = None", "TOML has no such value; leave the setting out"),
        ("storage.driver = null", "TOML has no such value; leave the setting out"),
        ("[storage]\ndriver = 's3'\n[storage.driver.s3]", "a driver's table is [storage.drivers.NAME]"),
        ("codecs = ['gzip']\n[codecs.gzip]\nlevel = 1", "a codec's table is [codec.NAME]"),
        (
            "payload_converter = 'msgspec'\n[payload_converter.msgspec]",
            "payload_converter is the name of a payload converter; its table is [payload_converters.NAME]",
        ),
    ],
)
def test_toml_that_is_nearly_right_gets_a_hint(write_settings, text, hint):
    write_settings(text)
    message = the_problem().message
    assert "is not valid TOML" in message
    assert hint in message


def test_other_toml_gets_no_hint(write_settings):
    write_settings("storage.driver = 'None' x")
    assert the_problem().message.endswith("(at line 1, column 25)")


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "temporal-payloads.toml").write_bytes(b'codecs = ["\xff"]')
    assert "is not UTF-8 text (byte 11)" in the_problem().message


def test_a_file_that_cannot_be_read_is_told(write_settings, monkeypatch):
    file = write_settings("")
    file.chmod(0)
    if os.access(file, os.R_OK):  # the superuser reads everything

        def refuse(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert "cannot be read: Permission denied" in the_problem().message


def test_a_file_that_cannot_be_read_is_the_only_problem_when_building(write_settings, set_variables):
    """What the file would have said is unknown, so nothing that follows from its absence is reported."""
    write_settings("codecs = [")
    set_variables(STORAGE__DRIVER="s3", CODEC__GZIP__LEVEL="1")
    assert "is not valid TOML" in the_problem(build_data_converter).message


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000,
        "x = " + "{a=" * 5000,
        ".".join("a" * 2000) + " = 1",
        f"storage.threshold = {'9' * 5000}",
        "storage.timeout = inf",
        "storage.timeout = nan",
        "storage.threshold = inf",
        f"storage.timeout = '{'9' * 400}d'",
        f"storage.timeout = {'9' * 40}",
        f"storage.concurrency = {'9' * 40}.0",
        "\x00",
        "storage.timeout = 1979-05-27",
    ],
)
def test_a_hostile_file_is_a_configuration_error_like_any_other(write_settings, text):
    write_settings(text)
    assert len(problems_of()) == 1


def test_a_file_name_with_a_null_byte_is_a_configuration_error():
    assert "cannot be read" in the_problem(file="a\0b").message
