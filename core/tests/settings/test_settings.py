"""Settings come from one file and the environment; what is wrong is told at once, with place and origin."""

import os

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, Problem, build_data_converter


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


def test_the_case_of_a_variable_does_not_count(monkeypatch):
    monkeypatch.setenv("temporal_payloads_storage__threshold", "7")
    assert PayloadSettings.load().storage.threshold == 7


EVERY_FIELD = {
    "CODECS": "gzip",
    "PAYLOAD_CONVERTER": "temporalio.converter:DefaultPayloadConverter",
    "ENCODE_FAILURES": "true",
    "CODEC__GZIP__TYPE": "gzip",
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
    "STORAGE__ROUTES": '[{"driver": "inline", "namespace": "x"}]',
}


@pytest.mark.parametrize("name", EVERY_FIELD)
def test_every_setting_can_be_set_by_its_variable(set_variables, name):
    needed = {"CODEC__GZIP__TYPE": {"CODECS": "gzip"}}.get(name, {})
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
    keys = {"GZIP": "*", "OLD": "*"}
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
        ("storage.driver = None", "TOML has no such value; leave the setting out"),
        ("storage.driver = null", "TOML has no such value; leave the setting out"),
        ("[storage]\ndriver = 's3'\n[storage.driver.s3]", "a driver's table is [storage.drivers.NAME]"),
        ("codecs = ['gzip']\n[codecs.gzip]\nlevel = 1", "a codec's table is [codec.NAME]"),
    ],
)
def test_toml_that_is_nearly_right_gets_a_hint(write_settings, text, hint):
    write_settings(text)
    message = the_problem().message
    assert "is not valid TOML" in message
    assert hint in message


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


# -- wrong values


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "storage.threshold = -1",
            "storage.threshold",
            "is not a size; write a number of bytes, zero or more",
        ),
        ("storage.threshold = '-5KiB'", "storage.threshold", "is not a size"),
        ("storage.threshold = '256 parsecs'", "storage.threshold", "is not a size: there is no unit parsecs"),
        ("storage.threshold = []", "storage.threshold", "is not a size"),
        ("storage.timeout = '3 fortnights'", "storage.timeout", "is not a duration: '3 fortnights'"),
        ("storage.timeout = true", "storage.timeout", "is not a duration"),
        ("storage.timeout = 0", "storage.timeout", "greater than 0 seconds"),
        ("storage.timeout = '-1s'", "storage.timeout", "greater than 0 seconds"),
        ("storage.concurrency = 0", "storage.concurrency", "should be greater than or equal to 1"),
        ("storage.concurrency = 'many'", "storage.concurrency", "should be a valid integer"),
        ("encode_failures = 'perhaps'", "encode_failures", "should be a valid boolean"),
        ("codecs = 3", "codecs", "must be a list"),
        ("codecs = [3]", "codecs[0]", "should be a valid string"),
        ("codec = 3", "codec", "must be a table"),
        ("storage = 3", "storage", "must be a table"),
        ("storage.drivers = 3", "storage.drivers", "must be a table"),
        ("storage.drivers = [1]", "storage.drivers", "must be a table"),
        ("storage.drivers.s3 = 3", "storage.drivers.s3", "must be a table"),
        ("storage.cache = 3", "storage.cache", "must be a table"),
        ("storage.routes = 3", "storage.routes", "must be a list"),
        ("storage.routes = [3]", "storage.routes[0]", "must be a table"),
        (
            "[[storage.routes]]\nnamespace = 'a'",
            "storage.routes[0].driver",
            "is required; set it in the file",
        ),
        ("storage.drivers.a.driver_name = ''", "storage.drivers.a.driver_name", "at least 1 character"),
        ("storage.drivers.a.retrieve_only = 'x'", "storage.drivers.a.retrieve_only", "valid boolean"),
        ("codec_server = 3", "codec_server", "must be a table"),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_origin(write_settings, text, place, message):
    write_settings(text)
    problem = the_problem()
    assert problem.place == place
    assert message in problem.message
    assert problem.origin == "temporal-payloads.toml"


