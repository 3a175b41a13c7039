"""Commands that plugins add to the command line."""

import json
import re
import sys

import pytest
from support.documents import shape_of, told_shape
from temporal_payloads._cli import main
from temporal_payloads._cli.plugin_commands import EPILOG
from temporal_payloads._plugins import commands

SHELVES = """
    [storage]
    driver = "shelf"
    [storage.drivers.shelf]
    room = "attic"
    [storage.drivers.old]
    type = "shelf"
    room = "cellar"
    boards = 2
"""


@pytest.fixture
def shelves(install, write_settings):
    install("shelf", "commands")
    write_settings(SHELVES)


def help_of(capsys, *arguments):
    assert main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def test_a_command_is_given_the_settings_of_its_drivers_and_its_status_is_the_commands(run, shelves):
    assert run("shelf") == (7, "shelf: 4 boards in attic\nold: 2 boards in cellar\n", "")


def test_the_help_lists_commands_without_importing_them(capsys, shelves):
    assert "shelf" in help_of(capsys)
    assert "A command of shelf-commands." in help_of(capsys)
    assert "shelf_commands" not in sys.modules
    assert "Count the boards." in help_of(capsys, "shelf")


def test_a_command_takes_its_own_arguments_and_ours(run, shelves, write_settings):
    write_settings('[storage.drivers.shelf]\nroom = "hall"\n', name="other.toml")
    assert run("shelf", "--config", "other.toml")[1] == "shelf: 4 boards in hall\n"
    assert run("shelf", "--fail") == (3, "", "error: the shelf is full\n")


def test_what_a_command_says_is_in_the_document_that_is_asked_for(run, shelves, write_settings):
    status, out, err = run("shelf", "--json")
    done = json.loads(out)
    assert (status, err, done["ok"]) == (7, "", False)
    assert done["said"] == ["shelf: 4 boards in attic", "old: 2 boards in cellar"]
    status, out, err = run("shelf", "--fail", "--json")
    failed = json.loads(out)
    assert (status, err) == (3, "")
    assert failed["error"]["message"] == "the shelf is full"
    write_settings("")
    status, out, err = run("shelf", "--json")
    wrong = json.loads(out)
    assert (status, err) == (2, "")
    assert told_shape(EPILOG) == shape_of([done, failed, wrong])


def test_wrong_settings_are_told_with_their_place(run, shelves, write_settings):
    write_settings("[storage.drivers.shelf]\nboards = 0\n")
    status, _, err = run("shelf")
    assert status == 2
    assert "storage.drivers.shelf.room" in err
    assert "storage.drivers.shelf.boards" in err


def test_a_command_without_a_driver_of_its_type_says_which_table_to_add(run, shelves, write_settings):
    write_settings("")
    status, _, err = run("shelf")
    assert status == 2
    assert "[storage.drivers.shelf]" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "command 'broken' of shelf-commands 0.3 .* cannot be imported: ModuleNotFoundError"),
        ("number", "command 'number' of shelf-commands 0.3 .* is no CommandPlugin, but of type int"),
        ("newer", "command 'newer' of shelf-commands 0.3 .* is written for plugin API 2"),
    ],
)
def test_a_command_that_cannot_be_used_is_told_with_its_distribution(run, shelves, name, message):
    status, _, err = run(name)
    assert status == 2
    assert re.search(message, err)


def test_a_command_that_two_distributions_offer_is_told_with_both(run, shelves, install):
    install("commands_too")
    status, _, err = run("shelf")
    assert status == 2
    assert "shelf-commands 0.3" in err
    assert "more-commands 0.1" in err


def test_no_distribution_replaces_a_command_of_ours(run, install, write_settings):
    install("commands_too")
    write_settings("")
    assert run("check")[0] == 0


def test_a_command_of_a_plugin_that_is_not_installed_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(commands, "entry_points", lambda group: [])
    assert main(["postgres", "init"]) == 2
    assert "pip install temporal-payloads-postgres" in capsys.readouterr().err
