"""Plugins are found by their entry points, loaded by name, and not before."""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from temporal_payloads import PluginConflictError, PluginLoadError, UnknownPluginError
from temporal_payloads.plugin import (
    CodecPlugin,
    DriverPlugin,
    PayloadConverterPlugin,
    PluginRegistry,
    StorageEvent,
    hookimpl,
)

DISTRIBUTIONS = Path(__file__).parents[1] / "distributions"
EVENT = StorageEvent(
    operation="store", driver="d", payloads=1, size=2, duration=0.1, cache_hits=0, dedupe_hits=0, error=None
)


def in_subprocess(program, *distributions):
    """Run a program with fake distributions installed; return what it prints as JSON."""
    path = os.pathsep.join(str(DISTRIBUTIONS / name) for name in distributions)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


# -- finding and loading


def test_an_installed_driver_is_loaded_by_the_name_of_its_entry_point(install):
    install("shelf")
    plugin = PluginRegistry().driver("shelf")
    assert isinstance(plugin, DriverPlugin)
    assert plugin.driver_name == "example.shelf"


def test_an_installed_codec_is_loaded_by_the_name_of_its_entry_point(install):
    install("reverse")
    plugin = PluginRegistry().codec("reverse")
    assert isinstance(plugin, CodecPlugin)
    assert plugin.encodings == ("binary/reversed",)


def test_entry_points_that_the_backport_of_importlib_metadata_has_found_are_as_good(install, monkeypatch):
    class Found:
        """As `importlib_metadata.EntryPoint`, which is none of the standard library's."""

        def __init__(self, entry_point):
            self.name, self.value, self.group = entry_point.name, entry_point.value, entry_point.group
            self.dist = entry_point.dist

    monkeypatch.setattr(
        "temporal_payloads._plugins.registry.entry_points",
        lambda group: [Found(entry_point) for entry_point in entry_points(group=group)],
    )
    install("shelf")
    assert PluginRegistry().driver("shelf").driver_name == "example.shelf"


def test_an_installed_payload_converter_is_loaded_by_the_name_of_its_entry_point(install):
    install("tidy")
    plugin = PluginRegistry().payload_converter("tidy")
    assert isinstance(plugin, PayloadConverterPlugin)
    assert plugin.sandbox_passthrough == ("tidy_converter",)


def test_a_plugin_is_described_once_for_each_registry(install):
    install("shelf")
    registry = PluginRegistry()
    assert registry.driver("shelf") is registry.driver("shelf")
    assert registry.driver("shelf") is not PluginRegistry().driver("shelf")


def test_offers_names_everything_that_is_installed_and_registered(install):
    install("shelf", "rival", "broken")
    registry = PluginRegistry()
    registry.register_driver("own", object())
    offers = [(offer.name, offer.provider) for offer in registry.offers("driver")]
    assert offers == sorted(offers)
    assert {
        ("shelf", "shelf-storage 1.2.0"),
        ("shelf", "rival-storage 7.0"),
        ("broken", "broken-plugins 0.1"),
        ("own", "the application"),
    } <= set(offers)


def test_nothing_is_imported_before_a_plugin_is_asked_for_by_name():
    seen = in_subprocess(
        """
import json, sys
from temporal_payloads.plugin import PluginRegistry
registry = PluginRegistry()
kinds = ("driver", "codec", "payload_converter")
offered = {offer.name for kind in kinds for offer in registry.offers(kind)}
before = [m for m in sys.modules if m.startswith(("shelf", "reverse", "tidy", "broken"))]
registry.driver("shelf")
after = [m for m in sys.modules if m.startswith(("shelf", "reverse", "tidy", "broken"))]
print(json.dumps({"offered": sorted(offered), "before": before, "after": after}))
""",
        "shelf",
        "reverse",
        "tidy",
        "broken",
    )
    assert {"shelf", "reverse", "tidy", "broken"} <= set(seen["offered"])
    assert seen["before"] == []
    assert seen["after"] == ["shelf_storage"]