def test_a_required_value_in_a_list_is_not_said_to_have_a_variable(write_settings):
    write_settings("[[storage.routes]]\nnamespace = 'a'")
    assert "TEMPORAL_PAYLOADS" not in str(the_problem())


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("STORAGE__CONCURRENCY", "many", "should be a valid integer"),
        ("STORAGE__THRESHOLD", "256 parsecs", "there is no unit parsecs"),
        ("STORAGE__TIMEOUT", "soon", "is not a duration: 'soon'"),
        ("ENCODE_FAILURES", "perhaps", "should be a valid boolean"),
        ("STORAGE__ROUTES", "inline", "must be a list"),
        ("STORAGE__ROUTES", "[{", "must be a list"),
        ("STORAGE", "s3", "must be a table"),
        ("STORAGE__DRIVERS__S3", "bucket", "must be a table; in a variable's name, each two underscores"),
        ("CODECS", '{"gzip": 1}', "must be a list"),
        ("STORAGE__ROUTES", "[" * 5000, "must be a list"),
        ("STORAGE__ROUTES", "[" * 40 + "]" * 40, "must be a list"),
    ],
)
def test_a_wrong_value_in_a_variable_is_told_with_the_variables_name(set_variables, variable, value, message):
    set_variables(**{variable: value})
    problem = the_problem()
    assert problem.origin == f"TEMPORAL_PAYLOADS_{variable}"
    assert problem.place == variable.lower().replace("__", ".")
    assert message in problem.message


def test_a_value_that_is_also_a_table_is_told(set_variables):
    set_variables(STORAGE__DRIVER="s3", STORAGE__DRIVER__BUCKET="b")
    problem = the_problem()
    assert problem.origin == "TEMPORAL_PAYLOADS_STORAGE__DRIVER__BUCKET"
    assert "is set as a value by TEMPORAL_PAYLOADS_STORAGE__DRIVER" in problem.message


def test_a_variable_thousands_of_tables_deep_is_told(set_variables):
    set_variables(**{"__".join("A" * 3000): "1"})
    assert "more than 32 deep" in the_problem().message


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, variables are text")
@pytest.mark.parametrize(
    ("name", "value"), [(b"CODECS", b"\xff"), (b"\xff", b"1"), (b"STORAGE__DRIVERS__\xff__TYPE", b"s3")]
)
def test_a_variable_that_is_not_utf8_is_told(monkeypatch, name, value):
    monkeypatch.setitem(os.environb, b"TEMPORAL_PAYLOADS_" + name, value)
    assert the_problem().message == "is not UTF-8 text"


@pytest.mark.parametrize("table", ['{"\\ud800": 1}', '{"a": {"\\ud800": 1}}'])
def test_json_that_holds_half_characters_is_told(set_variables, table):
    set_variables(STORAGE__DRIVERS=table)
    assert problems_of()


def test_a_subclass_that_wants_more_than_defaults_gets_an_error_and_no_endless_loop():
    class Mine(PayloadSettings):
        needed: str

    problem = the_problem(Mine.load)
    assert problem.place == "needed"
    assert "TEMPORAL_PAYLOADS_NEEDED" in problem.message


# -- misspelt keys and variables


@pytest.mark.parametrize(
    ("text", "place", "near"),
    [
        ("codec_s = []", "codec_s", "codecs"),
        ("storge.driver = 's3'", "storge", "storage"),
        ("storage.treshold = 1", "storage.treshold", "threshold"),
        ("storage.cache.maxsize = 1", "storage.cache.maxsize", "max_size"),
        ("[[storage.routes]]\ndriver='inline'\nnamspace='x'", "storage.routes[0].namspace", "namespace"),
    ],
)
def test_a_misspelt_key_is_an_error_with_the_near_match(write_settings, text, place, near):
    write_settings(text)
    problem = the_problem()
    assert problem.place == place
    assert problem.message == f"there is no such setting. Did you mean {near!r}?"


