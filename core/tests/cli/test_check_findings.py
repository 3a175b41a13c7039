"""What check says of what may lose payloads, and how it ends."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli import check
from temporal_payloads._cli.temporal import TemporalIfThere
from temporal_payloads._storage.memory_driver import MemoryDriver

MEMORY = '[storage]\ndriver = "memory"\n[storage.drivers.memory]\nstore = "check"\n'


def findings_of(out):
    return {finding["check"]: finding for finding in json.loads(out)["findings"]}


def test_what_is_fine_and_what_could_not_be_looked_at_is_told_in_short(run, write_settings):
    write_settings('codecs = ["gzip"]\n' + MEMORY)
    status, out, _ = run("check")
    assert status == 0
    assert out.endswith("Findings\n  not looked at: Temporal (--verbose says why)\n  1 thing is fine\n")


def test_verbose_shows_everything_and_what_codecs_make_of_samples(run, write_settings):
    write_settings('codecs = ["gzip", "zstd"]\n' + MEMORY)
    status, out, _ = run("check", "--verbose")
    assert status == 0
    assert re.search(
        r"^  JSON, 4 MiB +gzip +[\d,]+ +[\d,]+ +\d\d\.\d% +[\d.,]+ [MG]iB/s +[\d.,]+ [MG]iB/s$",
        out,
        re.MULTILINE,
    )
    assert re.search(r"^  JSON, 4 MiB +all +", out, re.MULTILINE)
    assert re.search(r"^  ok +codecs +codecs +all samples came back", out, re.MULTILINE)
    assert re.search(
        r"^  skipped +- +Temporal +.*: the Temporal server at 127\.0\.0\.1:\d+ .*cannot be used",
        out,
        re.MULTILINE,
    )


def test_with_write_payloads_go_there_and_back_and_nothing_is_left(run, write_settings):
    write_settings('codecs = ["gzip"]\n' + MEMORY)
    status, out, _ = run("check", "--write")
    assert status == 0
    assert re.search(
        r"^  ok +storage\.drivers\.memory +write +a payload of [\d,]+ bytes was stored \(.* ms\)",
        out,
        re.MULTILINE,
    )
    assert re.search(
        r"^  ok +storage +round trip +a value .* into the store of memory, and came back", out, re.MULTILINE
    )
    _, out, _ = run("check", "--write", "--json")
    assert findings_of(out)["clean-up"]["level"] == "ok"


def test_a_problem_ends_check_with_1_and_says_what_to_do(run, write_settings, tmp_path):
    write_settings('[storage.drivers.filesystem]\npath = "payloads"\n')
    assert run("check")[0] == 0
    (tmp_path / "payloads").chmod(0o777)
    status, out, _ = run("check")
    assert status == 1
    assert re.search(
        r"^  problem +storage\.drivers\.filesystem\.path +permissions of the directory +Everybody .*chmod",
        out,
        re.MULTILINE,
    )
    status, out, _ = run("check", "--json")
    assert (status, json.loads(out)["ok"]) == (1, False)
    assert findings_of(out)["permissions of the directory"]["level"] == "problem"


def test_a_warning_is_shown_and_ends_check_with_0(run, write_settings, tmp_path):
    write_settings('[storage.drivers.filesystem]\npath = "payloads"\n')
    run("check")
    (tmp_path / "payloads").chmod(0o755)
    status, out, _ = run("check")
    assert status == 0
    assert re.search(r"^  warning +.* +permissions of the directory", out, re.MULTILINE)


def test_the_rights_that_are_looked_at_are_those_of_the_use(run, write_settings):
    write_settings('[storage.drivers.filesystem]\npath = "payloads"\n')
    levels = {
        use: findings_of(run("check", "--use", use, "--json")[1])["permission to delete"]["level"]
        for use in ("worker", "reader", "collector")
    }
    assert levels == {"worker": "ok", "reader": "ok", "collector": "skipped"}
    assert run("check", "--use", "owner")[0] == 2


def test_a_process_that_may_not_write_is_no_problem_unless_it_is_said_to_be_a_worker(
    run, write_settings, monkeypatch
):
    async def diagnose(self, context):
        return [context.permission("to write", has=False, needed_by={"worker", "collector"})]

    monkeypatch.setattr(MemoryDriver, "diagnose", diagnose)
    write_settings(MEMORY)
    found = {
        use: (status, findings_of(out)["permission to write"]["level"])
        for use in (None, "worker", "reader")
        for status, out, _ in [run("check", "--json", *(["--use", use] if use else []))]
    }
    assert found == {None: (0, "warning"), "worker": (1, "problem"), "reader": (0, "ok")}


def test_a_server_that_is_asked_for_and_does_not_answer_ends_check_with_3(run, write_settings, closed_port):
    write_settings(MEMORY)
    status, out, err = run("check", "--address", f"127.0.0.1:{closed_port}")
    assert status == 3
    assert "answers (" in out  # the rest is looked at all the same
    assert f"the Temporal server at 127.0.0.1:{closed_port} (--address) cannot be used" in err
    status, out, _ = run("check", "--json", "--address", f"127.0.0.1:{closed_port}")
    document = json.loads(out)
    assert (status, document["error"]["type"]) == (3, "TemporalUnreachableError")
    assert document["drivers"][0]["error"] is None


def test_a_profile_of_temporal_that_is_not_there_is_wrong_use_only_if_it_is_asked_for(
    run, write_settings, monkeypatch
):
    write_settings(MEMORY + '[profile.prod]\nstorage.threshold = "1MiB"\n')
    assert run("check", "--temporal-profile", "nowhere")[0] == 2
    # It may be meant for our own profiles.
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    status, out, _ = run("check", "--verbose")
    assert status == 0
    assert "TEMPORAL_PROFILE is set" in out


def test_the_namespace_is_looked_at_on_a_server_that_answers(run, write_settings, temporal_server):
    write_settings(MEMORY)
    status, out, _ = run("check", "--json", "--address", temporal_server.address)
    assert status == 0
    assert findings_of(out)["namespace"]["place"] == "namespace default"
    status, out, _ = run("check", "--address", temporal_server.address, "--namespace", "nowhere")
    assert status == 1
    assert "Namespace nowhere is not found" in out


@contextmanager
def some_server():
    """A web server that is no codec server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        do_POST = do_OPTIONS = do_GET  # noqa: N815  # as the library calls them

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_codec_server_is_looked_at_if_it_is_named(run, write_settings, monkeypatch):
    write_settings(MEMORY)
    monkeypatch.setenv("TEMPORAL_CODEC_AUTH", "Bearer its-secret-token")
    with some_server() as url:
        status, out, err = run("check", "--codec-server", url, "--verbose")
    assert status == 1
    assert re.search(
        rf"^  problem +codec server {url} +decode +It does not decode .*HTTP 404", out, re.MULTILINE
    )
    assert "its-secret-token" not in out + err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--codec-server", "127.0.0.1:8081"), "must be a URL that begins with http:// or https://"),
        (("--codec-server", "file:///etc/passwd"), "must be a URL that begins with http:// or https://"),
        (("--codec-auth", "Bearer x"), "need --codec-server"),
        (("--ui-origin", "http://localhost:8233"), "need --codec-server"),
    ],
)
def test_options_of_the_codec_server_that_make_no_sense_are_wrong_use(run, write_settings, arguments, told):
    write_settings(MEMORY)
    status, _, err = run("check", *arguments)
    assert status == 2
    assert told in err


def test_the_variable_of_temporals_cli_alone_asks_for_nothing(run, write_settings, monkeypatch):
    write_settings(MEMORY)
    monkeypatch.setenv("TEMPORAL_CODEC_AUTH", "Bearer its-secret-token")
    assert run("check")[0] == 0


def test_the_help_documents_what_is_printed_for_a_program(run, write_settings, closed_port, monkeypatch):
    write_settings('codecs = ["gzip"]\n' + MEMORY)
    whole = json.loads(run("check", "--json", "--address", f"127.0.0.1:{closed_port}")[1])
    told = told_shape(check.EPILOG)
    shown = shape_of(whole)
    assert told.keys() >= shown.keys()
    routes = told.pop("routes")
    assert "driver" in routes
    assert {where: keys for where, keys in told.items() if where in shown} == shown


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        ((), {}, False),
        (("--namespace", "orders"), {}, True),
        ((), {"TEMPORAL_NAMESPACE": "orders"}, True),
    ],
)
def test_a_namespace_is_named_by_an_option_or_by_temporals_own_variable(
    monkeypatch, arguments, variables, named
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    temporal = TemporalIfThere(None, list(arguments[1:]) or None, None, None)
    assert temporal.namespaces_named is named
