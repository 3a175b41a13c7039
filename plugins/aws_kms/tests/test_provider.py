"""Data keys by a real KMS server (moto's), and what is said when KMS refuses."""

import base64
import json
import logging
import traceback
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from temporal_payloads.plugin import KeyUnavailableError, PayloadIntegrityError
from temporal_payloads_aws_kms._settings import KmsSettings


async def test_a_data_key_is_made_and_opened_again(open_provider, new_key):
    uri = f"awskms:///{new_key()}"
    async with open_provider() as provider:
        made = await provider.make_data_key(uri)
        assert len(made.plaintext) == 32
        assert made.plaintext not in made.wrapped
        assert await provider.unwrap_data_key(uri, made.wrapped) == made.plaintext
        assert (await provider.make_data_key(uri)).plaintext != made.plaintext


async def test_kms_itself_opens_what_we_write(open_provider, kms, new_key):
    async with open_provider() as provider:
        made = await provider.make_data_key(f"awskms:///{new_key()}")
    assert kms.decrypt(CiphertextBlob=made.wrapped)["Plaintext"] == made.plaintext


async def test_what_kms_encrypt_wrapped_is_opened(open_provider, kms, new_key):
    """temporal-proxy makes its data keys itself, and wraps them with `Encrypt`."""
    arn = new_key()
    wrapped = kms.encrypt(KeyId=arn, Plaintext=b"k" * 32)["CiphertextBlob"]
    async with open_provider() as provider:
        assert await provider.unwrap_data_key(f"awskms:///{arn}", wrapped) == b"k" * 32


async def test_an_encryption_context_of_the_uri_is_part_of_it(open_provider, kms, new_key):
    uri = f"awskms:///{new_key()}"
    async with open_provider() as provider:
        made = await provider.make_data_key(f"{uri}?context_team=orders")
        opened = kms.decrypt(CiphertextBlob=made.wrapped, EncryptionContext={"team": "orders"})
        assert opened["Plaintext"] == made.plaintext
        with pytest.raises(PayloadIntegrityError, match="or that its encryption context is another one"):
            await provider.unwrap_data_key(uri, made.wrapped)


async def test_keys_of_several_regions_have_a_client_each(open_provider, kms, new_key):
    async with open_provider(region="us-east-1") as provider:
        made = await provider.make_data_key(f"awskms:///{new_key()}")  # the ARN says eu-central-1
        assert kms.decrypt(CiphertextBlob=made.wrapped)["Plaintext"] == made.plaintext
        with pytest.raises(KeyUnavailableError, match=r"region us-east-1\) failed: NotFoundException"):
            await provider.make_data_key("awskms:///alias/orders")
        assert set(provider._clients) == {"eu-central-1", "us-east-1"}


async def test_no_log_has_a_data_key(open_provider, new_key, caplog):
    """Not that of the AWS library either, which logs answers."""
    uri = f"awskms:///{new_key()}"
    caplog.set_level(logging.DEBUG)
    async with open_provider() as provider, open_provider():
        made = await provider.make_data_key(uri)
        assert await provider.unwrap_data_key(uri, made.wrapped) == made.plaintext
    assert base64.b64encode(made.plaintext).decode() not in caplog.text
    assert caplog.messages.count("An answer of KMS with a data key, which is not shown") == 2


# -- which key wrapped it: moto opens whatever it has wrapped, so a stub holds to the key, as KMS does

ACCOUNT = "arn:aws:kms:eu-central-1:111122223333"
OLD, NEW, OLDER = (f"{ACCOUNT}:key/{name}" for name in ("old-key-1", "new-key-2", "older-key"))
ALIAS_ARN = f"{ACCOUNT}:alias/turned"