def test_a_key_that_is_near_to_nothing_gets_no_guess(write_settings):
    write_settings("zzz = 1")
    assert the_problem().message == "there is no such setting."


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("PAYLOAD_CONVERTR", "PAYLOAD_CONVERTER"),
        ("STORAGE_DRIVER", "STORAGE__DRIVER"),
        ("STORAGE__DRIVR", "STORAGE__DRIVER"),
        ("STORAGE_CACHE__MAX_SIZE", "STORAGE__CACHE"),
        ("STORAGE__CACHE_MAX_SIZE", "STORAGE__CACHE__MAX_SIZE"),
        ("STORAGE_DRIVERS__S3__BUCKET", "STORAGE__DRIVERS"),
        ("CONFIG_FIL", "CONFIG_FILE"),
        ("PROFIL", "PROFILE"),
        ("REQUIRE", "REQUIRED"),
        ("_STORAGE__DRIVER", "STORAGE"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_the_near_match(set_variables, variable, near):
    set_variables(**{variable: "1"})
    problem = the_problem()
    assert problem.origin == f"TEMPORAL_PAYLOADS_{variable}"
    assert problem.message == f"there is no such setting. Did you mean 'TEMPORAL_PAYLOADS_{near}'?"


def test_a_variable_that_is_near_to_nothing_gets_no_guess(set_variables):
    set_variables(ZZZ="1")
    assert the_problem().message == "there is no such setting."


def test_a_variable_of_ours_in_small_letters_is_not_silently_ignored(monkeypatch):
    monkeypatch.setenv("temporal_payloads_config_file", "x.toml")
    assert "Did you mean 'TEMPORAL_PAYLOADS_CONFIG_FILE'?" in the_problem().message


# -- tables under a name that is close to theirs


@pytest.mark.parametrize(
    ("text", "place", "meant"),
    [
        ("[storage.driver.s3]\nbucket = 'b'", "storage.driver.s3", "[storage.drivers.s3]"),
        ("storage.driver.s3 = {}", "storage.driver.s3", "[storage.drivers.s3]"),
        ("[storage.driver]\nbucket = 'b'", "storage.driver.bucket", "[storage.drivers.bucket]"),
        ("[codecs.gzip]\nlevel = 1", "codecs.gzip", "[codec.gzip]"),
    ],
)
def test_a_table_in_the_file_is_told_where_it_belongs(write_settings, text, place, meant):
    write_settings(text)
    problem = the_problem()
    assert (problem.place, problem.origin) == (place, "temporal-payloads.toml")
    assert problem.message.startswith("must be ")
    assert problem.message.endswith(f" Did you mean {meant}?")


@pytest.mark.parametrize(
    ("variable", "value", "meant"),
    [
        ("STORAGE__DRIVER__S3__BUCKET", "b", "STORAGE__DRIVERS__S3__BUCKET"),
        ("STORAGE__DRIVER", '{"s3": {"bucket": "b"}}', "STORAGE__DRIVERS"),
        ("CODECS__GZIP__LEVEL", "1", "CODEC__GZIP__LEVEL"),
    ],
)
@pytest.mark.parametrize(
    "file", ["", "storage.driver = 's3'\ncodecs = ['gzip']\nstorage.drivers.s3.bucket = 'payloads'"]
)
def test_a_table_in_a_variable_is_told_where_it_belongs(
    write_settings, set_variables, variable, value, meant, file
):
    write_settings(file)
    set_variables(**{variable: value})
    problem = the_problem(build_data_converter)
    assert problem.origin == f"TEMPORAL_PAYLOADS_{variable}"
    assert problem.place == variable.lower().replace("__", ".")
    assert problem.message.endswith(f" Did you mean 'TEMPORAL_PAYLOADS_{meant}'?")


def test_the_name_of_the_default_driver_beside_is_no_other_mistake(set_variables):
    set_variables(
        STORAGE__DRIVER="s3", STORAGE__DRIVER__S3__BUCKET="b", CODECS="gzip", CODECS__GZIP__LEVEL="1"
    )
    codec, driver = problems_of(build_data_converter)
    assert driver.origin == "TEMPORAL_PAYLOADS_STORAGE__DRIVER__S3__BUCKET"
    assert "storage.driver is set as a value by TEMPORAL_PAYLOADS_STORAGE__DRIVER, so it" in driver.message
    assert driver.message.endswith("Did you mean 'TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__BUCKET'?")
    assert codec.origin == "TEMPORAL_PAYLOADS_CODECS__GZIP__LEVEL"
    assert "codecs is set as a value by TEMPORAL_PAYLOADS_CODECS, so it" in codec.message
    assert codec.message.endswith("Did you mean 'TEMPORAL_PAYLOADS_CODEC__GZIP__LEVEL'?")


def test_a_variable_does_not_hide_a_mistaken_table_of_the_file(write_settings, set_variables):
    write_settings("[storage.driver.s3]\nbucket = 'b'")
    set_variables(STORAGE__DRIVER="s3")
    assert the_problem(build_data_converter).place == "storage.driver.s3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("codec = ['gzip']", "must be a table; the list of codecs is `codecs`"),
        ("storage.drivers = 's3'", "must be a table; the name of the default driver is `storage.driver`"),
    ],
)
def test_a_value_where_tables_belong_is_told_what_was_meant(write_settings, text, message):
    write_settings(text)
    assert the_problem().message == message


