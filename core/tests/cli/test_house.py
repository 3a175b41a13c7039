"""What all commands have in common: help, errors, output, documents, progress, completion."""

import importlib
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli import codec_server, keygen, new_plugin, progress
from temporal_payloads._cli.commands import COMMANDS, Group
from temporal_payloads._cli.output import bad, heading, say, table
from temporal_payloads._cli.progress import Step, telling_progress, waiting_for


def paths(commands, inside=()):
    """Yield each command's path, and each group's."""
    yield inside
    for name, entry in commands.items():
        if isinstance(entry, Group):
            yield from paths(entry.commands, (*inside, name))
        else:
            yield (*inside, name)


def briefs(commands, inside=()):
    """Yield each command's path, and what the help of the whole says of it."""
    for name, entry in commands.items():
        if isinstance(entry, Group):
            yield from briefs(entry.commands, (*inside, name))
        else:
            yield (*inside, name), entry


PATHS = list(paths(COMMANDS))
BRIEFS = dict(briefs(COMMANDS))
GROUPS = [path for path in PATHS if path not in BRIEFS]


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_teaches_and_fits(run, monkeypatch, path, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, text, err = run(*path, "--help")
    assert (status, err) == (0, "")
    assert max(map(len, text.splitlines())) <= columns
    if path not in GROUPS:
        assert "  temporal-payloads " in text
        assert "\nExit status" in text
        assert "\nExamples:\n" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing command.\nTry: temporal-payloads --help"),
        (
            ["gc", "--sheduel"],
            (
                "No such option: --sheduel (Possible options: --help, --schedule)\n"
                "Try: temporal-payloads gc --help"
            ),
        ),
        (
            ["gc", "--jsn"],
            "No such option: --jsn (Possible options: --json)\nTry: temporal-payloads gc --help",
        ),
        (
            ["gc", "plan", "--jsn"],
            "No such option: --jsn (Possible options: --json)\nTry: temporal-payloads gc plan --help",
        ),
        (["gc", "--xyz"], "No such option: --xyz\nTry: temporal-payloads gc --help"),
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?\nTry: temporal-payloads --help"),
        (["check", "--nope"], "No such option: --nope"),
        (["new-plugin", "driver"], "Missing argument 'NAME'.\nTry: temporal-payloads new-plugin --help"),
        (
            ["keys", "--in-use", "--limit", "x"],
            "Invalid value for '--limit': Input should be a valid",
        ),
        (["keys", "--in-use", "--limit", "-1"], "Invalid value for '--limit': Input should be greater"),
        (["keys", "--in-use", "--limit", "1" * 5000], "Invalid value for '--limit': "),
        (["codec-server", "--port", "http"], "Invalid value for '--port': Input should be a valid integer"),
        (["codec-server", "--port", "70000"], "Invalid value for '--port': Input should be less than"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_says_where_to_look(run, arguments, told):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {told}")
    assert "\nTry: temporal-payloads " in err


@pytest.mark.parametrize("path", BRIEFS, ids=" ".join)
def test_a_commands_help_begins_with_what_the_help_of_the_whole_says_of_it(path):
    module = importlib.import_module(".".join(("temporal_payloads._cli", *path)).replace("-", "_"))
    assert (inspect.getdoc(module.run) or "").partition("\n")[0] == BRIEFS[path]


def python(program, *arguments, **variables):
    """Run a program in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | variables, timeout=120
    )


IMPORTED = """
import sys
from temporal_payloads._cli import main
try:
    main({arguments})
except SystemExit:
    pass
names = {{name.partition(".")[0] for name in sys.modules}}
ours = {{name for name in sys.modules if name.startswith("temporal_payloads._cli.")}}
print(sorted(names & {{"temporalio", "pydantic_settings"}}), sorted(ours), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        (["--version"], {}),
        (
            [],
            {
                "_TEMPORAL_PAYLOADS_COMPLETE": "complete_bash",
                "COMP_WORDS": "temporal-payloads c",
                "COMP_CWORD": "1",
            },
        ),
    ],
    ids=["help", "version", "completion"],
)
def test_what_needs_no_command_imports_none_and_nothing_of_the_sdk(arguments, variables):
    ended = python(IMPORTED.format(arguments=arguments), **variables)
    assert ended.stdout
    others, _, ours = ended.stderr.partition(" ")
    assert others == "[]"
    assert not [path for path in BRIEFS if f".{path[-1].replace('-', '_')}'" in ours]


def test_the_library_imports_nothing_of_the_command_line():
    program = """
import sys
import temporal_payloads, temporal_payloads.plugin, temporal_payloads.codec_server
from temporal_payloads import PayloadsPlugin, PayloadSettings, build_data_converter, open_data_converter
build_data_converter()
print([name for name in ("typer", "rich", "temporal_payloads._cli") if name in sys.modules])
"""
    ended = python(program)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


@pytest.mark.parametrize("arguments", [["check"], ["--help"]])
def test_without_the_extra_it_says_what_to_install(arguments):
    program = f"""
import sys
sys.modules["typer"] = None
sys.argv[1:] = {arguments}
from temporal_payloads._cli import run
run()
"""
    ended = python(program)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("Run: pip install 'temporal-payloads[cli]'\n")
    assert "Traceback" not in ended.stderr


# -- what is printed


@pytest.fixture
def terminal(capsys, monkeypatch):
    """Let both streams be a terminal of 60 columns, once the test runs."""

    def become_terminal():
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "60")
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

    return become_terminal


