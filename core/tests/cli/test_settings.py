"""The commands settings show and settings fingerprint."""

import json
import re

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli.settings import fingerprint, show

SETTINGS = """
    codecs = ["gzip"]
    [storage]
    driver = "s3"
    threshold = "128KiB"
    [storage.drivers.s3]
    bucket = "payloads"
    region = "eu-central-1"
    access_key_id = "an-id"
    secret_access_key = "hunter2"
    [[storage.routes]]
    driver = "inline"
    workflow_type = "Health*"
    [profile.prod.storage.drivers.s3]
    bucket = "production"
"""


@pytest.fixture
def shown(run):
    """Return each setting that is shown, with its value and where it comes from."""

    def shown(*arguments):
        status, out, err = run("settings", "show", "--json", *arguments)
        assert (status, err) == (0, "")
        return {each["setting"]: (each["value"], each["origin"]) for each in json.loads(out)["settings"]}

    return shown


def test_each_setting_is_shown_with_where_it_comes_from(shown, write_settings, set_variables):
    file = write_settings(SETTINGS)
    set_variables(STORAGE__CONCURRENCY="3")
    found = shown("--profile", "prod")
    assert found["codecs"] == (["gzip"], "temporal-payloads.toml")
    assert found["storage.threshold"] == ("128KiB", "temporal-payloads.toml")
    assert found["storage.drivers.s3.bucket"] == ("production", "temporal-payloads.toml, profile 'prod'")
    assert found["storage.concurrency"] == (3, "TEMPORAL_PAYLOADS_STORAGE__CONCURRENCY")
    assert found["storage.timeout"] == ("30s", "default")
    assert found["storage.routes[0].workflow_type"] == (["Health*"], "temporal-payloads.toml")
    assert found["codec_server.port"] == (8081, "default")
    assert file.exists()


def test_a_plugins_table_is_shown_as_its_model_has_it(shown, write_settings):
    write_settings(SETTINGS)
    found = shown()
    assert found["codec.gzip.level"][1] == "default"
    assert isinstance(found["codec.gzip.level"][0], int)
    assert found["storage.drivers.s3.max_payload_size"] == ("50MiB", "default")


def test_secrets_are_hidden_also_where_nobody_can_say_whether_they_are_some(run, write_settings):
    write_settings(SETTINGS + '[codec_server.auth]\ntokens = { ui = "another-secret" }\n')
    write_settings(
        SETTINGS + '[storage.drivers.old]\ntype = "nowhere"\npassword = "sesame"\n', name="wrong.toml"
    )
    for arguments in ([], ["--config", "wrong.toml"]):
        for as_json in ([], ["--json"]):
            _, out, err = run("settings", "show", *arguments, *as_json)
            assert "**********" in out
            assert not re.search("hunter2|another-secret|sesame", out + err)


def test_what_is_wrong_is_said_and_the_rest_is_shown(run, write_settings):
    write_settings(SETTINGS.replace('"128KiB"', '"many"') + "[codec.zpaq]\nlevel = 3\n")
    status, out, err = run("settings", "show")
    assert status == 2
    assert "storage.drivers.s3.bucket" in out
    assert "error: 2 problems" in err
    status, out, err = run("settings", "show", "--json")
    assert (status, err) == (2, "")
    document = json.loads(out)
    assert {problem["place"] for problem in document["problems"]} == {"storage.threshold", "codec.zpaq"}
    assert told_shape(show.EPILOG) == shape_of(document)


def test_only_what_is_set_is_shown_if_that_is_asked_for(shown, write_settings):
    write_settings(SETTINGS)
    assert set(shown("--changed")) == {
        "codecs",
        "storage.driver",
        "storage.threshold",
        "storage.routes[0].driver",
        "storage.routes[0].workflow_type",
        "storage.drivers.s3.bucket",
        "storage.drivers.s3.region",
        "storage.drivers.s3.access_key_id",
        "storage.drivers.s3.secret_access_key",
    }


def test_the_fingerprint_is_that_of_its_parts(run, write_settings):
    write_settings(SETTINGS)
    status, out, err = run("settings", "fingerprint")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{16}\n", out)
    status, printed, _ = run("settings", "fingerprint", "--json")
    document = json.loads(printed)
    assert (status, document["fingerprint"]) == (0, out.strip())
    [driver] = document["parts"]["drivers"]
    assert (driver["name"], driver["store"]["bucket"]) == ("aws.s3driver", "payloads")
    assert "hunter2" not in printed
    assert run("settings", "fingerprint", "--profile", "prod")[1] != out


def test_the_json_of_the_fingerprint_is_documented_whatever_is_wrong(run, write_settings):
    write_settings("codecs = ['gzip']\ndecode_only = ['zlib']\nstorage.driver = 'memory'\n")
    right = json.loads(run("settings", "fingerprint", "--json")[1])
    write_settings("codecs = ['gizp']")
    status, out, _ = run("settings", "fingerprint", "--json")
    wrong = json.loads(out)
    assert (status, list(wrong)) == (2, list(right))
    keys = {f"parts.{codecs}.keys": {"id", "fingerprint"} for codecs in ("codecs", "decode_only")}
    problems = {"problems": {"message", "place", "origin"}}
    shapes = shape_of(right) | keys | problems
    open_ended = ("settings", "store")  # what a plugin says that counts
    closed = {at: names for at, names in shapes.items() if at.rpartition(".")[2] not in open_ended}
    assert told_shape(fingerprint.EPILOG) == closed
