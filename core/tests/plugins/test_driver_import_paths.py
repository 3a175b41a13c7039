"""Storage drivers that somebody has already, named by their import path and packaged by nobody."""

import asyncio
import json
import sys
import threading

import pytest
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PluginLoadError,
    UnknownPluginError,
    build_data_converter,
    open_data_converter,
)
from temporal_payloads._build.assembly import assemble
from temporal_payloads._cli import main
from temporal_payloads.plugin import ClaimRejectedError, PayloadNotFoundError, StorageError
from temporalio.api.common.v1 import Payload


@pytest.fixture(autouse=True)
def stores(install):
    """Put the application on the path."""
    install("legacy")
    module = __import__("my_app.stores").stores
    module.SHELF.clear()
    return module


def settings_of(table=None, *, driver=None, **storage):
    """Settings with one driver, that has a table, or is named as the default."""
    drivers = {} if table is None else {"mine": table}
    named = {} if driver is None else {"driver": driver}
    return PayloadSettings(storage={"threshold": 0, "drivers": drivers, **named, **storage})


def problem_of(settings, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings, **arguments)
    [problem] = caught.value.problems
    return problem.place, problem.message


async def reference_of(converter, value="hello"):
    """Send a value out and in again; return the name and the claim that stood in the history meanwhile."""
    [payload] = await converter.encode([value])
    assert await converter.decode([payload]) == [value]
    reference = json.loads(payload.data)
    return reference["driverName"], reference["claimData"]


async def name_of(settings):
    name, _ = await reference_of(build_data_converter(settings))
    return name


# -- what an import path may lead to


@pytest.mark.parametrize(
    ("path", "driver_type"),
    [
        ("my_app.stores:ConfinedDriver", "my_app.plain"),
        ("my_app.stores:ShelfDriver", "my_app.shelf"),
        ("my_app.stores:made", "my_app.shelf"),
        ("my_app.stores:opened", "opened"),
    ],
)
async def test_a_class_an_object_or_a_function_that_opens_one_is_a_driver(path, driver_type):
    settings = settings_of({"type": path})
    assert await name_of(settings) == "mine"
    assert assemble(settings).drivers["mine"].type() == driver_type


async def test_a_plugin_object_has_settings_in_its_table(stores):
    assert await name_of(settings_of({"type": "my_app.stores:described", "prefix": "p/"})) == "mine"
    assert all(key.startswith("p/") for key in stores.SHELF)
    assert problem_of(settings_of({"type": "my_app.stores:described"}))[0] == "storage.drivers.mine.prefix"


def test_a_class_is_made_anew_for_each_event_loop(monkeypatch, stores):
    made = []
    as_it_was = stores.ShelfDriver.__init__

    def counting(self):
        made.append(self)
        as_it_was(self)

    monkeypatch.setattr(stores.ShelfDriver, "__init__", counting)
    converter = build_data_converter(settings_of({"type": "my_app.stores:ShelfDriver"}))
    assert len(made) == 1  # which was asked for its name and type
    for value in ("one", "other"):
        asyncio.run(reference_of(converter, value))
    assert len(made) == 3


async def test_a_class_is_made_off_the_event_loop(monkeypatch, stores):
    made_in = []
    as_it_was = stores.ShelfDriver.__init__

    def noting(self):
        made_in.append(threading.current_thread())
        as_it_was(self)

    monkeypatch.setattr(stores.ShelfDriver, "__init__", noting)
    converter = build_data_converter(settings_of({"type": "my_app.stores:ShelfDriver"}))
    made_in.clear()
    await reference_of(converter)
    [thread] = made_in
    assert thread is not threading.current_thread()


async def test_what_a_function_opens_is_closed_again(stores):
    async with open_data_converter(settings_of({"type": "my_app.stores:opened"})) as converter:
        await reference_of(converter)
        [_] = stores.OPEN
    assert stores.OPEN == []


async def test_a_driver_whose_payloads_expire_says_so_by_an_attribute(stores):
    for path, final in (("my_app.stores:ShelfDriver", False), ("my_app.stores:Expiring", True)):
        converter = build_data_converter(settings_of({"type": path}, cache={"max_size": 0}))
        [payload] = await converter.encode(["hello"])
        stores.SHELF.clear()
        with pytest.raises(PayloadNotFoundError) as caught:
            await converter.decode([payload])
        assert caught.value.non_retryable is final


