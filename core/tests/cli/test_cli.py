"""The command line: what it says, and with which status it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from temporal_payloads._cli import main

GZIP = 'codecs = ["gzip"]\n'


@pytest.fixture
def run(capsys):
    """Run the command here, and return its status and what it wrote."""

    def call(*arguments):
        status = main(arguments)
        written = capsys.readouterr()
        return status, written.out, written.err

    return call


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["codec-server", "--help"]])
def test_help_teaches_by_examples(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "  temporal-payloads " in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("arguments", [[], ["chekc"], ["codec-server", "--port", "70000"]])
def test_a_wrong_command_line_is_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


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
    assert document["codecs"] == ["gzip", "zlib"]
    assert document["drivers"][0]["error"] is None
    assert document["routes"] == [{"driver": "inline", "workflow_type": ["Health*"]}]


def test_check_ends_with_1_when_a_store_cannot_be_reached(run, write_settings, unused_tcp_port):
    write_settings(f'[storage.drivers.redis]\nurl = "redis://:hunter2@127.0.0.1:{unused_tcp_port}/0"\n')
    status, out, err = run("check")
    assert (status, err) == (1, "")
    assert str(unused_tcp_port) in out
    assert "hunter2" not in out
    status, out, _ = run("check", "--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (1, False)
    assert document["drivers"][0]["error"]


def test_check_ends_with_2_when_the_settings_are_wrong(run, write_settings):
    file = write_settings('codecs = ["gizp"]\n[storage]\ntreshold = 1\n', name="other.toml")
    status, out, err = run("check", "--config", str(file))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert "storage.treshold" in err
    status, out, err = run("check", "--config", str(file), "--json")
    assert (status, err) == (2, "")
    places = {problem["place"] for problem in json.loads(out)["problems"]}
    assert "storage.treshold" in places


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
    assert status == 1
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
    assert {"Codec server at " + address, "request"} <= {line["message"] for line in lines}
