"""The table of payloads names what a reference stands for, whether or not it went through the codecs."""

import os

import pytest
from order_batch.history import payload_rows
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import WorkflowHistory
from temporalio.converter import _extstore


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("codecs", [[], ["gzip"]])
async def test_a_stored_payload_is_shown_with_its_driver_and_key(redis_server, monkeypatch, codecs, encoded):
    monkeypatch.setattr(_extstore, "_ENCODE_STORAGE_REFERENCES", encoded)
    storage = {"threshold": "1KiB", "drivers": {"redis": {"url": redis_server.url}}}
    converter = build_data_converter(PayloadSettings(codecs=codecs, storage=storage))
    payloads = await converter.encode(["small", os.urandom(2000).hex()])
    attributes = WorkflowExecutionStartedEventAttributes(input=Payloads(payloads=payloads))
    event = HistoryEvent(
        event_id=1,
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        workflow_execution_started_event_attributes=attributes,
    )
    small, large = await payload_rows(WorkflowHistory("wf", [event]), converter.payload_codec)
    assert (small.driver, small.key) == (None, None)
    assert large.driver == "redis"
    with redis_server.client() as client:
        assert len(client.get(large.key)) == large.size
    assert large.size_in_history == payloads[1].ByteSize()