@pytest.mark.parametrize(
    ("name", "size"), [("PlainDriver", 50 * 1024**2), ("Large", 2 * 1024**3), ("LargeShelf", 3 * 1024**3)]
)
def test_a_driver_says_by_an_attribute_how_large_payloads_may_be(name, size):
    trust = {} if name == "LargeShelf" else {"trust_claims": True}
    drivers = assemble(settings_of({"type": f"my_app.stores:{name}", **trust})).drivers
    assert drivers["mine"].max_payload_size == size


# -- the name that references record


async def test_the_key_of_its_table_is_recorded_or_what_the_table_says():
    for path in ("my_app.stores:made", "my_app.stores:ShelfDriver", "my_app.stores:opened"):
        assert await name_of(settings_of({"type": path})) == "mine"
        assert await name_of(settings_of({"type": path, "driver_name": "before"})) == "before"


async def test_a_table_that_is_called_like_the_object_is_recorded_as_the_table_is_called():
    settings = PayloadSettings(storage={"threshold": 0, "drivers": {"made": {"type": "my_app.stores:made"}}})
    assert await name_of(settings) == "made"


@pytest.mark.parametrize(
    ("path", "name"),
    [("my_app.stores:made", "shelf"), ("my_app.stores:ConfinedDriver", "plain")],
)
async def test_without_a_table_it_is_what_the_driver_calls_itself(path, name):
    assert await name_of(settings_of(driver=path)) == name


async def test_without_a_table_a_plugin_object_has_its_conventional_name():
    path = "my_app.stores:described"
    settings = PayloadSettings(storage={"threshold": 0, "drivers": {path: {"prefix": "p/"}}})
    assert await name_of(settings) == "described-by-convention"


def test_a_function_tells_no_name_and_needs_a_table():
    path = "my_app.stores:opened"
    assert problem_of(settings_of(driver=path)) == (
        "storage.driver",
        (
            f"'{path}' does not tell the name that references record. Give it a table whose key is that "
            f'name: [storage.drivers.NAME] with type = "{path}"'
        ),
    )


# -- which claims it follows


async def test_a_claim_is_followed_only_if_the_driver_takes_it_for_its_own(stores):
    converter = build_data_converter(settings_of({"type": "my_app.stores:ConfinedDriver"}))
    [payload] = await converter.encode(["hello"])
    stores.SHELF["secret"] = Payload(data=b"somebody else's").SerializeToString()
    reference = json.loads(payload.data)
    reference["claimData"]["key"] = "secret"
    payload.data = json.dumps(reference).encode()
    with pytest.raises(ClaimRejectedError, match="none of the driver's"):
        await converter.decode([payload])


def test_a_driver_that_confines_nothing_must_be_trusted_in_so_many_words():
    for settings, where in (
        (settings_of({"type": "my_app.stores:PlainDriver"}), "storage.drivers.mine"),
        (settings_of(driver="my_app.stores:PlainDriver"), "storage.driver"),
    ):
        place, message = problem_of(settings)
        assert place == where
        assert "a claim is input, which can be forged. Give the driver a method confine(claim)" in message
        assert "Or set trust_claims = true: then whoever can write into a history can read all" in message


async def test_one_that_is_trusted_follows_each_claim_and_keeps_apart_what_they_lead_to(stores):
    table = {"type": "my_app.stores:PlainDriver", "trust_claims": True}
    converter = build_data_converter(settings_of(table))
    payloads = await converter.encode(["one", "other"])
    assert await converter.decode(payloads) == ["one", "other"]
    forged = json.loads(payloads[0].data)
    stores.SHELF["elsewhere"] = stores.SHELF[forged["claimData"]["key"]].replace(b"one", b"two")
    forged["claimData"] = {"key": "elsewhere"}
    payloads[0].data = json.dumps(forged).encode()
    assert await converter.decode(payloads) == ["two", "other"]


