"""What check says of drivers whose payloads are moved to another store."""

import json

SETTINGS = """
    [storage.drivers.old]
    type = "memory"
    store = "check-old"
    moved_to = "new"
    {more}

    [storage.drivers.new]
    type = "memory"
    store = "check-new"
"""


def test_a_driver_that_is_moved_is_shown_with_where_it_is_read_from(run, write_settings):
    write_settings(SETTINGS.format(more=""))
    status, out, _ = run("check")
    assert status == 0
    assert "retrieve from new, else from here" in out


def test_one_that_is_off_is_not_asked(run, write_settings):
    write_settings(SETTINGS.format(more="off = true"))
    status, out, _ = run("check", "--json")
    assert status == 0
    document = json.loads(out)
    old, new = document["drivers"]
    assert (old["moved_to"], old["off"], old["retrieve_only"]) == ("new", True, True)
    assert (new["moved_to"], new["off"], new["retrieve_only"]) == (None, False, False)
    assert "storage.drivers.old" not in {finding["place"] for finding in document["findings"]}
    _, out, _ = run("check")
    [row] = [line for line in out.splitlines() if line.startswith("  old")]
    assert row.rstrip().endswith("off")
