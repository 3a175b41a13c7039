"""The conformance kit: what every plugin must do, as test classes for its author to subclass.

    class TestConformance(DriverConformance):
        entry_point = "directory"
        client_modules = ("some_client_library",)

        @pytest.fixture
        def plugin(self):
            return temporal_payloads_driver()

        @pytest.fixture
        def settings(self, tmp_path):
            return DirectorySettings(path=tmp_path)

The plugins of this project pass just this. It needs pytest (`pip install temporal-payloads[testing]`), and
no pytest plugin: each test runs event loops of its own.
"""

import pytest

# Before the modules are imported: pytest explains the assertions of those alone that it knows.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("_plugin", "_driver", "_codec", "_payload_converter"))
)

from temporal_payloads.testing._codec import CodecConformance  # noqa: E402  # see above
from temporal_payloads.testing._driver import DriverConformance  # noqa: E402  # see above
from temporal_payloads.testing._payload_converter import PayloadConverterConformance  # noqa: E402  # see above

__all__ = ["CodecConformance", "DriverConformance", "PayloadConverterConformance"]