def test_trusting_is_no_setting_of_a_driver_that_confines_its_claims():
    table = {"type": "my_app.stores:ConfinedDriver", "trust_claims": True}
    place, message = problem_of(settings_of(table))
    assert (place, message) == ("storage.drivers.mine.trust_claims", "there is no such setting.")


def test_a_trusted_driver_cannot_keep_to_some_namespaces():
    table = {"type": "my_app.stores:PlainDriver", "trust_claims": True}
    place, message = problem_of(settings_of(table, namespaces=["orders"]))
    assert place == "storage.drivers.mine.trust_claims"
    assert message.startswith("storage.namespaces cannot hold for this driver")


async def test_a_confined_one_can(store_context, retrieve_context, make_payload):
    drivers = [
        assemble(settings_of({"type": "my_app.stores:ConfinedDriver"}, namespaces=[allowed])).drivers["mine"]
        for allowed in ("orders", "billing")
    ]
    claims = await drivers[0].store(store_context, [make_payload()])
    assert await drivers[0].retrieve(retrieve_context, claims) == [make_payload()]
    with pytest.raises(ClaimRejectedError, match=r"storage\.namespaces does not allow"):
        await drivers[1].retrieve(retrieve_context, claims)


# -- whose payloads the cache has


@pytest.mark.parametrize(("here", "there"), [("box_eu", "box_us"), ("open_eu", "open_us")])
async def test_what_one_object_of_a_class_stored_is_not_found_in_the_cache_by_another(here, there):
    converters = [
        build_data_converter(settings_of({"type": f"my_app.stores:{name}"})) for name in (here, there)
    ]
    payloads = await converters[0].encode(["hello"])
    assert await converters[0].decode(payloads) == ["hello"]
    with pytest.raises(PayloadNotFoundError):
        await converters[1].decode(payloads)


async def test_the_cache_knows_a_driver_by_its_import_path_whoever_builds_it(stores):
    one, other = (build_data_converter(settings_of({"type": "my_app.stores:box_eu"})) for _ in range(2))
    payloads = await one.encode(["hello"])
    stores.box_eu.items.clear()
    assert await other.decode(payloads) == ["hello"]


async def test_what_a_trusted_claim_leads_to_is_asked_of_the_driver_each_time(stores):
    converters = [
        build_data_converter(settings_of({"type": f"my_app.stores:{name}", "trust_claims": True}))
        for name in ("numbered_eu", "numbered_us")
    ]
    payloads = [await converter.encode([value]) for converter, value in zip(converters, "ab", strict=True)]
    assert payloads[0][0].data == payloads[1][0].data
    assert [await each.decode(found) for each, found in zip(converters, payloads, strict=True)] == [
        ["a"],
        ["b"],
    ]
    [stores.numbered_eu.payloads[0]] = await build_data_converter(PayloadSettings()).encode(["changed"])
    assert await converters[0].decode(payloads[0]) == ["changed"]


# -- where it is set


async def test_a_file_names_it_and_routes_lead_to_it(write_settings):
    write_settings("""
        [storage]
        threshold = 0
        driver = "inline"
        [storage.drivers.shelf]
        type = "my_app.stores:ShelfDriver"
        [[storage.routes]]
        driver = "shelf"
        namespace = "orders"
        [[storage.routes]]
        driver = "my_app.stores:made"
    """)
    _, message = problem_of(None)
    assert "'shelf' is that of storage.drivers.shelf already" in message
    write_settings("""
        [storage]
        threshold = 0
        driver = "my_app.stores:ShelfDriver"
    """)
    assert await name_of(None) == "shelf"


async def test_the_environment_alone_is_enough(set_variables):
    set_variables(
        STORAGE__THRESHOLD="0",
        STORAGE__DRIVERS__MINE__TYPE="my_app.stores:described",
        STORAGE__DRIVERS__MINE__PREFIX="p/",
    )
    assert await name_of(None) == "mine"


