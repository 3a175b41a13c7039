"""What Temporal's retries see of an activity's payloads."""

import dataclasses

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import PayloadNotFoundError, StorageUnavailableError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.exceptions import ApplicationError


@pytest.fixture(params=[False, True], ids=["plain", "encoded"])
def converter(request, install):
    install("reverse")
    return build_data_converter(PayloadSettings(codecs=["reverse"], encode_failures=request.param))


def raised(message, cause, **options):
    error = ApplicationError(message, **options)
    error.__cause__ = cause
    return error


async def failure_of(converter, error):
    failure = Failure()
    await converter.encode_failure(error, failure)
    return failure


@pytest.mark.parametrize("wrapper", ["Failed decoding arguments", "Failed decoding heartbeat details"])
async def test_any_other_reason_is_told_and_tried_again(converter, wrapper):
    error = raised(wrapper, ValueError("no such key"), non_retryable="heartbeat" in wrapper)
    failure = await failure_of(converter, error)
    assert not failure.application_failure_info.non_retryable
    assert failure.cause.application_failure_info.type == "ValueError"
    message = str(await converter.decode_failure(failure))
    assert f"{wrapper}: ValueError: no such key. Temporal tries again" in message


@pytest.mark.parametrize("error", [ApplicationError, RuntimeError], ids=["activity", "workflow"])
async def test_an_encoding_that_nobody_knows_is_told_with_the_setting(converter, error):
    with pytest.raises(KeyError) as unknown:
        await converter.decode([Payload(metadata={"encoding": b"json/theirs"})])
    wrapper = error("Failed decoding arguments")
    wrapper.__cause__ = unknown.value
    failure = await failure_of(converter, wrapper)
    assert failure.application_failure_info.type == "PayloadNotDecodedError"
    assert not failure.application_failure_info.non_retryable
    message = str(await converter.decode_failure(failure))
    assert "encoded as 'json/theirs'" in message
    assert "Add the codec that wrote it to codecs" in message


async def test_an_argument_that_is_gone_is_not_tried_again(converter):
    wrapper = raised("Failed decoding arguments", PayloadNotFoundError("no such key"))
    failure = await failure_of(converter, wrapper)
    assert failure.application_failure_info.type == "PayloadNotFoundError"
    assert failure.application_failure_info.non_retryable
    assert not failure.HasField("cause")
    assert "no such key" in str(await converter.decode_failure(failure))


async def test_heartbeat_details_that_cannot_be_had_now_are_tried_again(converter):
    wrapper = raised("Failed decoding heartbeat details", StorageUnavailableError("down"), non_retryable=True)
    failure = await failure_of(converter, wrapper)
    assert failure.application_failure_info.type == "StorageUnavailableError"
    assert not failure.application_failure_info.non_retryable


@pytest.mark.parametrize(
    "error",
    [
        raised("Failed decoding the order", TypeError("not a str")),
        raised("The order is unknown", PayloadNotFoundError("no such key")),
    ],
)
async def test_any_other_failure_stays_as_it_was_raised(converter, error):
    failure = await failure_of(converter, error)
    assert failure.application_failure_info.type == ""
    assert failure.HasField("cause")


@pytest.mark.parametrize(
    "failure_converter", [DefaultFailureConverter, DefaultFailureConverterWithEncodedAttributes]
)
async def test_messages_are_encoded_exactly_if_the_base_or_the_settings_say_so(install, failure_converter):
    install("reverse")
    base = dataclasses.replace(DataConverter.default, failure_converter_class=failure_converter)
    converter = build_data_converter(PayloadSettings(codecs=["reverse"]), base=base)
    failure = await failure_of(converter, ApplicationError("secret"))
    assert failure.HasField("encoded_attributes") == (
        failure_converter is DefaultFailureConverterWithEncodedAttributes
    )


def test_a_failure_converter_of_ones_own_is_kept(install):
    class Own(DefaultFailureConverter):
        pass

    install("reverse")
    base = dataclasses.replace(DataConverter.default, failure_converter_class=Own)
    converter = build_data_converter(PayloadSettings(codecs=["reverse"]), base=base)
    assert converter.failure_converter_class is Own
