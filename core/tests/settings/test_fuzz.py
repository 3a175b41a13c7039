"""Whatever stands in a file or a variable: settings or a ConfigurationError, nothing else, in finite time."""

import json
import os
import string
from contextlib import contextmanager, suppress

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference
from temporal_payloads.plugin import ClaimRejectedError
from temporalio.api.common.v1 import Payload

# The working directory and the environment are the same for every example; each writes its own file.
tries = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = """
    codecs codec storage codec_server payload_converter payload_converters encode_failures driver drivers
    routes threshold timeout cache max_size concurrency type driver_name retrieve_only read_aliases
    min_size namespace workflow_type profile dev memory inline shelf password allowed_origins auth
    tokens jwt rules
"""
KEYS = st.sampled_from(WORDS.split()) | st.text(string.ascii_letters + "-_.é", max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1KiB", "30s", "inline", "memory", "gzip", "*", "", "-1"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=6)


def toml(value):
    """Write a value as TOML; null is left out of TOML, so it becomes an empty table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if value is None:
        return "{}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bool | str):
        return json.dumps(value)
    return str(value)


def load_and_build(registry, profile=None):
    for build in (
        lambda: build_data_converter(PayloadSettings.load(profile=profile), registry=registry),
        lambda: build_data_converter(registry=registry),
    ):
        with suppress(ConfigurationError), each_problem_once():
            build()


@contextmanager
def each_problem_once():
    try:
        yield
    except ConfigurationError as error:
        if len(set(error.problems)) != len(error.problems):
            raise AssertionError("a problem was told twice") from error
        raise


@tries
@given(document=TABLES)
@example({"storage": {"drivers": {"memory": {"type": 3}}, "driver": "memory"}})
@example({"profile": {"dev": {"profile": {}}}})
def test_any_document(tmp_path, registry, document):
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
    (tmp_path / "temporal-payloads.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    load_and_build(registry, profile="dev")


@tries
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_any_file(tmp_path, registry, data):
    (tmp_path / "temporal-payloads.toml").write_bytes(data)
    load_and_build(registry)


@tries
@given(
    variables=st.dictionaries(
        st.lists(KEYS, min_size=1, max_size=5).map(lambda parts: "__".join(parts).upper().replace("-", "_")),
        (st.text(max_size=10) | VALUES.map(json.dumps)).filter(lambda text: "\0" not in text),
        max_size=5,
    )
)
@example({"STORAGE__DRIVERS__MEMORY__SHELF": "s", "STORAGE__DRIVERS": "[]"})
@example({"STORAGE__": "x", "": "x"})
def test_any_variables(registry, variables):
    names = {f"TEMPORAL_PAYLOADS_{name}": value for name, value in variables.items()}
    names.pop("TEMPORAL_PAYLOADS_CONFIG_FILE", None)
    encodable = {name: value for name, value in names.items() if value.isprintable()}
    os.environ.update(encodable)
    try:
        load_and_build(registry)
    finally:
        for name in encodable:
            del os.environ[name]


@tries
@given(
    data=st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()),
    legacy=st.booleans(),
)
@example(data=b"[" * 100_000, legacy=True)
@example(data=b"[" * 100_000, legacy=False)
@example(data=b'{"driver_name": "a", "driver_claim": {"claim_data": {"a": 5}}}', legacy=True)
@example(data=b'{"driver_name": "a", "driver_claim": {"claim_data": ["a"]}}', legacy=True)
@example(data=b'{"driver_name": "a", "driver_claim": []}', legacy=True)
@example(data=b'{"driverName": "\\ud800"}', legacy=False)
def test_any_data_of_a_reference_is_read_or_rejected(data, legacy):
    payload = Payload(metadata={"encoding": b"json/external-storage-reference"}, data=data)
    if not legacy:
        payload.metadata["encoding"] = b"json/protobuf"
        payload.metadata["messageType"] = b"temporal.api.sdk.v1.ExternalStorageReference"
    assert is_reference(payload)
    assert not is_encoded_reference(payload)
    try:
        reference = read_reference(payload)
    except ClaimRejectedError:
        return
    assert isinstance(reference.driver_name, str)
    assert reference.driver_name
    assert all(isinstance(value, str) for value in reference.claim.claim_data.values())