def test_building_a_converter_imports_the_plugins_it_names_and_no_client_library():
    seen = in_subprocess(
        """
import json, sys
from temporal_payloads import PayloadSettings, build_data_converter
build_data_converter(PayloadSettings(codecs=["reverse"], storage={"drivers": {"shelf": {"room": "attic"}}}))
print(json.dumps([m for m in sys.modules if m.startswith(("shelf", "reverse", "broken"))]))
""",
        "shelf",
        "reverse",
        "broken",
    )
    assert sorted(seen) == ["reverse_codec", "shelf_storage"]


def test_a_broken_plugin_that_nobody_names_is_never_touched(install):
    install("shelf", "broken", "faulty")
    assert PluginRegistry().driver("shelf").driver_name == "example.shelf"
    assert "broken_plugin" not in sys.modules
    assert "faulty_plugins" not in sys.modules


# -- what can be wrong with a name


def test_an_unknown_name_is_answered_with_what_is_installed_and_the_near_match(install):
    install("shelf")
    with pytest.raises(
        UnknownPluginError, match=r"there is no driver 'shell'.*shelf.*Did you mean 'shelf'\?"
    ):
        PluginRegistry().driver("shell")


def test_an_unknown_name_that_is_near_to_nothing_gets_no_guess():
    with pytest.raises(UnknownPluginError) as caught:
        PluginRegistry().driver("quantum-foam")
    assert "Did you mean" not in str(caught.value)


def test_a_plugin_of_this_project_that_is_not_installed_is_answered_with_the_pip_line(monkeypatch):
    monkeypatch.setattr("temporal_payloads._plugins.registry.entry_points", lambda group: [])
    with pytest.raises(
        UnknownPluginError,
        match=r"the driver 's3' is not installed \(no driver plugin is installed\)\. "
        r"Run: pip install temporal-payloads-s3",
    ):
        PluginRegistry().driver("s3")
    with pytest.raises(UnknownPluginError, match="pip install temporal-payloads-gzip-codec"):
        PluginRegistry().codec("gzip")
    with pytest.raises(
        UnknownPluginError,
        match=r"the payload converter 'msgspec' is not installed \(no payload converter plugin is "
        r"installed\)\. Run: pip install temporal-payloads-msgspec-converter",
    ):
        PluginRegistry().payload_converter("msgspec")


def test_a_misspelt_plugin_of_this_project_is_recognised_even_if_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("temporal_payloads._plugins.registry.entry_points", lambda group: [])
    with pytest.raises(UnknownPluginError, match=r"Did you mean 'redis'\?"):
        PluginRegistry().driver("reddis")


def test_a_codec_is_no_driver(install):
    install("reverse")
    with pytest.raises(UnknownPluginError):
        PluginRegistry().driver("reverse")


def test_two_distributions_that_offer_one_name_are_both_named_with_their_versions(install):
    install("shelf", "rival")
    with pytest.raises(PluginConflictError) as caught:
        PluginRegistry().driver("shelf")
    message = str(caught.value)
    assert "shelf-storage 1.2.0 (shelf_storage)" in message
    assert "rival-storage 7.0 (rival_storage)" in message
    assert "type = 'rival-storage:shelf' or 'shelf-storage:shelf'" in message
    assert "rival_storage" not in sys.modules


def test_the_kind_that_two_distributions_offer_says_in_which_table_to_choose(install):
    install("tidy", "rival")
    with pytest.raises(PluginConflictError) as caught:
        PluginRegistry().payload_converter("tidy")
    assert "the payload converter 'tidy' is offered by" in str(caught.value)
    assert "[payload_converters.NAME], with type = 'rival-storage:tidy' or 'tidy-converter:tidy'" in str(
        caught.value
    )
    assert PluginRegistry().payload_converter("rival-storage:tidy").sandbox_passthrough == ("tidy_converter",)


