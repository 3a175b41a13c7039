"""The commands check and codec-server: what they say, and with which status they end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from temporal_payloads._cli import check
from temporal_payloads._plugins.registry import PluginRegistry

GZIP = 'codecs = ["gzip"]\n'


@pytest.fixture
def registered(monkeypatch, memory):
    """Offer the driver `memory` to the command, as if a distribution had it."""
    find = PluginRegistry._find

    def find_memory(self, kind, name):
        if name == "memory":
            self.register_driver(name, memory)
        return find(self, kind, name)

    monkeypatch.setattr(PluginRegistry, "_find", find_memory)


def test_check_prints_codecs_drivers_and_routes(run, write_settings, s3_server, s3_bucket):
    write_settings(
        f"""
        codecs = ["gzip", "zlib"]
        [storage]
        driver = "s3"
        [storage.drivers.s3]
        bucket = "{s3_bucket}"
        endpoint_url = "{s3_server.endpoint_url}"
        region = "us-east-1"
        access_key_id = "{s3_server.access_key_id}"
        secret_access_key = "{s3_server.secret_access_key}"
        [[storage.routes]]
        driver = "inline"
        workflow_type = "Health*"
        """
    )
    status, out, err = run("check")
    assert (status, err) == (0, "")
    assert "gzip -> zlib" in out
    assert re.search(r"s3\s+aws\.s3driver\s+aws\.s3driver\s+store and retrieve\s+answers", out)
    assert "workflow_type Health* -> inline" in out
    assert "everything else -> s3" in out
    assert s3_server.secret_access_key not in out
    assert "\x1b" not in out  # no colour but on a terminal

    status, out, _ = run("check", "--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (0, True)
    assert [codec["name"] for codec in document["codecs"]] == ["gzip", "zlib"]
    assert document["drivers"][0]["error"] is None
    assert document["routes"] == [{"driver": "inline", "workflow_type": ["Health*"]}]


def test_check_shows_which_driver_takes_what_another_cannot(run, write_settings, registered):
    write_settings(
        """
        [storage]
        driver = "first"
        [storage.drivers.first]
        type = "memory"
        driver_name = "first"
        fallback = "memory"
        [storage.drivers.memory]
        """
    )
    assert re.search(r"first\s+first\s+memory\s+store and retrieve, else memory\s+answers", run("check")[1])
    drivers = json.loads(run("check", "--json")[1])["drivers"]
    assert [(driver["key"], driver["fallback"]) for driver in drivers] == [
        ("first", "memory"),
        ("memory", None),
    ]


def test_check_tells_the_default_driver_also_if_it_has_no_table(run, write_settings, registered):
    write_settings("[[storage.routes]]\ndriver = 'memory'\nworkflow_type = 'Big*'\n")
    out = run("check")[1]
    assert "workflow_type Big* -> memory" in out
    assert "everything else -> memory" in out


def test_check_shows_the_payload_converter_and_what_it_needs_in_a_sandbox(run, write_settings, install):
    install("tidy")
    assert "Payload converter\n  the SDK's own\n" in run("check")[1]
    write_settings("payload_converter = 'tidy'")
    assert (
        "Payload converter\n"
        "  tidy (tidy_converter.TidyPayloadConverter)\n"
        "  passed through the workflow sandbox: tidy_converter\n"
    ) in run("check")[1]
    assert json.loads(run("check", "--json")[1])["payload_converter"] == {
        "name": "tidy",
        "class": "tidy_converter.TidyPayloadConverter",
        "sandbox_passthrough": ["tidy_converter"],
    }
    write_settings("payload_converter = 'tidyy'")
    assert json.loads(run("check", "--json")[1])["payload_converter"] == {
        "name": "tidyy",
        "class": None,
        "sandbox_passthrough": [],
    }


def test_check_ends_with_3_when_a_store_cannot_be_reached(run, write_settings, closed_port):
    write_settings(f'[storage.drivers.redis]\nurl = "redis://:hunter2@127.0.0.1:{closed_port}/0"\n')
    status, out, err = run("check")
    assert (status, err) == (3, "")
    assert str(closed_port) in out
    assert "hunter2" not in out
    status, out, _ = run("check", "--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (3, False)
    assert document["drivers"][0]["error"]


def test_check_ends_with_2_when_the_settings_are_wrong(run, write_settings):
    file = write_settings('codecs = ["gizp"]\n[storage]\ntreshold = 1\n', name="other.toml")
    status, out, err = run("check", "--config", str(file))
    assert (status, out.splitlines()[0]) == (2, "Settings")
    assert "Drivers" not in out
    assert err.startswith("error: 2 problems ")
    assert "storage.treshold" in err
    assert "codecs[0]" in err
    status, out, err = run("check", "--config", str(file), "--json")
    assert (status, err) == (2, "")
    places = {problem["place"] for problem in json.loads(out)["problems"]}
    assert places == {"storage.treshold", "codecs[0]"}


def test_check_says_what_it_reads(run, write_settings, set_variables, monkeypatch):
    file = write_settings(GZIP + "[profile.dev]\ncodecs = []\n")
    monkeypatch.setenv("TEMPORAL_PROFILE", "dev")
    monkeypatch.setenv("TEMPORAL_PAYLOAD_CODECS", "gzip")
    set_variables(STORAGE__CONCURRENCY="3")
    _, out, err = run("check")
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert ["file", f"{file} (found in the working directory)"] in lines
    assert ["profile", "dev (TEMPORAL_PROFILE chooses it)"] in lines
    assert ["variables", "TEMPORAL_PAYLOADS_STORAGE__CONCURRENCY"] in lines
    assert err.startswith("warning: the variable TEMPORAL_PAYLOAD_CODECS is not read")
    document = json.loads(run("check", "--json")[1])
    assert document["settings"] == {
        "file": str(file),
        "file_named_by": None,
        "profile": "dev",
        "profile_chosen_by": "TEMPORAL_PROFILE",
        "variables": ["TEMPORAL_PAYLOADS_STORAGE__CONCURRENCY"],
        "warnings": [err.removeprefix("warning: ").strip()],
    }


def test_check_warns_where_nothing_is_configured(run, set_variables):
    status, _, err = run("check")
    assert status == 0
    assert err.startswith("warning: no settings were found")
    set_variables(REQUIRED="1")
    status, _, err = run("check")
    assert status == 2
    assert err.startswith("error: settings are required")


def test_check_says_what_it_checks_before_it_waits_for_a_store(
    run, write_settings, registered, store, capsys
):
    write_settings(GZIP + "[storage.drivers.memory]\n")
    store.on_opening = lambda: seen.append(capsys.readouterr().out)
    seen: list[str] = []
    run("check")
    before, *_ = seen
    assert "Settings" in before
    assert "gzip" in before
    assert "Drivers" in before
    assert "answers" not in before


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ("codecs = ['gzip']", 0),
        ("codecs = ['gizp']", 2),
        ("codecs = [", 2),
        ("[storage.drivers.redis]\nurl = 'redis://127.0.0.1:1/0'\nconnect_timeout = '1s'\nretries = 0", 3),
    ],
)
def test_the_json_of_check_has_the_same_keys_whatever_is_wrong(run, write_settings, settings, status):
    write_settings(settings)
    ended, out, _ = run("check", "--json")
    document = json.loads(out)
    assert (ended, document["ok"]) == (status, status == 0)
    assert list(document) == [
        *("version", "ok", "settings", "payload_converter", "codecs", "require_encrypted"),
        *("drivers", "routes", "threshold", "peers", "findings", "codec_samples", "error", "problems"),
    ]
    assert list(document["payload_converter"]) == ["name", "class", "sandbox_passthrough"]
    assert [list(problem) for problem in document["problems"]] == [["message", "place", "origin"]] * (
        status == 2
    )
    errors = [driver["error"] for driver in document["drivers"] if driver["error"]]
    assert [error["type"] for error in errors] == ["StorageUnavailableError"] * (status == 3)
    assert all(error["message"] for error in errors)


@pytest.fixture
def filtered(run):
    """Return the objects that the example of the help takes from what check prints."""
    program = re.search(r"check --json \| jq '(.*)'", check.EPILOG)
    assert program is not None

    def filtered():
        command = ["jq", "--compact-output", program[1]]
        printed = run("check", "--json")[1]
        ended = subprocess.run(command, input=printed, stdout=subprocess.PIPE, text=True, check=True)
        return [json.loads(line) for line in ended.stdout.splitlines()]

    return filtered


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq: apt-get install jq")
@pytest.mark.parametrize("settings", ["codecs = ['gzip']", "codecs = ['gizp']", "codecs = ["])
def test_the_example_of_the_help_works_whatever_is_wrong(filtered, write_settings, settings):
    write_settings(settings)
    assert filtered() == []


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq: apt-get install jq")
def test_the_example_of_the_help_finds_stores_and_key_providers_that_cannot_be_used(
    filtered, write_settings, closed_port, monkeypatch
):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    write_settings(f"""
        codecs = ["gzip", "encryption"]
        codec.encryption.active = "awskms:///alias/orders"
        [key_providers.awskms]
        region = "eu-central-1"
        endpoint_url = "http://127.0.0.1:{closed_port}"
        access_key_id = "test"
        secret_access_key = "test"
        max_attempts = 1
        [storage.drivers.redis]
        url = "redis://127.0.0.1:{closed_port}/0"
        retries = 0
    """)
    assert [found["name"] for found in filtered()] == ["encryption", "redis"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "palin"], "there is no profile 'palin' (--profile asks for it)"),
        (["--config", "none.toml"], "none.toml: there is no such file (--config names it)"),
    ],
)
@pytest.mark.parametrize("command", ["check", "codec-server"])
def test_an_error_about_an_option_names_the_option(run, write_settings, command, arguments, message):
    write_settings(GZIP + "[profile.plain]\ncodecs = []\n")
    status, _, err = run(command, *arguments)
    assert status == 2
    assert message in err


def test_an_error_about_a_namespaces_profile_names_the_setting(run, write_settings):
    write_settings("[codec_server.namespaces]\norders = 'palin'\n[profile.plain]\n")
    status, _, err = run("codec-server")
    assert status == 2
    assert "there is no profile 'palin' (codec_server.namespaces asks for it)" in err


def test_the_codec_server_tells_every_problem_at_once(run, write_settings):
    write_settings("""
        codecs = ["gizp"]
        [storage]
        treshold = 1
        [storage.drivers.redis]
        port = "many"
        [codec_server]
        prt = 1
    """)
    status, _, err = run("codec-server")
    assert status == 2
    assert "error: 4 problems in the temporal-payloads settings" in err
    for place in ("codecs[0]", "storage.treshold", "storage.drivers.redis.port", "codec_server.prt"):
        assert f"  - {place} (temporal-payloads.toml): " in err


@pytest.mark.parametrize("arguments", ["check", "check --json", "--help", "codec-server --port 0"])
def test_a_command_whose_output_nobody_reads_ends_quietly(write_settings, monkeypatch, arguments):
    write_settings(GZIP)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "temporal_payloads", *arguments.split()]
    try:
        ended = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        os.close(writer)
    assert ended.returncode == 141
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        ("keygen", ""),
        ("keygen", "1"),
        ("check --json", ""),
        ("check", ""),
        ("keys --help", ""),
        ("keys --help", "1"),
        ("codec-server --port 0", ""),
    ],
)
def test_a_command_whose_output_cannot_be_written_says_so(write_settings, monkeypatch, arguments, unbuffered):
    write_settings(GZIP)
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [sys.executable, "-m", "temporal_payloads", *arguments.split()]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert ended.returncode == 3
    assert ended.stderr.endswith("error: cannot write the output: No space left on device\n")
    assert "Traceback" not in ended.stderr


def test_a_command_whose_output_is_closed_says_so():
    ended = subprocess.run(
        ["sh", "-c", '"$0" -m temporal_payloads plugins >&-', sys.executable],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 3
    assert ended.stderr == "error: cannot write the output: the standard output is closed\n"


@pytest.mark.parametrize(("arguments", "status"), [("keygen", 0), ("--bogus", 2)])
def test_a_command_ends_without_the_end_of_python_in_which_the_sdk_may_crash(arguments, status):
    program = f"""
