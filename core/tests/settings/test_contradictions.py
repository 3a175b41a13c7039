"""Settings that contradict each other are told; and everything that is wrong is told at once."""

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, Problem, build_data_converter


def problems_of(load=PayloadSettings.load, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    return caught.value.problems


def the_problem(load=PayloadSettings.load, **arguments):
    (problem,) = problems_of(load, **arguments)
    return problem


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
            "[payload_converters.msgspec]",
            "payload_converters.msgspec",
            "payload_converter does not name this table. Set payload_converter to 'msgspec', or remove",
        ),
        (
            "payload_converter = 'app:Mine'\n[payload_converters.'app:Mien']",
            "payload_converters.app:Mien",
            "payload_converter does not name this table. Did you mean 'app:Mine'?",
        ),
        (
            "payload_converter = 'msgspec'\n[payload_converters.msgpsec]",
            "payload_converters.msgpsec",
            "payload_converter does not name this table. Did you mean 'msgspec'?",
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
