"""`temporal-payloads inspect` on a real server: what the table says, what is saved, what is followed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.documents import shape_of, told_shape
from support.every_way import every_way
from support.every_way.cases import continued_as_new, memos, pending_activities
from support.history import claim_of, event_payloads, is_reference
from support.keys import encryption
from support.seeded import as_toml
from support.values import large, small
from support.workers import connect, new_id, running_worker
from support.workflows import Echo, Mailbox
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._cli import inspect, main

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import TemporalServer
    from support.stores import FilesystemStore
    from temporalio.client import Client


@dataclass
class Bench:
    """A client of a deployment, and the command with its settings."""

    client: Client
    server: TemporalServer
    store: FilesystemStore
    file: Path
    capsys: Any

    async def command(self, *arguments: str, file: Path | None = None) -> tuple[int, str, str]:
        """Run the command; return its status and what it printed."""
        self.capsys.readouterr()
        options = ["--config", str(file or self.file), "--address", self.server.address]
        status = await asyncio.to_thread(main, ["inspect", *arguments, *options])
        written = self.capsys.readouterr()
        return status, written.out, written.err

    async def document(self, *arguments: str) -> tuple[int, Any]:
        """Run it for a program."""
        status, out, _ = await self.command(*arguments, "--json")
        return status, json.loads(out)

    async def echo(self, value: str) -> str:
        """Run a workflow; return its id."""
        async with running_worker(self.client, workflows=[Echo]) as queue:
            workflow_id = new_id("inspected")
            await self.client.execute_workflow(Echo.run, value, id=workflow_id, task_queue=queue)
            return workflow_id

    async def references(self, workflow_id: str) -> list[Any]:
        """Return the references of a history."""
        history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        return [each for some in event_payloads(history).values() for each in some if is_reference(each)]


@pytest.fixture
async def bench(
    temporal_server: TemporalServer,
    filesystem_store: FilesystemStore,
    keys_in_environment: None,
    tmp_path: Path,
    capsys: Any,
) -> Bench:
    settings = filesystem_store.settings(
        codecs=["gzip", "encryption"], codec={"encryption": encryption("key-1")}
    )
    file = tmp_path / "settings.toml"
    write(file, settings)
    client = await connect(temporal_server, build_data_converter(settings))
    return Bench(client, temporal_server, filesystem_store, file, capsys)


def write(file: Path, settings: PayloadSettings) -> None:
    file.write_text(as_toml(settings.model_dump(mode="json", exclude_unset=True)))


@pytest.mark.usefixtures("references_in_clear")
async def test_each_payload_has_a_row_with_its_layers_and_its_state(bench: Bench):
    workflow_id = await bench.echo(large("row"))
    status, document = await bench.document(workflow_id)
    assert (status, document["ok"]) == (0, True)
    assert document["workflow"]["id"] == workflow_id
    assert (document["workflow"]["type"], document["workflow"]["status"]) == ("Echo", "COMPLETED")
    rows = document["payloads"]
    assert [(row["event"], row["field"], row["state"]) for row in rows] == [
        ("WorkflowExecutionStarted", "input[0]", "intact"),
        ("ActivityTaskScheduled", "input[0]", "intact"),
        ("ActivityTaskCompleted", "result[0]", "intact"),
        ("WorkflowExecutionCompleted", "result[0]", "intact"),
    ]
    for row, reference in zip(rows, await bench.references(workflow_id), strict=True):
        assert [(layer["codec"], layer["key"]) for layer in row["layers"]] == [
            ("encryption", "key-1"),
            ("gzip", None),
        ]
        assert row["reference"]["claim"] == claim_of(reference)
        assert row["reference"]["driver"] == "filesystem"
        assert row["reference"]["bytes"] == len(bench.store.read(claim_of(reference)))
        assert row["inline_bytes"] == reference.ByteSize()
        assert (row["encoding"], row["bytes"]) == ("json/plain", 6002)
    totals = document["totals"]
    assert (totals["payloads"], totals["references"], totals["states"]) == (4, 4, {"intact": 4})
    assert totals["inline_bytes"] == sum(row["inline_bytes"] for row in rows)

    status, out, _ = await bench.command(workflow_id)
    assert status == 0
    line = next(line for line in out.splitlines() if "ActivityTaskCompleted" in line)
    assert "encryption (key-1), gzip, json/plain" in line
    assert rows[2]["reference"]["key"] in line


async def test_the_layers_of_a_reference_that_went_through_the_codecs_are_shown(bench: Bench, monkeypatch):
    monkeypatch.setattr("temporalio.converter._extstore._ENCODE_STORAGE_REFERENCES", True)
    status, document = await bench.document(await bench.echo(large("encoded")))
    assert status == 0
    for row in document["payloads"]:
        assert row["state"] == "intact"
        for layers in (row["layers"], row["reference"]["layers"]):
            assert [(layer["codec"], layer["key"]) for layer in layers] == [
                ("encryption", "key-1"),
                ("gzip", None),
            ]


async def test_what_is_small_stands_in_the_history(bench: Bench):
    workflow_id = await bench.echo(small("inline"))
    status, document = await bench.document(workflow_id)
    assert status == 0
    assert {row["state"] for row in document["payloads"]} == {"inline"}
    assert document["payloads"][0]["reference"] is None
    assert document["totals"]["stored"] == 0


@pytest.mark.usefixtures("references_in_clear")
async def test_the_help_tells_of_the_document(bench: Bench):
    _, document = await bench.document(await bench.echo(large("shape")))
    for row in document["payloads"]:
        row["reference"].pop("claim")
    document["totals"].pop("states")
    told, shape = told_shape(inspect.EPILOG), shape_of(document)
    shape["payloads.reference"].add("claim")
    shape["totals"].add("states")
    assert told.pop("payloads.reference.layers") == told["payloads.layers"]
    assert told.pop("error") == {"type", "message"}
    assert told.pop("problems") == {"message", "place", "origin"}
    assert told == shape


@pytest.mark.usefixtures("references_in_clear")
async def test_what_is_missing_or_damaged_is_found(bench: Bench):
    workflow_id = await bench.echo(large("wrong"))
    first, second, *_ = await bench.references(workflow_id)
    bench.store.delete(claim_of(first))
    bench.store.overwrite(claim_of(second), b"something else")
    status, document = await bench.document(workflow_id)
    assert (status, document["ok"]) == (1, False)
    # The run itself has stored its value once.
    assert [row["state"] for row in document["payloads"]] == ["missing", "damaged", "damaged", "damaged"]
    assert document["totals"]["states"] == {"missing": 1, "damaged": 3}

    status, out, _ = await bench.command(workflow_id)
    assert status == 1
    assert "#1 1 WorkflowExecutionStarted input[0]: missing" in out
    assert "3 damaged, 1 missing" in out


async def test_what_cannot_be_decoded_is_found(bench: Bench, tmp_path):
    workflow_id = await bench.echo(large("sealed"))
    other = tmp_path / "other.toml"
    write(other, bench.store.settings(codecs=["gzip"]))
    status, out, _ = await bench.command(workflow_id, file=other)
    assert status == 1
    assert "4 undecodable" in out
    assert "Add 'encryption' to codecs" in out


@pytest.mark.usefixtures("references_in_clear")
async def test_a_store_of_another_name_and_one_that_is_away_are_told(bench: Bench, tmp_path):
    workflow_id = await bench.echo(large("elsewhere"))
    other = tmp_path / "other.toml"
    write(other, bench.store.settings(driver={"driver_name": "other"}))
    status, out, _ = await bench.command(workflow_id, file=other)
    assert status == 1
    assert "4 unknown driver" in out
    write(other, bench.store.through(1).settings())
    status, out, _ = await bench.command(workflow_id, file=other)
    assert status == 3
    assert "4 unreachable" in out


@pytest.mark.usefixtures("references_in_clear")
async def test_one_payload_is_shown_decoded(bench: Bench):
    workflow_id = await bench.echo(large("shown"))
    status, out, _ = await bench.command(workflow_id, "--show", "3")
    assert (status, json.loads(out)) == (0, large("shown"))
    status, document = await bench.document(workflow_id, "--show", "3")
    assert (status, document["shown"]) == (0, large("shown"))
    status, _, err = await bench.command(workflow_id, "--show", "5")
    assert status == 2
    assert "--show 5: there are 4 payloads" in err
    bench.store.delete(claim_of((await bench.references(workflow_id))[2]))
    status, out, err = await bench.command(workflow_id, "--show", "3")
    assert (status, out) == (1, "")
    assert "payload 3 is missing: " in err


@pytest.mark.usefixtures("references_in_clear")
async def test_all_payloads_are_saved_decoded_with_an_index(bench: Bench, tmp_path):
    workflow_id = await bench.echo(large("saved"))
    bench.store.delete(claim_of((await bench.references(workflow_id))[0]))
    folder = tmp_path / "saved"
    for _ in range(2):  # it can be done again
        status, out, _ = await bench.command(workflow_id, "--save", str(folder))
        assert status == 1
        assert f"saved in {folder}" in out
        index = json.loads((folder / "index.json").read_text())["payloads"]
        names = [row["file"] for row in index]
        assert names == [
            None,
            "00002-5-ActivityTaskScheduled-input-0.json",
            "00003-7-ActivityTaskCompleted-result-0.json",
            "00004-11-WorkflowExecutionCompleted-result-0.json",
        ]
        assert sorted(file.name for file in folder.iterdir()) == sorted([*filter(None, names), "index.json"])
        for name in filter(None, names):
            assert json.loads((folder / name).read_text()) == large("saved")
            assert (folder / name).stat().st_mode & 0o077 == 0


async def test_a_folder_that_cannot_be_written_ends_it(bench: Bench, tmp_path):
    workflow_id = await bench.echo(small("nowhere"))
    (tmp_path / "file").touch()
    status, _, err = await bench.command(workflow_id, "--save", str(tmp_path / "file" / "folder"))
    assert status == 3
    assert "cannot write into" in err


async def test_an_exported_history_needs_no_server(bench: Bench, tmp_path, closed_port):
    workflow_id = await bench.echo(large("exported"))
    history = await bench.client.get_workflow_handle(workflow_id).fetch_history()
    file = tmp_path / "history.json"
    file.write_text(history.to_json())
    bench.server = type(bench.server)(f"127.0.0.1:{closed_port}", "", None)
    status, document = await bench.document("--history", str(file))
    assert (status, document["workflow"]) == (0, None)
    assert {row["state"] for row in document["payloads"]} == {"intact"}
    assert (await bench.command(workflow_id))[0] == 3
    file.write_text('{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "MQ=="}')
    status, _, err = await bench.command("--history", str(file))
    assert status == 2
    assert "is no history" in err


async def test_what_no_event_has_yet_is_shown(bench: Bench):
    async with every_way(bench.client, [pending_activities, memos]) as [pending, with_memo]:
        status, document = await bench.document(pending.tag)
        assert status == 0
        found = {row["field"]: row for row in document["payloads"] if row["event"] == "PendingActivity"}
        assert found["heartbeat_details[0]"]["state"] == "intact"
        assert found["heartbeat_details[0]"]["event_id"] is None
        status, document = await bench.document(with_memo.tag)
        assert (status, "memo.note" in {row["field"] for row in document["payloads"]}) == (0, True)
        await pending.finish()


async def test_a_workflow_that_runs_is_followed_to_its_end(bench: Bench):
    workflow_id = new_id("followed")
    async with running_worker(bench.client, workflows=[Mailbox]) as queue:
        box = await bench.client.start_workflow(Mailbox.run, large("first"), id=workflow_id, task_queue=queue)
        following = asyncio.create_task(bench.command(workflow_id, "--follow", "--json"))
        await box.signal(Mailbox.put, large("second"))
        await box.signal(Mailbox.close)
        async with asyncio.timeout(60):
            status, out, _ = await following
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(row["event"], row["state"]) for row in rows] == [
        ("WorkflowExecutionStarted", "intact"),
        ("WorkflowExecutionSignaled", "intact"),
        ("WorkflowExecutionCompleted", "intact"),
    ]


async def test_following_goes_on_with_the_next_run(bench: Bench):
    async with every_way(bench.client, [continued_as_new]) as [case]:
        runs = [run.run_id async for run in bench.client.list_workflows(f"WorkflowId = '{case.tag}'")]
        status, out, _ = await bench.command(case.tag, "--run-id", runs[-1], "--follow")
    assert status == 0
    events = [line.split()[1:3] for line in out.splitlines()[1:]]
    assert ["1", "WorkflowExecutionStarted"] in events
    assert "WorkflowExecutionContinuedAsNew" in out
    assert "WorkflowExecutionCompleted" in out
    assert "payloads of" in out


async def test_a_workflow_that_is_not_there_is_told(bench: Bench):
    status, _, err = await bench.command("nobody")
    assert status == 3
    assert "there is no such run of the workflow 'nobody'" in err
    status, document = await bench.document("nobody")
    assert (status, document["ok"], document["payloads"]) == (3, False, [])
    assert "nobody" in document["error"]["message"]
    assert ".." not in document["error"]["message"]


async def test_a_namespace_that_is_not_there_is_told(bench: Bench):
    status, _, err = await bench.command("nobody", "--namespace", "nope")
    assert (status, err) == (3, "error: Namespace nope is not found. --namespace names another\n")


async def test_what_is_no_run_id_is_wrong_use(bench: Bench):
    status, document = await bench.document("nobody", "--run-id", "bogus")
    assert (status, document["error"]["type"]) == (2, "WrongUseError")
    assert "--run-id 'bogus' is no id of a run" in document["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("w", "--history", "f"),
        ("--history", "f", "--run-id", "r"),
        ("w", "--follow", "--show", "1"),
        ("w", "--show", "1", "--save", "d"),
    ],
)
async def test_wrong_use_is_told(bench: Bench, arguments):
    status, _, err = await bench.command(*arguments)
    assert status == 2
    assert err.startswith("error: ")