# -- settings that contradict each other


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("codecs = ['gzip', 'zlib', 'gzip']", "codecs", "the codec 'gzip' is listed 2 times; list it once"),
        ("[codec.gzip]\nlevel = 1", "codec.gzip", "no entry of codecs uses this table. Add 'gzip' to codecs"),
        (
            "codecs = ['gzip']\n[codec.gzib]\nlevel = 1",
            "codec.gzib",
            "no entry of codecs uses this table. Did you mean 'gzip'?",
        ),
        (
            "[storage.drivers.a]\n[storage.drivers.b]",
            "storage.driver",
            "of several drivers (a, b) none is the default: name one, or 'inline'",
        ),
        (
            "storage.drivers.a = {}\n[[storage.routes]]\ndriver = 'b'\nnamespace = 'x'",
            "storage.driver",
            "of several drivers (a, b) none is the default",
        ),
        (
            "[storage.drivers.inline]\ntype = 's3'",
            "storage.drivers.inline",
            "'inline' means the history itself",
        ),
        (
            "storage.driver = 'a'\nstorage.drivers.a.retrieve_only = true",
            "storage.driver",
            "the driver 'a' is retrieve_only, so nothing new can go to it",
        ),
        (
            "storage = {driver = 'inline', drivers.a.retrieve_only = true, routes = [{driver = 'a'}]}",
            "storage.routes[0].driver",
            "the driver 'a' is retrieve_only",
        ),
    ],
)
def test_a_contradiction_is_told_with_its_place(write_settings, text, place, message):
    write_settings(text)
    problem = the_problem()
    assert problem.place == place
    assert message in problem.message
    assert problem.origin == "temporal-payloads.toml"


ROUTE = "[[storage.routes]]\ndriver = 'inline'\n"


@pytest.mark.parametrize(
    ("routes", "place", "why"),
    [
        (["", "namespace = 'a'"], 1, "storage.routes[0] takes it all"),
        (["namespace = '*'", "namespace = 'a'"], 1, "storage.routes[0] takes it all"),
        (["namespace = ['a', 'b']", "namespace = 'b'"], 1, "storage.routes[0] takes it all"),
        (["min_size = '1MiB'", "min_size = '2MiB'"], 1, "storage.routes[0] takes it all"),
        (["max_size = '2MiB'", "max_size = '1MiB'"], 1, "storage.routes[0] takes it all"),
        (["namespace = 'x'", "namespace = 'a'", "namespace = 'a'"], 2, "storage.routes[1] takes it all"),
        (["min_size = '2MiB'\nmax_size = '1MiB'"], 0, "its max_size is below its min_size"),
        (["max_size = '100KiB'"], 0, "payloads below storage.threshold stay in the history anyway"),
        (
            ["workflow_type = 'A'\nactivity_type = 'B'"],
            0,
            "belongs to a workflow or to an activity, never to both",
        ),
    ],
)
def test_a_route_that_can_never_match_is_told(write_settings, routes, place, why):
    write_settings("storage.driver = 'inline'\n" + "".join(f"{ROUTE}{route}\n" for route in routes))
    problem = the_problem()
    assert problem.place == f"storage.routes[{place}]"
    assert "can never match" in problem.message
    assert why in problem.message


