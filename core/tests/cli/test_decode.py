"""`temporal-payloads decode`: payloads from a file or the standard input."""

import asyncio
import base64
import io
import json
from types import SimpleNamespace

import pytest
from google.protobuf.json_format import MessageToDict, MessageToJson
from support.documents import shape_of, told_shape
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._cli import decode, main
from temporal_payloads._operate.inspection import exported
from temporal_payloads._storage.errors import StorageUnavailableError
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

SETTINGS = """
codecs = ["reverse"]
[storage]
threshold = 200
[storage.drivers.memory]
store = "of-decode"
"""
SMALL, LARGE = {"small": "näh"}, "large" * 100


@pytest.fixture(autouse=True)
def settings(install, write_settings):
    install("reverse")
    write_settings(SETTINGS)


@pytest.fixture
def encode():
    """Encode values as a worker would."""

    def encode(*values):
        converter = build_data_converter(PayloadSettings.load())
        return asyncio.run(converter.encode(values))

    return encode


@pytest.fixture
def history(encode):
    """Return a history with a small payload, one that is stored, and a memo."""
    small, large, memo = encode(SMALL, LARGE, "memo")
    event = History().events.add(event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    started = event.workflow_execution_started_event_attributes
    started.workflow_id = "order-7"
    started.input.payloads.extend([small, large])
    started.memo.fields["a note"].CopyFrom(memo)
    return History(events=[event])


def file_of(tmp_path, data):
    file = tmp_path / "export"
    file.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return str(file)


FORMS = {
    "JSON": lambda payload: MessageToJson(payload).encode(),
    "JSON with the fields' own names": lambda payload: MessageToJson(
        payload, preserving_proto_field_name=True
    ).encode(),
    "bytes": lambda payload: payload.SerializeToString(),
    "base64": lambda payload: base64.encodebytes(payload.SerializeToString()),
    "base64 for URLs": lambda payload: base64.urlsafe_b64encode(payload.SerializeToString()).rstrip(b"="),
}


@pytest.mark.parametrize("form", FORMS)
def test_payloads_are_decoded_in_whatever_form_they_were_exported(run, tmp_path, encode, form):
    for value in (SMALL, LARGE, None, [1, 2.5]):
        [payload] = encode(value)
        status, out, err = run("decode", file_of(tmp_path, FORMS[form](payload)))
        assert (status, json.loads(out), err) == (0, value, "")
    payloads = Payloads(payloads=encode(SMALL, LARGE))
    status, out, _ = run("decode", file_of(tmp_path, FORMS[form](payloads)))
    assert (status, json.loads(out)) == (0, [SMALL, LARGE])


def test_a_list_of_payloads_is_decoded(run, tmp_path, encode):
    status, out, _ = run("decode", file_of(tmp_path, [MessageToDict(each) for each in encode(SMALL, LARGE)]))
    assert (status, json.loads(out)) == (0, [SMALL, LARGE])


@pytest.mark.parametrize("own_names", [False, True])
def test_a_history_has_its_values_in_the_payloads_places(run, tmp_path, history, own_names):
    exported = MessageToJson(history, preserving_proto_field_name=own_names).encode()
    status, out, _ = run("decode", file_of(tmp_path, exported))
    [event] = json.loads(out)["events"]
    started = event["workflowExecutionStartedEventAttributes"]
    assert (status, event["eventId"]) == (0, "1")
    assert started["input"]["payloads"] == [SMALL, LARGE]
    assert started["memo"]["fields"] == {"a note": "memo"}


def test_the_standard_input_is_read_unless_a_file_is_named(run, monkeypatch, encode):
    [payload] = encode(SMALL)
    for arguments in (("decode",), ("decode", "-")):
        stdin = SimpleNamespace(buffer=io.BytesIO(MessageToJson(payload).encode()))
        monkeypatch.setattr("sys.stdin", stdin)
        status, out, _ = run(*arguments)
        assert (status, json.loads(out)) == (0, SMALL)


def test_raw_is_what_is_inside(tmp_path, encode, capfdbinary):
    picture = bytes(range(256)) * 10
    [payload] = encode(picture)
    assert main(["decode", "--raw", file_of(tmp_path, MessageToJson(payload).encode())]) == 0
    assert capfdbinary.readouterr().out == picture


def test_what_is_not_json_has_its_encoding_and_its_bytes(run, tmp_path, encode):
    [payload] = encode(b"\x00\xff")
    status, out, _ = run("decode", file_of(tmp_path, MessageToJson(payload).encode()))
    assert (status, json.loads(out)) == (0, {"encoding": "binary/plain", "data": "AP8="})


def test_what_cannot_be_read_stays_as_it_is_and_why_is_told(run, tmp_path, history):
    started = history.events[0].workflow_execution_started_event_attributes
    reference = started.input.payloads[1]
    claim = json.loads(reference.data)
    claim["claimData"]["key"] = claim["claimData"]["key"][:-64] + "0" * 64
    claim["claimData"]["hash_value"] = "0" * 64
    reference.data = json.dumps(claim).encode()
    broken = started.memo.fields["a note"]
    broken.data = broken.data[:-1]
    status, out, err = run("decode", file_of(tmp_path, MessageToJson(history).encode()))
    assert status == 1
    shown = json.loads(out)["events"][0]["workflowExecutionStartedEventAttributes"]
    assert shown["input"]["payloads"] == [SMALL, MessageToDict(reference)]
    assert shown["memo"]["fields"] == {"a note": MessageToDict(broken)}
    missing, undecodable = err.splitlines()
    assert "payload 2 in 1 WorkflowExecutionStarted input[1] is missing: " in missing
    assert "payload 3 in 1 WorkflowExecutionStarted memo.a note is undecodable: " in undecodable
    assert "A reversed payload is corrupted" in undecodable


@pytest.mark.parametrize(
    ("claim", "state", "why"),
    [
        ({"driverName": "memory", "claimData": {"key": "k"}}, "rejected", "'of-decode'"),
        ({"driverName": "old", "claimData": {}}, "unknown driver", "'old'"),
        ({"claimData": {}}, "rejected", "it names no driver"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(run, tmp_path, encode, claim, state, why):
    [_, reference] = encode("", LARGE)
    reference.data = json.dumps(claim).encode()
    status, out, err = run("decode", file_of(tmp_path, MessageToJson(reference).encode()))
    assert status == 1
    assert f"payload 1 is {state}: " in err
    assert why in err
    assert json.loads(out) == MessageToDict(reference)


def test_the_document_has_the_layers_and_the_value_of_each(run, tmp_path, encode):
    payloads = encode(SMALL, LARGE)
    status, out, _ = run("decode", "--json", file_of(tmp_path, [MessageToDict(each) for each in payloads]))
    document = json.loads(out)
    assert (status, document["ok"], document["kind"]) == (0, True, "payloads")
    inline, stored = document["payloads"]
    assert (inline["state"], inline["value"], inline["reference"]) == ("inline", SMALL, None)
    assert (stored["state"], stored["value"]) == ("intact", LARGE)
    assert [layer["codec"] for layer in stored["layers"]] == ["reverse"]
    assert (stored["encoding"], stored["bytes"]) == ("json/plain", len(LARGE) + 2)
    assert stored["reference"]["key"] == stored["reference"]["claim"]["key"]
    assert stored["reference"]["bytes"] > len(LARGE)
    inline.pop("value")
    stored["reference"].pop("claim")
    told = told_shape(decode.EPILOG)
    shape = shape_of(document)
    shape["payloads.reference"].add("claim")
    assert told.pop("error") == {"type", "message"}
    assert told.pop("problems") == {"message", "place", "origin"}
    assert told.pop("payloads.reference.layers") == told["payloads.layers"]
    assert told == shape


def test_the_document_is_the_same_where_the_settings_are_wrong(run, tmp_path, write_settings):
    write_settings('codecs = ["nothing"]')
    status, out, _ = run("decode", "--json", str(tmp_path / "none"))
    document = json.loads(out)
    assert (status, document["ok"], document["payloads"]) == (2, False, [])
    assert document["problems"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b"hello, world", "neither JSON nor the bytes of a payload"),
        (b"\x0a\x03abc", "neither JSON nor the bytes of a payload"),
        (b"{", "it is not JSON: "),
        (b"[" * 100_000, "it is not JSON that can be read: RecursionError"),
        (b'{"a":' * 100_000, "it is not JSON that can be read: RecursionError"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "more than 200 objects within each other"),
        (b'{"payloads": 7}', "not that of Temporal: payloads is not what Temporal writes there\n"),
        (b'{"payloads": [7]}', "not that of Temporal: payloads is not what Temporal writes there\n"),
        (b"[null]", "not that of Temporal: payloads[0] is not what Temporal writes there\n"),
        (b'{"metadata": 7}', "not that of Temporal: metadata is not what Temporal writes there\n"),
        (b'{"events": 7}', "not that of Temporal: events is not what Temporal writes there\n"),
        (b'{"events": [7]}', "not that of Temporal: events is not what Temporal writes there\n"),
        (b'{"events": [{"eventId": "x"}]}', "events.eventId is not what Temporal writes there\n"),
        (b'{"events": [{"eventTime": "x"}]}', "events[0].eventTime is not what Temporal writes there\n"),
        (b"null", "it is JSON of something else"),
        (b'"text"', "it is JSON of something else"),
        (b'{"name": "order"}', "it is JSON of something else"),
        (b'[{"metadata": {"encoding": "anNvbg=="}, "data": "!!"}]', "payloads[0].data is not base64"),
        (b'{"metadata": {"encoding": "a"}, "data": ""}', "metadata.encoding is not base64"),
        (b'{"metadata": {"encoding": 7}, "data": ""}', "metadata.encoding is not base64"),
        (b"\xff{}", "neither JSON nor the bytes of a payload"),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(run, tmp_path, data, why):
    status, out, err = run("decode", file_of(tmp_path, data))
    assert (status, out) == (2, "")
    assert f"cannot decode {tmp_path / 'export'}: " in err
    assert why in err


def test_a_file_without_end_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "LARGEST", 1 << 20)
    monkeypatch.setattr("temporal_payloads._cli.exports.LARGEST", 1 << 20)
    status, _, err = run("decode", "/dev/zero")
    assert status == 2
    assert "more than 1 MiB, which no export" in err


def test_a_file_that_is_not_there_is_refused(run, tmp_path):
    status, _, err = run("decode", str(tmp_path / "none"))
    assert status == 2
    assert f"cannot read {tmp_path / 'none'}: No such file" in err


def test_values_cannot_write_to_the_terminal(run, tmp_path, encode):
    [payload] = encode("\x1b]0;owned\x07 \x9b2J é")
    status, out, _ = run("decode", file_of(tmp_path, MessageToJson(payload).encode()))
    assert (status, out) == (0, '"\\u001b]0;owned\\u0007 \\u009b2J é"\n')


def test_what_a_store_says_cannot_write_to_the_terminal(run, tmp_path, history, monkeypatch):
    async def retrieve(self, context, claims):
        raise StorageUnavailableError("\x1b]0;owned\x07 says the store")

    monkeypatch.setattr(ManagedDriver, "retrieve", retrieve)
    file = file_of(tmp_path, MessageToJson(history).encode())
    for arguments in (("decode", file), ("inspect", "--history", file, "--show", "2")):
        status, out, err = run(*arguments)
        assert status == 3
        assert "says the store" in err
        assert "\x1b" not in out + err
        assert "\x07" not in out + err


def test_bytes_are_not_for_a_terminal(run, tmp_path, encode, monkeypatch):
    monkeypatch.setattr("temporal_payloads._cli.exports.on_terminal", lambda _: True)
    for value, status in ((b"\x00\x1b[2J", 2), (b"text", 0)):
        [payload] = encode(value)
        assert run("decode", "--raw", file_of(tmp_path, MessageToJson(payload).encode()))[0] == status


@pytest.mark.parametrize("as_json", [False, True])
def test_what_decodes_to_more_than_may_be_kept_stops_the_command_with_a_message(
    run, tmp_path, write_settings, as_json
):
    write_settings('codecs = ["gzip"]')
    converter = build_data_converter(PayloadSettings.load())
    bombs = asyncio.run(converter.encode(["a" * 500_000] * 8))
    file = file_of(tmp_path, [MessageToDict(each) for each in bombs])
    arguments = ["decode", file, *(["--json"] if as_json else [])]
    status, out, err = run(*arguments, "--max-size", "1MiB")
    told = json.loads(out)["error"]["message"] if as_json else err
    assert (status, bool(out)) == (3, as_json)
    assert "its payloads decode to more than 1,048,576 bytes: with payload 3 they have 1,500," in told
    assert "--max-size allows more" in told
    assert run(*arguments, "--max-size", "5MB")[0] == 0
    assert run(*arguments)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(("--raw", "--json"), "give --raw or --json"), (("--raw",), "--raw is for a single payload")],
)
def test_wrong_use_is_told(run, tmp_path, encode, arguments, why):
    file = file_of(tmp_path, [MessageToDict(each) for each in encode(1, 2)])
    status, out, err = run("decode", file, *arguments)
    assert status == 2
    assert why in (out if "--json" in arguments else err)


def test_json_that_is_none_is_shown_as_bytes(run, tmp_path, encode):
    for data in (b"NaN", b"{", b"\xff", b"1" * 5000):
        payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
        status, out, _ = run("decode", file_of(tmp_path, MessageToJson(payload).encode()))
        assert (status, base64.b64decode(json.loads(out)["data"])) == (0, data)
