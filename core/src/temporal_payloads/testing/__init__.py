"""For tests: of an application, without a store; and the conformance kit for the author of a plugin.

`PayloadsInMemory`, the fixtures of `temporal_payloads.testing.fixtures` and the assertions are for an
application; docs/testing.md begins with a test. The conformance kit is what every plugin must do, as test
classes for its author to subclass:

    class TestConformance(DriverConformance):
        entry_point = "directory"
        client_modules = ("some_client_library",)

        @pytest.fixture
        def plugin(self):
            return temporal_payloads_driver()

        @pytest.fixture
        def settings(self, tmp_path):
            return DirectorySettings(path=tmp_path)

A test that fails says what was promised, what happened, and what usually causes it; `docs/conformance.md`
lists all promises. The plugins of this project pass just this. It needs pytest (`pip install
temporal-payloads[testing]`), and no pytest plugin: each test runs event loops of its own.
"""

import pytest

# Before the modules are imported: pytest explains the assertions of those alone that it knows.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "_plugin",
            "_driver",
            "_driver_claims",
            "_driver_collecting",
            "_driver_lifetime",
            "_driver_secrets",
            "_codec",
            "_payload_converter",
            "_key_provider",
        )
    )
)

from temporal_payloads.testing._codec import CodecConformance  # noqa: E402  # see above
from temporal_payloads.testing._driver import DriverConformance  # noqa: E402  # see above
from temporal_payloads.testing._histories import (  # noqa: E402  # see above
    assert_nothing_exceeds,
    assert_offloaded,
    assert_references_resolve,
)
from temporal_payloads.testing._in_memory import TEST_KEY, PayloadsInMemory  # noqa: E402  # see above
from temporal_payloads.testing._key_provider import KeyProviderConformance  # noqa: E402  # see above
from temporal_payloads.testing._payload_converter import PayloadConverterConformance  # noqa: E402  # see above

__all__ = [
    "TEST_KEY",
    "CodecConformance",
    "DriverConformance",
    "KeyProviderConformance",
    "PayloadConverterConformance",
    "PayloadsInMemory",
    "assert_nothing_exceeds",
    "assert_offloaded",
    "assert_references_resolve",
]