@pytest.mark.parametrize("spelling", ["rival-storage:shelf", "rival_storage:shelf", "Rival.Storage:shelf"])
def test_one_of_two_is_chosen_by_its_distribution(install, spelling):
    install("shelf", "rival")
    assert PluginRegistry().driver(spelling).driver_name == "example.rival"


def test_a_distribution_that_does_not_offer_the_name_is_no_choice(install):
    install("shelf", "rival")
    with pytest.raises(UnknownPluginError, match="there is no driver 'other-storage:shelf'"):
        PluginRegistry().driver("other-storage:shelf")


def test_pluggys_own_loader_would_have_taken_the_first_of_two(install):
    """The reason why entry points are enumerated: were this to change, so could we."""
    install("shelf", "rival")
    found = entry_points(group="temporal_payloads.drivers", name="shelf")
    names = [entry.dist.name for entry in found if entry.dist is not None]
    assert sorted(names) == ["rival-storage", "shelf-storage"]


# -- what can be wrong with a plugin


def test_a_plugin_that_fails_on_import_is_named_with_its_distribution_and_the_cause(install):
    install("broken")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry().driver("broken")
    message = str(caught.value)
    assert "broken-plugins 0.1 (broken_plugin)" in message
    assert "ModuleNotFoundError: No module named 'a_library_that_nobody_has'" in message
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_entry_point_that_leads_nowhere_is_a_plugin_that_cannot_be_imported(install):
    install("broken")
    with pytest.raises(PluginLoadError, match=r"broken-plugins 0\.1 \(no_such_module\) cannot be imported"):
        PluginRegistry().codec("nothing")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("misspelt", "unknown hook 'temporal_payloads_drivr'"),
        ("wrong-arguments", "'settings'"),
        ("unmarked", "has no function temporal_payloads_driver that is marked @hookimpl"),
        ("raising", "it is Sunday"),
        ("wrong-type", "its hook temporal_payloads_driver returns dict, not DriverPlugin"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named_and_told_why(install, name, why):
    install("faulty")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry().driver(name)
    assert "faulty-plugins 0.2" in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("of-tomorrow", "plugin API 2, this temporal-payloads speaks 1. Update temporal-payloads"),
        ("of-yesterday", "plugin API 0, this temporal-payloads speaks 1. Update faulty-plugins"),
        ("of-no-number", "plugin API '1', this temporal-payloads speaks 1. Update faulty-plugins"),
    ],
)
def test_a_plugin_for_another_plugin_api_says_which_side_to_update(install, name, advice):
    install("faulty")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry().codec(name)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "broken-plugins 0.1 (broken_plugin:converter) cannot be imported: ModuleNotFoundError"),
        ("wrong-type", "hook temporal_payloads_payload_converter returns dict, not PayloadConverterPlugin"),
        ("of-tomorrow", "plugin API 2, this temporal-payloads speaks 1. Update temporal-payloads"),
    ],
)
def test_a_payload_converter_that_breaks_the_contract_is_told_as_the_other_kinds_are(install, name, why):
    install("broken", "faulty")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry().payload_converter(name)
    assert str(caught.value).startswith(f"the payload converter {name!r} of ")
    assert why in str(caught.value)


@pytest.mark.parametrize("faulty", ["misspelt", "wrong-arguments", "unmarked", "raising", "wrong-type"])
def test_a_faulty_plugin_does_not_disturb_those_loaded_after_it(install, faulty):
    install("shelf", "faulty")
    registry = PluginRegistry()
    for _ in range(2):
        with pytest.raises(PluginLoadError):
            registry.driver(faulty)
    assert registry.driver("shelf").driver_name == "example.shelf"


# -- registering in code


def test_a_plugin_registered_in_code_needs_no_distribution(registry):
    assert registry.driver("memory").driver_name == "example.memory"


def test_a_plugin_registered_in_code_stands_before_an_installed_one(install, memory):
    install("shelf", "rival")
    registry = PluginRegistry()
    registry.register_driver("shelf", memory)
    assert registry.driver("shelf").driver_name == "example.memory"


