"""The command plugins: what is installed, and whether it can be used."""

import json
import sys

from support.documents import shape_of, told_shape
from temporal_payloads._cli import plugins


def test_it_lists_what_is_installed_without_importing_any(run, install):
    install("shelf", "broken", "commands")
    status, out, err = run("plugins")
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["driver", "shelf", "shelf-storage", "1.2.0"] in rows
    assert ["command", "shelf", "shelf-commands", "0.3"] in rows
    assert ["codec", "gzip", "temporal-payloads-gzip-codec", "0.1.0"] in rows
    assert not {"shelf_storage", "shelf_commands", "broken_plugin"} & set(sys.modules)


def test_check_loads_each_and_says_what_is_wrong(run, install):
    install("shelf", "broken", "commands")
    status, out, err = run("plugins", "--check")
    assert (status, err) == (1, "")
    lines = {tuple(line.split()[:2]): line for line in out.splitlines()}
    assert lines["driver", "shelf"].endswith("  fine")
    assert "cannot be imported: " in lines["codec", "broken"]
    assert "is no CommandPlugin" in lines["command", "number"]


def test_check_tells_of_a_name_that_two_distributions_offer(run, install):
    install("shelf", "rival")
    assert run("plugins")[0] == 0
    status, out, _ = run("plugins", "--check", "--json")
    assert status == 1
    offers = [
        each for each in json.loads(out)["plugins"] if (each["kind"], each["name"]) == ("driver", "shelf")
    ]
    assert {each["distribution"] for each in offers} == {"shelf-storage", "rival-storage"}
    assert all("is offered by" in each["error"] for each in offers)


def test_what_is_ours_is_fine(run):
    status, out, _ = run("plugins", "--check", "--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (0, True)
    assert {each["error"] for each in document["plugins"]} == {None}
    assert {each["checked"] for each in document["plugins"]} == {True}


def test_the_json_is_documented_and_needs_no_settings(run, write_settings):
    write_settings("codecs = [")
    status, out, _ = run("plugins", "--json")
    assert status == 0
    assert told_shape(plugins.EPILOG) == shape_of(json.loads(out))