@asynccontextmanager
async def strict_kms(names, refused=()):
    """A KMS whose wrapped keys begin with the key's ARN, and whose aliases name what `names` says.

    With the keys in `refused` it lets nobody decrypt.
    """

    async def answer(request):
        asked = await request.json()
        arn = names.get(asked["KeyId"], asked["KeyId"])
        if request.headers["X-Amz-Target"].endswith("GenerateDataKey"):
            secret, wrapped = b"k" * 32, arn.encode() + b"k" * 32
        elif arn in refused:
            return json_answer({"__type": "AccessDeniedException", "message": "no"}, status=400)
        else:
            wrapped = base64.b64decode(asked["CiphertextBlob"])
            secret = wrapped[-32:]
            if not wrapped.startswith(arn.encode()):
                return json_answer({"__type": "IncorrectKeyException", "message": "another key"}, status=400)
        fields = {"Plaintext": secret, "CiphertextBlob": wrapped}
        return json_answer(
            {"KeyId": arn} | {name: base64.b64encode(v).decode() for name, v in fields.items()}
        )

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


def json_answer(content, status=200):
    text = json.dumps(content)
    return web.Response(status=status, text=text, content_type="application/x-amz-json-1.1")


async def test_an_alias_that_names_another_key_now_still_opens(open_provider):
    names = {"alias/turned": OLD}
    uri = "awskms:///alias/turned"
    async with strict_kms(names) as url:
        async with open_provider(endpoint_url=url) as provider:
            old = await provider.make_data_key(uri)
            assert await provider.unwrap_data_key(uri, old.wrapped) == old.plaintext
            names["alias/turned"] = NEW
            with pytest.raises(KeyUnavailableError, match=r"key_providers\.awskms\.earlier_keys"):
                await provider.unwrap_data_key(uri, old.wrapped)
        async with open_provider(endpoint_url=url, earlier_keys={"alias/turned": [OLD]}) as provider:
            assert await provider.unwrap_data_key(uri, old.wrapped) == old.plaintext
            new = await provider.make_data_key(uri)
            assert await provider.unwrap_data_key(uri, new.wrapped) == new.plaintext


async def test_all_earlier_keys_are_tried_though_one_is_refused(open_provider):
    uri = "awskms:///alias/turned"
    async with strict_kms({"alias/turned": NEW}, refused=[OLD]) as url:
        async with open_provider(endpoint_url=url, earlier_keys={"alias/turned": [OLD, OLDER]}) as provider:
            of_older = await provider.make_data_key(f"awskms:///{OLDER}")
            assert await provider.unwrap_data_key(uri, of_older.wrapped) == of_older.plaintext
            # What cannot be opened is told of the key that might open it.
            of_old = await provider.make_data_key(f"awskms:///{OLD}")
            with pytest.raises(KeyUnavailableError, match=r"old-key-1.* failed: AccessDeniedException"):
                await provider.unwrap_data_key(uri, of_old.wrapped)
        async with open_provider(endpoint_url=url, earlier_keys={"alias/turned": [OLDER]}) as provider:
            with pytest.raises(KeyUnavailableError, match=r"'alias/turned' .* failed: IncorrectKeyException"):
                await provider.unwrap_data_key(uri, of_old.wrapped)


@pytest.mark.parametrize("used", ["alias/turned", ALIAS_ARN])
@pytest.mark.parametrize("listed", ["alias/turned", ALIAS_ARN])
async def test_the_earlier_keys_of_an_alias_may_be_listed_by_its_name_or_its_arn(open_provider, used, listed):
    names = {"alias/turned": NEW, ALIAS_ARN: NEW}
    earlier_keys = {listed: [OLD], "alias/another": [OLDER]}
    async with (
        strict_kms(names) as url,
        open_provider(endpoint_url=url, earlier_keys=earlier_keys) as provider,
    ):
        old = await provider.make_data_key(f"awskms:///{OLD}")
        assert await provider.unwrap_data_key(f"awskms:///{used}", old.wrapped) == old.plaintext
        older = await provider.make_data_key(f"awskms:///{OLDER}")
        with pytest.raises(KeyUnavailableError, match="that key did not wrap it"):
            await provider.unwrap_data_key(f"awskms:///{used}", older.wrapped)


async def test_a_data_key_of_somebody_elses_key_is_refused(open_provider):
    """Anybody who may write payloads could have one wrapped by a key of their own."""
    async with strict_kms({}) as url, open_provider(endpoint_url=url) as provider:
        theirs = await provider.make_data_key(f"awskms:///{NEW}")
        with pytest.raises(KeyUnavailableError, match="that key did not wrap it"):
            await provider.unwrap_data_key(f"awskms:///{OLD}", theirs.wrapped)


