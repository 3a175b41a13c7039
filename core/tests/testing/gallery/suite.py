"""The kit's classes on all exhibits. It is not collected by itself: `test_gallery.py` runs it, once."""

import pytest

from gallery import EXHIBITS

INSTALLED = ("test_the_entry_point_leads_to_this_plugin", "test_registration_imports_no_client_library")


def fixture(name, make):
    return pytest.fixture(name=name)(lambda _self: make())


def class_of(exhibit):
    made = {"plugin": exhibit.plugin, "settings": exhibit.settings, **exhibit.fixtures}
    body = {name: fixture(name, make) for name, make in made.items()} | dict(exhibit.attributes)
    if exhibit.entry_point:
        body["entry_point"] = exhibit.entry_point
    else:
        body |= dict.fromkeys(INSTALLED)  # None leaves a test out
    return type(exhibit.class_name, (exhibit.kit,), body)


globals().update({exhibit.class_name: class_of(exhibit) for exhibit in EXHIBITS.values()})
