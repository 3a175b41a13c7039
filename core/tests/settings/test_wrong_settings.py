"""A wrong value, key or table is told with its place, its origin, and what was meant."""

import os

import pytest
from pydantic import BaseModel, ByteSize, ValidationError
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter
from temporal_payloads.plugin import explain_settings_error


def problems_of(load=PayloadSettings.load, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    return caught.value.problems


def the_problem(load=PayloadSettings.load, **arguments):
    (problem,) = problems_of(load, **arguments)
    return problem


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
        ("storage.timeout = 0", "storage.timeout", "longer than 0 seconds"),
        ("storage.timeout = '-1s'", "storage.timeout", "longer than 0 seconds"),
        ("storage.concurrency = 0", "storage.concurrency", "should be greater than or equal to 1"),
        ("storage.concurrency = 'many'", "storage.concurrency", "should be a valid integer"),
        ("encode_failures = 'perhaps'", "encode_failures", "should be a valid boolean"),
        ("codecs = 3", "codecs", "must be a list"),
        ("codecs = [3]", "codecs[0]", "should be a valid string"),
        ("codec = 3", "codec", "must be a table"),
        ("payload_converter = 3", "payload_converter", "should be a valid string"),
        ("payload_converters.msgspec = 3", "payload_converters.msgspec", "must be a table"),
        ("storage = 3", "storage", "must be a table"),
        ("storage.drivers = 3", "storage.drivers", "must be a table"),
        ("storage.drivers = [1]", "storage.drivers", "must be a table"),
        ("storage.drivers.s3 = 3", "storage.drivers.s3", "must be a table"),
        ("storage.cache = 3", "storage.cache", "must be a table"),
        ("storage.circuit = true", "storage.circuit", "must be a table, or false"),
        ("storage.routes = 3", "storage.routes", "must be a list"),
        ("gc.grace = '59m'", "gc.grace", "must be 1h or more"),
        ("gc.grace = -1", "gc.grace", "longer than 0 seconds"),
        ("gc.owners = 3", "gc.owners", "must be a list"),
        ("[[gc.owners]]\naddress = 'a:1'", "gc.owners[0].namespaces", "is required"),
        ("gc.owners = [{namespaces = []}]", "gc.owners[0].namespaces", "at least 1 item"),
        ("gc.requests_per_second = 0", "gc.requests_per_second", "should be greater than 0"),
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
        ("STORAGE__TIMEOUT", "Tr0ub4dor&3", "is not a duration; write"),
        ("ENCODE_FAILURES", "perhaps", "should be a valid boolean"),
        ("STORAGE__ROUTES", "inline", "must be a list"),
        ("STORAGE__ROUTES", "[{", "must be a list"),
        ("STORAGE", "s3", "must be a table"),
        ("STORAGE__CIRCUIT", "true", "must be a table, or false"),
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


def test_a_plugins_own_file_is_explained_in_the_same_words_without_variables():
    class Table(BaseModel, extra="forbid"):
        name: str

    class File(BaseModel, extra="forbid"):
        driver: str
        sizes: list[ByteSize] = []
        tables: dict[str, Table] = {}

    given = {"drivr": "s3cret", "sizes": ["1 parsec"], "tables": {"a": {"nam": "s3cret"}, "b": "s3cret"}}
    with pytest.raises(ValidationError) as caught:
        File.model_validate(given)
    units = "B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
    assert sorted(explain_settings_error(caught.value, File)) == [
        (("driver",), "is required"),
        (("drivr",), "there is no such setting. Did you mean 'driver'?"),
        (("sizes", 0), f"is not a size: there is no unit parsec; units are {units}"),
        (("tables", "a", "nam"), "there is no such setting. Did you mean 'name'?"),
        (("tables", "a", "name"), "is required"),
        (("tables", "b"), "must be a table"),
    ]


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
        ("[payload_converter.msgspec]\na = 1", "payload_converter.msgspec", "[payload_converters.msgspec]"),
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
        ("PAYLOAD_CONVERTER__MSGSPEC__A", "1", "PAYLOAD_CONVERTERS__MSGSPEC__A"),
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
        (
            "payload_converters = 'msgspec'",
            "must be a table; the name of the payload converter is `payload_converter`",
        ),
    ],
)
def test_a_value_where_tables_belong_is_told_what_was_meant(write_settings, text, message):
    write_settings(text)
    assert the_problem().message == message


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "codecs = ['gzip', 'encryption']",
            "codecs[1]",
            "there is no table [codec.encryption], which it needs: active is missing",
        ),
        (
            "storage.driver = 'redis'",
            "storage.driver",
            "there is no table [storage.drivers.redis], which it needs: no server is named",
        ),
    ],
)
def test_a_plugin_whose_table_is_missing_is_told_where_it_is_named(write_settings, text, place, message):
    write_settings(text)
    problem = the_problem(build_data_converter)
    assert (problem.place, problem.origin) == (place, "temporal-payloads.toml")
    assert problem.message.startswith(message)
