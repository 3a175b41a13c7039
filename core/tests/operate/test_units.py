import pytest
from temporal_payloads._operate.units import in_units


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**6, "3,072.0 PiB"),
    ],
)
def test_bytes_are_told_for_a_person(size, told):
    assert in_units(size) == told
