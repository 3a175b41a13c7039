"""A key as text: every form that people have it in, and errors that never show it."""

import base64
import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from temporal_payloads_encryption_codec._key_text import _as_text, is_key, read_key

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
    assert read_key(base64.b64encode(key).decode()) == read_key(key.hex()) == key
    assume(_as_text(key) is None)
    assert read_key(key) == key


@pytest.mark.parametrize(
    "text",
    [
        "f318f4d34051397a0c7f49b54f63c11c",
        "thirty-one characters of a text\n",
        "schlüssel, lang genug für eine",
    ],
)
def test_a_file_with_32_bytes_of_text_is_a_key_only_if_it_says_so(text):
    content = text.encode()
    assert len(content) == 32
    with pytest.raises(ValueError, match=r"a text and hardly random: put text: before them") as caught:
        read_key(content)
    assert text.strip() not in str(caught.value)
    if text == text.strip():
        assert read_key(b"text:" + content) == content


def test_a_file_with_a_short_text_key_is_too_short_though_it_has_32_bytes():
    with pytest.raises(ValueError, match="a key of 208 bits"):
        read_key(b"text:" + b"k" * 26 + b"\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (base64.b64encode(bytes(range(16))).decode(), "a key of 128 bits"),
        (base64.b64encode(bytes(range(33))).decode(), "a key of 264 bits"),
        (bytes(range(31)).hex(), "bits"),
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


# -- a key where a name belongs


@given(st.randoms(use_true_random=False))
def test_a_key_is_told_from_a_name(random):
    key = random.randbytes(32)
    for encoded in (base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()):
        assert is_key(encoded)
        assert is_key(f" {encoded}\n")
    assert is_key(key.hex())
    assert is_key("text:test-key-test-key-test-key-test!")


def test_a_key_without_padding_is_told_from_a_name_but_for_one_in_a_thousand():
    keys = [hashlib.sha256(bytes([number // 256, number % 256])).digest() for number in range(2000)]
    missed = [key for key in keys if not is_key(base64.b64encode(key).decode().rstrip("="))]
    assert len(missed) < 8


@pytest.mark.parametrize(
    "name",
    [
        "2026-11",
        "test-key-id",
        "awskms:///alias/orders",
        "awskms:///arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "orders-1b4e28ba-2fa1-11d2-883f-0016d3cca420",  # 43 characters, as all that follow
        "orders-service-payload-encryption-key-2026c",
        "ORDERS_SERVICE_PAYLOAD_ENCRYPTION_KEY_2026A",
        "OrdersServicePayloadEncryptionKey2026-11-28",
        "run/secrets/orders/encryption/keys/2026-110",
    ],
)
def test_a_name_is_no_key_though_it_may_read_as_one(name):
    assert not is_key(name)
