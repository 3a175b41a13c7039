"""A key as text: every form that people have it in, and errors that never show it."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporal_payloads_encryption_codec._key_text import read_key

KEY = bytes(range(200, 232))


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
        f"  {base64.b64encode(KEY).decode()}\n",
        KEY.hex(),
        KEY.hex().upper(),
        KEY,
        base64.b64encode(KEY) + b"\r\n",
    ],
)
def test_every_form_of_a_key_is_read(text):
    assert read_key(text) == KEY


def test_the_samples_key_is_text():
    assert read_key("text:test-key-test-key-test-key-test!") == b"test-key-test-key-test-key-test!"


@given(st.binary(min_size=32, max_size=32))
def test_whatever_bytes_a_key_has(key):
    assert read_key(base64.b64encode(key).decode()) == read_key(key.hex()) == read_key(key) == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (base64.b64encode(os.urandom(16)).decode(), "a key of 128 bits"),
        (base64.b64encode(os.urandom(33)).decode(), "a key of 264 bits"),
        (os.urandom(31).hex(), "bits"),
        ("text:too short", "a key of 72 bits"),
        ("hunter2 hunter2", "is no key"),
        ("=" * 44, "is no key"),
        ("A" * 45, "is no key"),
        (b"\xff" * 31, "has 31 bytes that are no text"),
    ],
)
def test_what_is_no_key_is_told_without_being_shown(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_key(text)
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    assert not shown.strip() or shown.removeprefix("text:") not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
