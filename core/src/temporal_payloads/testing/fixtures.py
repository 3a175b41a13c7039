"""Pytest fixtures for an application's tests.

In the `conftest.py` at the root of the tests::

    pytest_plugins = ["temporal_payloads.testing.fixtures"]

They hold for the session: workflows of all tests share the stores, and what a test asserts it asserts of the
history of its own workflow. Each can be overridden in `conftest.py`, with the same scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from temporal_payloads._settings.settings import PayloadSettings
from temporal_payloads.testing._in_memory import PayloadsInMemory

__all__ = ["payload_settings", "payload_variables", "payloads"]


@pytest.fixture(scope="session")
def payload_variables() -> Mapping[str, str]:
    """Variables that only a deployment has, and what they are in tests; none by default.

    A key of the encryption codec that comes from a variable, for instance::

        @pytest.fixture(scope="session")
        def payload_variables():
            return {"PAYLOADS_KEY_2026_11": TEST_KEY}
    """
    return {}


@pytest.fixture(scope="session", autouse=True)
def _payload_environment(payload_variables: Mapping[str, str]) -> Iterator[None]:
    """The environment with `payload_variables`, as long as the session lasts.

    Not asked for by name: whatever overrides the fixtures below finds the variables set.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in payload_variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def payload_settings() -> PayloadSettings:
    """The settings of the application; by default those that it reads itself, which must be there.

    Override it for another file or profile::

        @pytest.fixture(scope="session")
        def payload_settings():
            return PayloadSettings.load("deploy/temporal-payloads.toml", profile="prod")
    """
    return PayloadSettings.load(required=True)


@pytest.fixture(scope="session")
def payloads(payload_settings: PayloadSettings) -> PayloadsInMemory:
    """The application's data converter with its stores in memory: `payloads.converter`.

    Override it to start from a converter of your own: `PayloadsInMemory(payload_settings, base=...)`.
    """
    return PayloadsInMemory(payload_settings)