import atexit, sys
from temporal_payloads._cli import run

class Crash:
    def __del__(self):
        print("Python ended", file=sys.stderr)

sys.crash = Crash()  # it goes when modules do
atexit.register(lambda: print("exported", file=sys.stderr))
sys.argv[1:] = [{arguments!r}]
run()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == status
    assert ended.stderr.endswith("exported\n")
    assert "Python ended" not in ended.stderr


def test_check_takes_the_profile_that_is_named(run, write_settings):
    write_settings(GZIP + "[profile.plain]\ncodecs = []\n")
    assert "gzip" in run("check")[1]
    assert "gzip" not in run("check", "--profile", "plain")[1]
    assert run("check", "--profile", "palin")[0] == 2


def test_without_the_extra_the_codec_server_says_what_to_install(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("temporal_payloads.codec_server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jwt", None)
    status, _, err = run("codec-server")
    assert status == 2
    assert "pip install 'temporal-payloads[codec-server]'" in err


def test_a_codec_server_open_to_anybody_is_refused_with_the_setting_that_allows_it(run):
    status, _, err = run("codec-server", "--host", "0.0.0.0", "--port", "0")
    assert status == 2
    assert "codec_server.allow_unauthenticated = true" in err


def test_a_port_that_is_taken_is_said_in_a_line(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = run("codec-server", "--port", str(port))
    assert status == 3
    assert str(port) in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_codec_server_prints_its_free_port_logs_json_and_stops_on_a_signal(write_settings, number):
    write_settings(GZIP)
    command = [sys.executable, "-m", "temporal_payloads", "codec-server", "--port", "0", "--json-logs"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    with server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("Codec server at ").strip()
        with urllib.request.urlopen(f"{address}/") as page:
            assert "Temporal codec server" in page.read().decode()
        server.send_signal(number)
        out, err = server.communicate(timeout=20)
    assert (server.returncode, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert "request" in {line["message"] for line in lines}
    assert [line["message"] for line in lines if line["message"].startswith("Settings fingerprint: ")]
    # Told once: to whoever started it.
    assert address not in err