LONG = "orders/" + "x" * 200


def test_in_a_pipe_a_table_has_a_line_a_row_and_nothing_is_cut(capsys):
    table(("KEY", "SIZE", "STATE"), [(LONG, "7", bad("gone")), ("b", "1,024", "there")], right={"SIZE"})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"  {'KEY':207}   SIZE  STATE",
        f"  {LONG}      7  gone",
        f"  {'b':207}  1,024  there",
    ]


def test_on_a_terminal_a_table_is_folded_into_its_columns_and_in_colour(capsys, terminal):
    terminal()
    table(("KEY", "STATE"), [(LONG, bad("gone"))])
    out = capsys.readouterr().out
    assert "\x1b[31mgone" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.splitlines())) <= 60
    assert plain.count("x") == 200


def test_on_a_narrow_terminal_what_must_stay_whole_goes_below_its_row(capsys, terminal, monkeypatch):
    terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    rows: list[tuple[str | Any, ...]] = [(LONG, "7", bad("gone"), "a" * 20), ("-", "1,024", "there", "b")]
    table(("KEY", "SIZE", "STATE", "FIELD"), rows, right={"SIZE"}, below=("KEY", "FIELD"))
    assert capsys.readouterr().out.splitlines() == [
        "   SIZE   STATE   FIELD",
        "  " + "─" * 36,
        "      7   gone    aaaaaaaaaaaaaaaaaaaa",
        f"    key {LONG}",
        "  1,024   there   b",
    ]
    monkeypatch.setenv("COLUMNS", "30")
    table(("KEY", "SIZE", "STATE", "FIELD"), rows, right={"SIZE"}, below=("KEY", "FIELD"), titles=False)
    assert capsys.readouterr().out.splitlines() == [
        "      7   gone",
        f"    key {LONG}",
        f"    field {'a' * 20}",
        "  1,024   there",
        "    field b",
    ]
    monkeypatch.setenv("COLUMNS", "300")
    table(("KEY", "SIZE"), [row[:2] for row in rows], below=("KEY",))
    assert f"  {LONG}   7" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(capsys, terminal, monkeypatch, variable, value):
    terminal()
    monkeypatch.setenv(variable, value)
    say(heading("Drivers"))
    table(("KEY", "STATE"), [("s3", bad("gone"))])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("on_terminal", [True, False])
def test_foreign_text_is_printed_as_it_is_and_cannot_steer_the_terminal(capsys, terminal, on_terminal):
    if on_terminal:
        terminal()
    foreign = "[red]:boom: [link=x]'1'"
    say(heading("Key: "), foreign)
    table(("KEY",), [(foreign,), ("\x1b[2Jgone",)])
    out = re.sub(r"\x1b\[[01]?m", "", capsys.readouterr().out)
    assert out.count(foreign) == 2
    assert "'\\x1b[2Jgone'" in out
    assert "\x1b" not in out


# -- documents


def test_the_help_documents_the_json_of_keygen_new_plugin_and_codec_server(run):
    made = json.loads(run("keygen", "--json")[1])
    assert told_shape(keygen.EPILOG) == shape_of(made)
    written = json.loads(run("new-plugin", "driver", "shelf", "--json")[1])
    assert "pyproject.toml" in written["files"]
    status, out, err = run("new-plugin", "driver", "shelf", "--json")
    assert (status, err) == (3, "")
    failed = json.loads(out)
    assert list(failed) == list(written)
    assert told_shape(new_plugin.EPILOG) == shape_of(written) | shape_of(failed)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, out, _ = run("codec-server", "--port", str(taken.getsockname()[1]), "--json")
    failed = json.loads(out)
    assert (status, failed["ok"], failed["error"]["type"]) == (3, False, "UnfinishedError")
    problem = {"problems": {"message", "place", "origin"}}
    assert told_shape(codec_server.EPILOG) == shape_of(failed) | problem