@pytest.mark.parametrize(
    "routes",
    [
        ["namespace = 'a'", "namespace = ['a', 'b']"],
        ["namespace = 'a'\nmin_size = '1MiB'", "namespace = 'a'"],
        ["namespace = 'a'", "workflow_type = 'a'"],
        ["min_size = '2MiB'", "min_size = '1MiB'"],
        ["max_size = '256KiB'", ""],
        ["workflow_type = '*'\nactivity_type = 'B'"],
    ],
)
def test_routes_that_can_match_are_let_through(write_settings, routes):
    write_settings("storage.driver = 'inline'\n" + "".join(f"{ROUTE}{route}\n" for route in routes))
    assert len(PayloadSettings.load().storage.routes) == len(routes)


def test_a_route_that_takes_all_is_as_good_as_a_default(write_settings):
    write_settings("[storage.drivers.a]\n[storage.drivers.b]\n[[storage.routes]]\ndriver = 'a'")
    assert PayloadSettings.load().storage.driver is None


# -- all problems at once


def test_all_problems_of_file_and_environment_are_told_at_once(write_settings, set_variables):
    write_settings("""
        codecs = ["gzip", "gzip"]
        colour = "red"
        [storage]
        threshold = "256 parsecs"
        concurrency = 0
        [[storage.routes]]
        driver = "inline"
        [[storage.routes]]
        driver = "inline"
        namespace = "a"
    """)
    set_variables(STORAGE__TIMEOUT="soon", STORAGE_DRIVER="s3")
    found = {(problem.place, problem.origin) for problem in problems_of()}
    file = "temporal-payloads.toml"
    assert found == {
        ("codecs", file),
        ("colour", file),
        ("storage.threshold", file),
        ("storage.concurrency", file),
        ("storage.timeout", "TEMPORAL_PAYLOADS_STORAGE__TIMEOUT"),
        ("storage_driver", "TEMPORAL_PAYLOADS_STORAGE_DRIVER"),
    }


def test_the_message_counts_the_problems_and_gives_each_its_line(write_settings):
    write_settings("a = 1\nb = 2")
    with pytest.raises(ConfigurationError) as caught:
        PayloadSettings.load()
    assert str(caught.value).splitlines() == [
        "2 problems in the temporal-payloads settings:",
        "  - a (temporal-payloads.toml): there is no such setting.",
        "  - b (temporal-payloads.toml): there is no such setting.",
    ]


def test_a_wrong_value_in_one_route_does_not_hide_what_is_wrong_with_another(write_settings):
    write_settings("""
        [[storage.routes]]
        driver = "s3"
        min_size = "256 parsecs"
        [[storage.routes]]
        driver = "nobody"
        namspace = "x"
    """)
    found = {problem.place for problem in problems_of(build_data_converter)}
    assert found >= {"storage.routes[0].min_size", "storage.routes[1].driver", "storage.routes[1].namspace"}


def test_what_only_follows_from_a_wrong_value_is_not_told(write_settings):
    write_settings("""
        storage.drivers.new = {}
        storage.drivers.old.retrieve_only = "perhaps"
    """)
    assert the_problem().place == "storage.drivers.old.retrieve_only"


def test_problems_are_plain_values():
    problem = Problem("is wrong", "storage.driver", "x.toml")
    assert str(problem) == "storage.driver (x.toml): is wrong"
    assert str(Problem("is wrong", "storage.driver")) == "storage.driver: is wrong"
    assert str(Problem("is wrong", origin="x.toml")) == "x.toml: is wrong"
    assert str(Problem("is wrong")) == "is wrong"