def test_check_shows_it_and_asks_it(write_settings, capsys):
    write_settings("""
        storage.drivers.mine = { type = "my_app.stores:ConfinedDriver" }
        storage.drivers.open = { type = "my_app.stores:PlainDriver", trust_claims = true }
        storage.driver = "mine"
    """)
    assert main(["check"]) == 0
    shown = capsys.readouterr().out
    assert "my_app.plain" in shown
    assert shown.count("claims are trusted") == 1
    assert main(["check", "--json"]) == 0
    drivers = json.loads(capsys.readouterr().out)["drivers"]
    assert [driver["trusts_claims"] for driver in drivers] == [False, True]
    write_settings('storage.drivers.mine = { type = "my_app.stores:ConfinedDrivr" }')
    assert main(["check"]) == 2
    assert "Did you mean 'ConfinedDriver'?" in capsys.readouterr().err


# -- what can be wrong with it


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nobody.stores:Driver", "cannot be imported: there is no module 'nobody' on Python's path"),
        (
            "my_app.stores:PASSWORD",
            (
                "is no valid plugin: it is of type str. An import path leads to a StorageDriver class or "
                "object, to a function that opens one, to a DriverPlugin, or to an object with the hook "
                "temporal_payloads_driver"
            ),
        ),
        ("my_app.stores:temporal_payloads_driver", "is no valid plugin: it is of type function"),
        (
            "my_app.stores:WrongExpiry",
            "is no valid plugin: its attribute expiry must be a timedelta",
        ),
        (
            "my_app.stores:WrongSize",
            "is no valid plugin: its attribute max_payload_size must be a number of bytes",
        ),
        (
            "my_app.stores:WithPrefix",
            (
                "is no valid plugin: it cannot be made: TypeError: missing a required argument: 'prefix'. A "
                "class that is named by its import path is made without arguments. Name an object that was "
                "made with them, or a DriverPlugin to give it settings"
            ),
        ),
        ("my_app.stores:Failing", "is no valid plugin: it cannot be made: RuntimeError: no bucket"),
        ("temporalio.converter:StorageDriver", "is no valid plugin: it cannot be made: TypeError: Can't"),
    ],
)
def test_what_is_wrong_with_an_import_path_is_told_where_it_is_named(path, message):
    for settings, where in (
        (settings_of({"type": path}), "storage.drivers.mine.type"),
        (settings_of(driver=path), "storage.driver"),
        (settings_of({"type": "my_app.stores:made"}, driver=path), "storage.driver"),
    ):
        with pytest.raises(PluginLoadError) as caught:
            build_data_converter(settings)
        [problem] = caught.value.problems
        assert problem.place == where
        assert problem.message.startswith(f"the driver {path!r} {message}")
        assert "hunter2" not in str(caught.value)


def test_a_name_that_is_no_import_path_is_an_unknown_driver():
    for name in ("my-app:Driver", "my_app.stores:"):
        with pytest.raises(UnknownPluginError, match="The import path of a class has the form module:name"):
            build_data_converter(settings_of({"type": name}))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("my_app.stores:opens_nothing", "returns coroutine, and not an async context manager; mark it with"),
        ("my_app.stores:opens_no_driver", "yields str, and no StorageDriver"),
    ],
)
async def test_a_function_that_opens_no_driver_is_told_when_it_is_asked_to(path, message):
    with pytest.raises(StorageError, match=r"storage\.drivers\.mine\) failed to open: TypeError") as caught:
        async with open_data_converter(settings_of({"type": path})):
            pass
    assert message in str(caught.value)


async def test_a_confine_that_breaks_on_a_claim_rejects_it(stores):
    converter = build_data_converter(settings_of({"type": "my_app.stores:ConfinedDriver"}))
    [payload] = await converter.encode(["hello"])
    stores.ConfinedDriver.confine = lambda self, claim: claim.claim_data["bucket"]
    with pytest.raises(
        ClaimRejectedError, match=r"storage\.drivers\.mine.*does not confine.*KeyError: 'bucket'"
    ):
        await build_data_converter(settings_of({"type": "my_app.stores:ConfinedDriver"})).decode([payload])


async def test_a_confine_that_returns_something_else_lets_nothing_through():
    with pytest.raises(StorageError, match="its confine returns StorageDriverClaim, and not a ConfinedClaim"):
        await name_of(settings_of({"type": "my_app.stores:WrongConfine"}))


def test_nothing_is_imported_before_it_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "my_app.stores")
    build_data_converter(PayloadSettings())
    assert "my_app.stores" not in sys.modules
