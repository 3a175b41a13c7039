from contextlib import asynccontextmanager

import pytest
from temporal_payloads._operate.doctor.examination import Wanted, examine
from temporal_payloads._operate.doctor.trial import TRIAL, try_all
from temporal_payloads._storage.references import is_encoded_reference
from temporal_payloads.plugin import Finding
from temporalio.api.common.v1 import Payload


async def test_a_payload_is_written_with_each_driver_and_a_value_through_the_converter(
    assemble, store, levels, only, store_name
):
    assembly = assemble(codecs=["gzip"])
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings) == {"write": "ok", "round trip": "ok"}
    assert " ms)" in only(trials.findings, "write").message
    assert "into the store of memory" in only(trials.findings, "round trip").message
    keys = [claim.claim_data["key"] for claim in trials.written["memory"]]
    assert sorted(keys) == sorted(store.items)
    assert all(key.startswith(f"{store_name}/orders/") for key in keys)


async def test_nothing_is_written_where_only_old_payloads_are_read(assemble, store, levels):
    assembly = assemble(
        storage={"drivers": {"memory": {"retrieve_only": True}}, "driver": "inline"},
    )
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings) == {"round trip": "ok"}
    assert not store.items


async def test_a_value_is_tried_without_any_driver(assemble, levels, only):
    assembly = assemble(storage={"drivers": {}})
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings) == {"round trip": "ok"}
    assert "inline" in only(trials.findings, "round trip").message


async def test_a_store_that_refuses_is_told_in_its_words(assemble, store, levels, only):
    store.fail_writing = OSError("the shelf is full")
    assembly = assemble()
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings) == {"write": "problem", "round trip": "problem"}
    assert "the shelf is full" in only(trials.findings, "write").message
    assert only(trials.findings, "write").place == "storage.drivers.memory"


async def test_what_comes_back_changed_is_told(assemble, memory, levels):
    async def retrieve(context, claims):
        return [Payload(data=b"of somebody else") for _ in claims]

    give_method(memory, "retrieve", retrieve)
    assembly = assemble()
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings)["write"] == "problem"
    assert all("not what was" in finding.message for finding in trials.findings if finding.check == "write")


async def test_a_driver_that_looks_at_its_store_is_told_what_was_written(assemble, memory, store, levels):
    told = []

    async def diagnose(context):
        told.append(context)
        for claim in context.written:
            del store.items[claim.claim_data["key"]]
        return [Finding(level="warning", check="lid", message="open", advice="shut it")]

    give_method(memory, "diagnose", diagnose)
    assembly = assemble()
    found = await examine(assembly, assembly.drivers, Wanted(write=True, namespaces=("orders",)))
    assert levels(found.findings)["lid"] == "warning"
    [context] = told
    assert context.place == "storage.drivers.memory"
    assert context.namespaces == ("orders",)
    assert (context.use, context.retention) == ("worker", None)
    assert len(context.written) == 2
    assert not store.items


async def test_without_write_nothing_is_written(assemble, memory, store):
    told = []

    async def diagnose(context):
        told.append(context)
        return []

    give_method(memory, "diagnose", diagnose)
    assembly = assemble()
    await examine(assembly, assembly.drivers, Wanted(use="collector"))
    assert (told[0].use, told[0].written) == ("collector", ())
    assert store.writes == 0


async def test_a_worker_only_reads_where_nothing_new_is_stored(assemble, memory):
    told = []

    async def diagnose(context):
        told.append(context.use)
        return []

    give_method(memory, "diagnose", diagnose)
    assembly = assemble(storage={"drivers": {"memory": {"retrieve_only": True}}, "driver": "inline"})
    await examine(assembly, assembly.drivers, Wanted())
    assert told == ["reader"]


async def test_what_a_driver_cannot_remove_is_named(assemble, store, only, levels):
    assembly = assemble()
    found = await examine(assembly, assembly.drivers, Wanted(write=True))
    assert levels(found.findings)["store"] == "skipped"
    left = only(found.findings, "clean-up")
    assert left.level == "warning"
    assert all(key in left.message for key in store.items)


async def test_a_driver_whose_look_fails_does_not_hide_what_was_left(assemble, memory, levels, only):
    async def diagnose(context):
        raise OSError("the lamp is out")

    give_method(memory, "diagnose", diagnose)
    assembly = assemble()
    found = await examine(assembly, assembly.drivers, Wanted(write=True))
    assert levels(found.findings)["clean-up"] == "warning"
    assert "the lamp is out" in only(found.findings, "store").message


async def test_what_a_store_took_though_its_check_failed_is_named(assemble, store, only):
    assembly = assemble()
    found = await examine(assembly, {}, Wanted(write=True))
    [key] = store.items
    left = only(found.findings, "clean-up")
    assert (left.level, left.place) == ("warning", "storage.drivers.memory")
    assert key in left.message


async def test_what_was_stored_is_known_where_the_sdk_sends_references_through_the_codecs(
    assemble, monkeypatch, store, only
):
    monkeypatch.setattr("temporalio.converter._extstore._ENCODE_STORAGE_REFERENCES", True)
    assembly = assemble(codecs=["gzip"], codec={"gzip": {"min_size": 0, "keep_if_not_smaller": False}})
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert trials.referred is not None
    assert is_encoded_reference(trials.referred[0])
    keys = [claim.claim_data["key"] for claim in trials.written["memory"]]
    assert sorted(keys) == sorted(store.items)
    assert "into the store of memory" in only(trials.findings, "round trip").message


async def test_a_store_that_did_not_answer_may_have_taken_it_and_that_is_said(
    assemble, store, levels, store_name
):
    store.shelves_frozen.add(store_name)
    assembly = assemble(storage={"timeout": "50ms"})
    trials = await try_all(assembly, assembly.drivers, "orders")
    assert levels(trials.findings) == {"write": "problem", "round trip": "problem", "clean-up": "warning"}
    assert all(TRIAL in one.message for one in trials.findings if one.check == "clean-up")


async def test_a_namespace_is_chosen_in_which_this_process_may_store(assemble, levels, store):
    assembly = assemble(storage={"namespaces": ["orders"]})
    found = await examine(assembly, assembly.drivers, Wanted(write=True, namespaces=("default",)))
    assert levels(found.findings)["write"] == "ok"
    assert all("/orders/" in key for key in store.items)


@pytest.mark.parametrize(
    ("wanted", "settings", "told"),
    [
        (Wanted(), {}, (("default",), True)),
        (Wanted(namespaces_named=False), {}, (("default",), False)),
        (Wanted(namespaces_named=False), {"storage": {"namespaces": ["orders"]}}, (("orders",), True)),
        (
            Wanted(namespaces_named=False),
            {"gc": {"owners": [{"address": "here:7233", "namespaces": ["billing"]}]}},
            (("billing",), True),
        ),
        (Wanted(namespaces=("a",)), {"storage": {"namespaces": ["orders"]}}, (("a",), True)),
    ],
)
async def test_drivers_are_told_the_namespaces_and_whether_somebody_named_them(
    assemble, memory, wanted, settings, told
):
    contexts = []

    async def diagnose(context):
        contexts.append(context)
        return []

    give_method(memory, "diagnose", diagnose)
    assembly = assemble(**settings)
    await examine(assembly, assembly.drivers, wanted)
    assert (contexts[0].namespaces, contexts[0].namespaces_named) == told


def give_method(memory, name, method):
    """Let the drivers that the plugin opens have a method."""
    opening = memory.open

    @asynccontextmanager
    async def open_driver(settings, context):
        async with opening(settings, context) as driver:
            setattr(driver, name, method)
            yield driver

    memory.open = open_driver