def test_registering_again_replaces_even_a_plugin_that_was_loaded(install, registry):
    install("shelf")
    assert registry.driver("memory").driver_name == "example.memory"
    registry.register_driver("memory", __import__("shelf_storage"))
    assert registry.driver("memory").driver_name == "example.shelf"


def test_a_codec_can_be_registered_in_code(install):
    install("reverse")
    registry = PluginRegistry()
    registry.register_codec("backwards", __import__("reverse_codec"))
    assert registry.codec("backwards").encodings == ("binary/reversed",)


def test_a_payload_converter_can_be_registered_in_code(install):
    install("tidy")
    registry = PluginRegistry()
    registry.register_payload_converter("neat", __import__("tidy_converter"))
    assert registry.payload_converter("neat").settings.__name__ == "TidySettings"


def test_classes_of_one_name_are_different_plugins(install):
    install("shelf")
    shelf = PluginRegistry().driver("shelf")

    def make(name):
        class Plugin:
            @staticmethod
            @hookimpl
            def temporal_payloads_driver():
                return DriverPlugin(**{**vars(shelf), "driver_name": name})

        return Plugin

    registry = PluginRegistry()
    registry.register_driver("a", make("a"))
    registry.register_driver("b", make("b"))
    assert [registry.driver(name).driver_name for name in "ab"] == ["a", "b"]


def test_registries_share_nothing(memory):
    one, other = PluginRegistry(), PluginRegistry()
    heard = []

    class Observer:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            heard.append(event)

    one.register_driver("shelf", memory)
    one.register_observer(Observer())
    other.notify(EVENT)
    assert heard == []
    with pytest.raises(UnknownPluginError):
        other.driver("shelf")


# -- observers


def test_every_observer_hears_of_an_event():
    heard = []

    class Observer:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            heard.append((self, event))

    registry = PluginRegistry()
    observers = [Observer(), Observer()]
    for observer in observers:
        registry.register_observer(observer)
    registry.notify(EVENT)
    assert {observer for observer, _ in heard} == set(observers)
    assert [event for _, event in heard] == [EVENT, EVENT]


def failing(message):
    class Failing:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            raise ValueError(message)

    return Failing()


def test_an_observer_that_fails_does_not_silence_the_others(caplog):
    heard = []

    class Observer:
        @hookimpl
        def temporal_payloads_storage_event(self):
            heard.append(self)

    registry = PluginRegistry()
    observers = [Observer(), failing("no room"), Observer(), failing("no network"), Observer()]
    for observer in observers:
        registry.register_observer(observer)
    registry.notify(EVENT)
    assert heard == [observers[4], observers[2], observers[0]]
    assert "no room" in caplog.text
    assert "no network" in caplog.text


def test_an_observer_that_fails_is_told_by_name_and_not_for_each_event(caplog, monkeypatch):
    registry = PluginRegistry()
    registry.register_observer(failing("no room"))
    for _ in range(100):
        registry.notify(EVENT)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "test_registry.failing.<locals>.Failing.temporal_payloads_storage_event" in record.getMessage()
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    registry.notify(EVENT)
    assert len(caplog.records) == 2


def test_an_observer_that_wraps_others_is_refused():
    class Wrapper:
        @hookimpl(wrapper=True)
        def temporal_payloads_storage_event(self, event):
            yield

    with pytest.raises(PluginLoadError, match="no wrapper"):
        PluginRegistry().register_observer(Wrapper())


def test_an_observer_with_a_misspelt_hook_is_refused_and_disturbs_nobody(install):
    install("shelf")

    class Observer:
        @hookimpl
        def temporal_payloads_storage_evnt(self, event):
            """Never called."""

    registry = PluginRegistry()
    with pytest.raises(PluginLoadError, match="temporal_payloads_storage_evnt"):
        registry.register_observer(Observer())
    assert registry.driver("shelf").driver_name == "example.shelf"


def test_an_object_without_the_hook_is_no_observer():
    with pytest.raises(PluginLoadError, match="no function temporal_payloads_storage_event"):
        PluginRegistry().register_observer(object())