# -- progress


def test_progress_is_told_on_standard_error_of_a_terminal_and_taken_back(capsys, terminal, monkeypatch):
    terminal()
    monkeypatch.setattr(progress, "PATIENCE", 0)
    asked = threading.Semaphore(0)

    def far():
        asked.release()
        return Step("marking [red]orders", 30, 60)

    with telling_progress(far):
        for _ in range(2):
            assert asked.acquire(timeout=30)
    out, err = capsys.readouterr()
    assert out == ""
    assert "marking [red]orders" in err
    assert "50%" in err
    assert err.endswith("\x1b[2K")


def test_nothing_is_said_of_work_that_is_soon_done(capsys, terminal, monkeypatch):
    terminal()
    monkeypatch.setattr(progress, "PATIENCE", 1000)
    with telling_progress(lambda: "working"):
        pass
    assert capsys.readouterr() == ("", "")


def test_nothing_is_said_of_progress_where_nobody_looks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    before = threading.active_count()
    with telling_progress(lambda: "working"):
        assert threading.active_count() == before
    assert capsys.readouterr() == ("", "")


def test_it_is_told_who_has_not_answered_yet(capsys, terminal, monkeypatch):
    terminal()
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with waiting_for(["s3", "redis"]) as answered:
        answered("s3")
        deadline = time.monotonic() + 30
        said = ""
        while "waiting for redis ..." not in said and time.monotonic() < deadline:
            said += capsys.readouterr().err
    assert "waiting for redis ..." in said


# -- interruption


def test_ctrl_c_ends_a_command_that_waits_for_a_store(write_settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        write_settings(f'[storage.drivers.redis]\nurl = "redis://127.0.0.1:{silent.getsockname()[1]}/0"\n')
        command = [sys.executable, "-m", "temporal_payloads", "check"]
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with asking, silent.accept()[0] as store:
            # The `wait_for` of Python 3.11, with which redis-py sends, loses what interrupts it as it ends.
            assert store.recv(1)
            time.sleep(0.2)
            asking.send_signal(signal.SIGINT)
            _, err = asking.communicate(timeout=30)
    assert (asking.returncode, err) == (130, "")


# -- completion


@pytest.fixture
def completed():
    """Complete a command line as bash asks for it, and return what is offered."""

    def complete(line):
        ended = python(
            "from temporal_payloads._cli import run; run()",
            _TEMPORAL_PAYLOADS_COMPLETE="complete_bash",
            COMP_WORDS=line,
            COMP_CWORD=str(line.count(" ")),
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.split()

    return complete


def test_a_shell_completes_commands_options_and_what_plugins_offer(completed):
    assert completed("temporal-payloads ke") == ["keygen", "keys"]
    assert completed("temporal-payloads check --p") == ["--peer", "--profile"]
    assert completed("temporal-payloads postgres ") == ["init", "maintain"]


def test_a_shell_completes_the_profiles_of_the_file(completed, write_settings):
    write_settings("[profile.prod]\n[profile.dev]\n")
    assert completed("temporal-payloads check --profile ") == ["prod", "dev"]
    write_settings("[profile.plain]\n", name="other.toml")
    assert completed("temporal-payloads check --config other.toml --profile p") == ["plain"]
    write_settings("[profile.pl", name="other.toml")
    assert completed("temporal-payloads check --config other.toml --profile p") == []


@pytest.mark.parametrize("option", ["usage --driver", "migrate --from", "migrate --to"])
def test_a_shell_completes_the_keys_of_drivers(completed, write_settings, option):
    write_settings("""
        [storage.drivers.s3]
        [storage.drivers.shelf]
        [profile.dev.storage.drivers.redis]
    """)
    assert completed(f"temporal-payloads {option} ") == ["s3", "shelf", "redis"]
    assert completed(f"temporal-payloads {option} s") == ["s3", "shelf"]


def test_the_script_for_the_shell_that_asks_is_shown():
    # `true` keeps the shell from being replaced by the last command: it is found among the parents.
    ended = subprocess.run(
        ["bash", "-c", '"$0" -m temporal_payloads --show-completion; true', sys.executable],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ended.stderr == ""
    assert "_TEMPORAL_PAYLOADS_COMPLETE" in ended.stdout
