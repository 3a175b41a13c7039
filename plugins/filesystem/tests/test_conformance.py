"""The filesystem plugin passes what every storage driver plugin must."""

import pytest
from temporal_payloads.testing import DriverConformance
from temporal_payloads_filesystem._plugin import temporal_payloads_driver
from temporal_payloads_filesystem._settings import FilesystemSettings


class TestConformance(DriverConformance):
    entry_point = "filesystem"

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, tmp_path):
        return FilesystemSettings(path=tmp_path, create=True)

    @pytest.fixture
    def unusable_settings(self, tmp_path):
        return [FilesystemSettings(path=tmp_path / "not mounted", create=False)]
