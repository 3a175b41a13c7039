"""What is said of an error."""

import pytest
from temporal_payloads._errors import failure_type_of, message_of, reason_of
from temporal_payloads.plugin import StorageUnavailableError

UNAVAILABLE = StorageUnavailableError("The shelf is down")


@pytest.mark.parametrize(
    ("error", "message", "reason"),
    [
        (UNAVAILABLE, "The shelf is down", "The shelf is down"),
        (KeyError("shelf"), "'shelf'", "KeyError: 'shelf'"),
        (TimeoutError(), "TimeoutError", "TimeoutError"),
    ],
)
def test_an_errors_words_are_told_and_its_type_where_that_is_told_nowhere_else(error, message, reason):
    assert message_of(error) == message
    assert reason_of(error) == reason


def test_a_failure_has_the_type_that_temporal_records():
    assert failure_type_of(UNAVAILABLE) == "StorageUnavailableError"
    assert failure_type_of(KeyError("shelf")) == "KeyError"