async def test_what_was_changed_is_told(open_provider, new_key):
    uri = f"awskms:///{new_key()}"
    async with open_provider() as provider:
        made = await provider.make_data_key(uri)
        for damaged in (made.wrapped[:-1] + bytes([made.wrapped[-1] ^ 1]), b"garbage"):
            with pytest.raises((PayloadIntegrityError, KeyUnavailableError)) as caught:
                await provider.unwrap_data_key(uri, damaged)
            assert not caught.value.non_retryable


async def test_a_key_that_is_not_there_is_told(open_provider):
    async with open_provider() as provider:
        with pytest.raises(KeyUnavailableError, match="there is no such key in region eu-central-1"):
            await provider.make_data_key("awskms:///alias/nowhere")


async def test_without_a_region_or_credentials_it_is_told_what_to_set(open_provider, new_key):
    async with open_provider(region=None) as provider:
        with pytest.raises(KeyUnavailableError, match=r"Set key_providers\.awskms\.region"):
            await provider.make_data_key("awskms:///alias/orders")
    async with open_provider(access_key_id=None, secret_access_key=None) as provider:
        with pytest.raises(KeyUnavailableError, match="give this process AWS credentials"):
            await provider.make_data_key(f"awskms:///{new_key()}")


async def test_a_profile_that_is_not_there_is_told(open_provider):
    with pytest.raises(KeyUnavailableError, match=r"correct key_providers\.awskms\.profile"):
        async with open_provider(profile="nobody", access_key_id=None, secret_access_key=None):
            pass


async def test_a_server_that_is_not_there_is_told(open_provider, new_key):
    async with open_provider(endpoint_url="http://127.0.0.1:9", max_attempts=1) as provider:
        with pytest.raises(KeyUnavailableError, match=r"see that KMS can be reached.*awskms\.endpoint_url"):
            await provider.make_data_key(f"awskms:///{new_key()}")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "grant kms:Decrypt on that key to the role or user of this process"),
        ("DisabledException", "the key is disabled: enable it"),
        ("ThrottlingException", "KMS asks to slow down"),
        ("KMSInvalidStateException", "if it is to be deleted, cancel that"),
        ("InvalidKeyUsageException", "must be one for ENCRYPT_DECRYPT"),
        ("UnrecognizedClientException", "the access key is not known there"),
        ("InvalidSignatureException", "or this machine's clock"),
        ("ExpiredTokenException", "the session token has expired"),
        ("KMSInternalException", "it is tried again"),
        ("SomethingNewException", "SomethingNewException: no; see KMS' own words"),
    ],
)
async def test_every_refusal_says_what_to_do(open_provider, code, message):
    """moto refuses nothing, so a stub answers as KMS does."""

    async def refuse(request):
        return json_answer({"__type": code, "message": "no"}, status=400)

    app = web.Application()
    app.router.add_post("/", refuse)
    async with (
        TestServer(app) as server,
        open_provider(endpoint_url=str(server.make_url("")), max_attempts=1) as p,
    ):
        with pytest.raises(KeyUnavailableError) as caught:
            await p.unwrap_data_key("awskms:///alias/orders", b"wrapped")
    assert message in str(caught.value)
    assert "alias/orders" in str(caught.value)
    assert not caught.value.non_retryable


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"access_key_id": "a"}, "go together"),
        ({"session_token": "t"}, "belongs to an access key"),
        ({"profile": "p", "access_key_id": "a", "secret_access_key": "s"}, "two sources of credentials"),
        ({"endpoint_url": "http://user:secret@host"}, "no user name or password"),
        ({"endpoint_url": "host"}, "must be a URL"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValidationError, match=message) as caught:
        KmsSettings(**settings)
    assert "user:secret" not in str(caught.value)


async def test_a_proxy_that_refuses_is_told_without_its_password(open_provider, refusing_proxy):
    async with open_provider(endpoint_url="https://kms.example.com", max_attempts=1) as provider:
        with pytest.raises(
            KeyUnavailableError, match="HTTP 407 from the proxy; look at HTTPS_PROXY"
        ) as caught:
            await provider.make_data_key("awskms:///alias/orders")
    assert refusing_proxy not in "".join(traceback.format_exception(caught.value))
